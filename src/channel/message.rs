//! The messages of PROTOCOL.md, as types. `extension/protocol.d.ts` is generated from this file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::channel::lasting::{Lasting, Stored};
use crate::context::issuer::{NavigationContext, SessionContext};
use crate::context::mode::{Mode, WantedMode};
use crate::context::policy::Propagation;
use crate::export::ExporterState;
use crate::export::resource::Browser;
use crate::observe::observation::Observed;

/// The version of the protocol that this host speaks.
pub(crate) const VERSION: u64 = 1;

/// The types of messages to a host, for who sends another one.
const TYPES: &str = "hello, armed, observed, replenish, problem, choose, settings or store";

/// The most contexts that one `replenish` may ask for.
pub(crate) const MAX_REPLENISH: usize = 1000;

/// The longest `store`, in bytes.
pub(crate) const MAX_STORE: usize = 64 * 1024;

/// The first message on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hello {
    /// The extension's version.
    pub(crate) extension: String,
    /// Whether the extension may act in off-the-record contexts.
    pub(crate) off_the_record: bool,
    /// The context that requests carry already, after a restart of the worker or the host.
    pub(crate) session: Option<SessionContext>,
    /// What the browser says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub(crate) browser: Option<Browser>,
}

/// Headers are in place for every request that follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Armed {
    /// How requests get their headers.
    pub(crate) mode: Mode,
}

/// The stock of contexts is running low.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Replenish {
    /// How many contexts are wanted: up to [`MAX_REPLENISH`].
    pub(crate) count: usize,
    /// How many traces are wanted: up to [`MAX_REPLENISH`].
    #[serde(default)]
    pub(crate) traces: usize,
}

/// Something that the user should know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Problem {
    /// One sentence.
    pub(crate) message: String,
}

/// Has config.toml say other values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Store {
    /// The values by their keys; null takes a key away.
    pub(crate) values: BTreeMap<String, Option<Stored>>,
}

/// What the user chooses for this session, in place of what is configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Choose {
    /// How often a trace is sampled, from 0 to 1; as configured if null.
    pub(crate) ratio: Option<f64>,
    /// Who gets headers, as match patterns; as configured if null, everybody if empty.
    pub(crate) targets: Option<Vec<String>>,
}

/// What is configured, as the user wrote it: for showing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Configured {
    /// The template for links to traces.
    pub link: Option<String>,
    /// Where spans go; null when nowhere.
    pub endpoint: Option<String>,
    /// How often a trace is sampled.
    pub ratio: f64,
    /// Whether a trace that continues another one follows that one's decision.
    pub parent_based: bool,
    /// Who gets headers, as match patterns.
    pub targets: Vec<String>,
    /// Who gets none all the same.
    pub exclude: Vec<String>,
}

/// A message from the extension to the host.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum ToHost {
    /// The first message on a channel.
    Hello(Hello),
    /// Headers are in place for every request that follows.
    Armed(Armed),
    /// What happened in the browser.
    Observed(Observed),
    /// The stock of contexts is running low.
    Replenish(Replenish),
    /// Something that the user should know of.
    Problem(Problem),
    /// What the user chooses for this session.
    Choose(Choose),
    /// Which settings last is asked.
    Settings,
    /// Has config.toml say other values.
    Store(Store),
}

/// A message from the host to the extension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum ToExtension {
    /// The answer to `hello`.
    Session {
        /// The host's version.
        host: String,
        /// Which mode the user wants.
        mode: WantedMode,
        /// Whether pages are to be measured.
        web_vitals: bool,
        /// How contexts are carried.
        propagation: Box<Propagation>,
        /// The session's root span.
        session: SessionContext,
        /// A stock of contexts for the navigations to come.
        contexts: Vec<NavigationContext>,
        /// A stock of traces for what has one of its own.
        traces: Vec<SessionContext>,
        /// What is configured, whatever was chosen since.
        configured: Box<Configured>,
    },
    /// The answer to `replenish`.
    Contexts {
        /// More contexts for the navigations to come.
        contexts: Vec<NavigationContext>,
        /// More traces.
        traces: Vec<SessionContext>,
    },
    /// A batch of observations is safe: it need not be sent again.
    Received {
        /// The worker that observed.
        worker: String,
        /// The batch's number.
        #[cfg_attr(test, ts(type = "number"))]
        number: u64,
    },
    /// What became of spans so far. Told when it changes.
    Exporter(ExporterState),
    /// The answer to `settings` and to `store`.
    Settings {
        /// Where config.toml is, or would be; null without a home.
        file: Option<String>,
        /// Whether it is there.
        exists: bool,
        /// Every setting that can stand there.
        settings: Vec<Lasting>,
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
    /// What was asked for can't be done: the message says why.
    Refused,
}

