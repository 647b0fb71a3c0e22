//! The messages of PROTOCOL.md, as types. `extension/protocol.d.ts` is generated from this file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::issuer::{NavigationContext, SessionContext};

/// The version of the protocol that this host speaks.
pub const VERSION: u64 = 1;

/// The most contexts that one `replenish` may ask for.
pub const MAX_REPLENISH: usize = 1000;

const TO_HOST_TYPES: [&str; 4] = ["hello", "armed", "navigation", "replenish"];

/// How requests get their headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Session rules only: every request of a navigation carries the navigation's span id.
    Lightweight,
}

/// What came of a navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A document.
    Committed,
    /// No document: a 204, a download, an abort or a network error.
    Failed,
}

/// A message from the extension to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum ToHost {
    /// The first message on a channel.
    Hello {
        /// The extension's version.
        extension: String,
        /// Whether the extension may act in off-the-record contexts.
        off_the_record: bool,
        /// The context that requests carry already, after a restart of the worker or the host.
        session: Option<SessionContext>,
    },
    /// Headers are in place for every request that follows.
    Armed {
        /// How requests get their headers.
        mode: Mode,
    },
    /// A main-frame navigation has used a context.
    #[serde(rename_all = "camelCase")]
    Navigation {
        /// Chromium's id of the tab.
        tab_id: i32,
        /// The span id that the navigation used.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: crate::context::ids::SpanId,
        /// What came of it.
        outcome: Outcome,
    },
    /// The stock of contexts is running low.
    Replenish {
        /// How many contexts are wanted: 1 to [`MAX_REPLENISH`].
        count: usize,
    },
}

/// A message from the host to the extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ToExtension {
    /// The answer to `hello`.
    Session {
        /// The host's version.
        host: String,
        /// The session's root span.
        session: SessionContext,
        /// A stock of contexts for the navigations to come.
        contexts: Vec<NavigationContext>,
    },
    /// The answer to `replenish`.
    Contexts {
        /// More contexts for the navigations to come.
        contexts: Vec<NavigationContext>,
    },
    /// The message before could not be used.
    Error {
        /// Which rule it broke.
        code: ErrorCode,
        /// What is wrong with it.
        message: String,
    },
}

/// Why a message could not be used. Codes are only ever added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The frame's bytes are not UTF-8.
    NotUtf8,
    /// The frame is not a JSON object.
    NotJson,
    /// `v` is missing or not a version that this host speaks.
    UnknownVersion,
    /// `type` is missing or not a message of this protocol.
    UnknownType,
    /// A field is missing, of the wrong type or out of range.
    Invalid,
}

/// A frame that is not a message of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MessageError {
    /// Which rule it broke.
    pub code: ErrorCode,
    /// What is wrong with it.
    pub message: String,
}

impl MessageError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// A message with the version that every frame carries.
#[derive(Serialize)]
struct Versioned<'a, M> {
    v: u64,
    #[serde(flatten)]
    message: &'a M,
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    // Serializing these types can't fail: no map has other keys than strings and no implementation returns an error.
    serde_json::to_vec(&Versioned {
        v: VERSION,
        message,
    })
    .unwrap_or_default()
}

impl ToHost {
    /// Reads a message from the body of a frame.
    ///
    /// # Errors
    ///
    /// A [`MessageError`] with the first rule of PROTOCOL.md that the frame breaks.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            MessageError::new(
                ErrorCode::NotUtf8,
                format!("the frame is not UTF-8: byte {} is invalid", error.valid_up_to()),
            )
        })?;
        let value: Value = serde_json::from_str(text).map_err(|error| {
            MessageError::new(ErrorCode::NotJson, format!("the frame is not JSON: {error}"))
        })?;
        let Value::Object(object) = &value else {
            return Err(MessageError::new(
                ErrorCode::NotJson,
                "the frame is not a JSON object",
            ));
        };
        match object.get("v") {
            Some(version) if version.as_u64() == Some(VERSION) => {}
            Some(version) => {
                return Err(MessageError::new(
                    ErrorCode::UnknownVersion,
                    format!("unknown protocol version {}: this host speaks {VERSION}", shortened(version)),
                ));
            }
            None => {
                return Err(MessageError::new(
                    ErrorCode::UnknownVersion,
                    format!("the message has no version: expected \"v\":{VERSION}"),
                ));
            }
        }
        match object.get("type") {
            Some(Value::String(name)) if TO_HOST_TYPES.contains(&name.as_str()) => {}
            found => {
                return Err(MessageError::new(
                    ErrorCode::UnknownType,
                    format!(
                        "unknown message type {}: expected hello, armed, navigation or replenish",
                        found.map_or_else(|| "(none)".to_owned(), shortened)
                    ),
                ));
            }
        }
        let message = serde_json::from_value(value)
            .map_err(|error| MessageError::new(ErrorCode::Invalid, error.to_string()))?;
        match message {
            Self::Replenish { count } if !(1..=MAX_REPLENISH).contains(&count) => {
                Err(MessageError::new(
                    ErrorCode::Invalid,
                    format!("count is {count}: expected 1 to {MAX_REPLENISH}"),
                ))
            }
            message => Ok(message),
        }
    }

    /// Writes the message as the body of a frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

impl ToExtension {
    /// Writes the message as the body of a frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

impl From<MessageError> for ToExtension {
    fn from(error: MessageError) -> Self {
        Self::Error {
            code: error.code,
            message: error.message,
        }
    }
}

/// Quotes a value from outside in a message, cut to a length that fits in a sentence.
fn shortened(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