/// A frame that is not a message of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct MessageError {
    /// Which rule it broke.
    pub(crate) code: ErrorCode,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl MessageError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: shortened(message.into(), 200) }
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
    serde_json::to_vec(&Versioned { v: VERSION, message }).unwrap_or_default()
}

impl ToHost {
    /// Reads a message from the body of a frame.
    ///
    /// What is ignored is not kept either, so that reading takes no more memory than the frame itself.
    ///
    /// # Errors
    ///
    /// A [`MessageError`] with the first rule of PROTOCOL.md that the frame breaks.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let message = format!("the frame is not UTF-8: byte {} is invalid", error.valid_up_to());
            MessageError::new(ErrorCode::NotUtf8, message)
        })?;
        let head = Head::read(text)?;
        head.check_version()?;
        match head.type_name().as_deref() {
            Some("hello") => fields(text).map(Self::Hello),
            Some("armed") => fields(text).map(Self::Armed),
            Some("observed") => fields(text).map(Self::Observed),
            Some("replenish") => {
                let replenish: Replenish = fields(text)?;
                for (name, count) in [("count", replenish.count), ("traces", replenish.traces)] {
                    if count > MAX_REPLENISH {
                        let message = format!("{name} is {count}: expected {MAX_REPLENISH} at most");
                        return Err(MessageError::new(ErrorCode::Invalid, message));
                    }
                }
                Ok(Self::Replenish(replenish))
            }
            Some("problem") => {
                let Problem { message } = fields(text)?;
                // It is shown as it is.
                let message = message.replace(char::is_control, " ");
                Ok(Self::Problem(Problem { message: shortened(message, 300) }))
            }
            Some("choose") => fields(text).map(Self::Choose),
            Some("settings") => Ok(Self::Settings),
            Some("store") if text.len() > MAX_STORE => {
                let message = format!("the message has {} bytes: expected {MAX_STORE} at most", text.len());
                Err(MessageError::new(ErrorCode::Invalid, message))
            }
            Some("store") => fields(text).map(Self::Store),
            _ => Err(head.unknown_type()),
        }
    }

    /// Writes the message as the body of a frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

impl ToExtension {
    /// Writes the message as the body of a frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

impl From<MessageError> for ToExtension {
    fn from(error: MessageError) -> Self {
        Self::Error { code: error.code, message: error.message }
    }
}

/// The two members that every message has.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    v: Option<&'a RawValue>,
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
}

impl<'a> Head<'a> {
    fn read(text: &'a str) -> Result<Self, MessageError> {
        serde_json::from_str(text).map_err(|error| {
            if error.classify() != Category::Data {
                return MessageError::new(ErrorCode::NotJson, format!("the frame is not JSON: {error}"));
            }
            if text.trim_start().starts_with('{') {
                return MessageError::new(ErrorCode::Invalid, error.to_string());
            }
            MessageError::new(ErrorCode::NotJson, "the frame is not a JSON object")
        })
    }

    fn check_version(&self) -> Result<(), MessageError> {
        let Some(version) = self.v else {
            let message = format!("the message has no version: expected \"v\":{VERSION}");
            return Err(MessageError::new(ErrorCode::UnknownVersion, message));
        };
        if serde_json::from_str(version.get()).ok() == Some(VERSION) {
            return Ok(());
        }
        let message = format!("unknown protocol version {}: this host speaks {VERSION}", quoted(version));
        Err(MessageError::new(ErrorCode::UnknownVersion, message))
    }

    fn type_name(&self) -> Option<Cow<'a, str>> {
        serde_json::from_str(self.r#type?.get()).ok()
    }

    fn unknown_type(&self) -> MessageError {
        let found = self.r#type.map_or_else(|| "(none)".to_owned(), quoted);
        let message = format!("unknown message type {found}: expected {TYPES}");
        MessageError::new(ErrorCode::UnknownType, message)
    }
}

/// Reads the members that one type of message has.
fn fields<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, MessageError> {
    serde_json::from_str(text).map_err(|error| MessageError::new(ErrorCode::Invalid, error.to_string()))
}

fn quoted(value: &RawValue) -> String {
    shortened(value.get().to_owned(), 60)
}

/// Cuts what may quote the other side to a length that fits in a sentence.
fn shortened(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
