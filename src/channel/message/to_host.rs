//! Messages from the extension to the host, and the checks that each of them must pass.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::base::text::shortened;
use crate::channel::message::setting::SettingValue;
use crate::channel::message::to_extension::ToExtension;
use crate::channel::message::{self, ErrorCode, VERSION};
use crate::context::issuer::SessionContext;
use crate::context::mode::Mode;
use crate::export::resource::BrowserInfo;
use crate::observe::observation::Observed;

/// The known types of messages, for an error about an unknown one.
const TYPES: &str = "hello, armed, observed, replenish, problem, overlap, choose, settings or store";

/// Largest number of contexts, and of traces, that one `replenish` may ask for.
const MAX_REPLENISH: usize = 1000;

/// Longest `store`, in bytes.
const MAX_STORE: usize = 64 * 1024;

/// Longest text of a `problem`, of an error, and of a quote in an error, in characters.
const MAX_PROBLEM_TEXT: usize = 300;
const MAX_ERROR_TEXT: usize = 200;
const MAX_QUOTE: usize = 60;

/// A message from the extension to the host.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum ToHost {
    /// The first message on a channel.
    Hello(Hello),
    /// Headers are in place for every request that follows.
    Armed(Armed),
    /// Reports what happened in the browser.
    Observed(Observed),
    /// Asks for more contexts.
    Replenish(Replenish),
    /// Tells the user of a problem.
    Problem(Problem),
    /// A browser context has opened while others may be open.
    Overlap(Overlap),
    /// Changes the policy for this session.
    Choose(Choose),
    /// Asks for the settings that config.toml can have.
    Settings,
    /// Changes values in config.toml.
    Store(Store),
}

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
    /// The browser's own description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub(crate) browser: Option<BrowserInfo>,
}

/// Headers are in place for every request that follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Armed {
    /// How requests get their headers.
    pub(crate) mode: Mode,
}

/// Asks for more contexts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Replenish {
    /// Number of contexts: at most 1000.
    pub(crate) count: usize,
    /// Number of traces: at most 1000.
    #[serde(default)]
    pub(crate) traces: usize,
}

/// Tells the user of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Problem {
    /// One sentence.
    pub(crate) message: String,
}

/// A browser context has opened while others may be open. Chromium stops reporting the requests of the newest one when another one closes, unless
/// the host sees to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Overlap {
    /// The number of browser contexts that have opened so far, which the answer repeats.
    pub(crate) opened: u32,
}

/// Changes values in config.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Store {
    /// The values by their keys; null removes a key.
    pub(crate) values: BTreeMap<String, Option<SettingValue>>,
}

/// Changes the policy for this session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Choose {
    /// The share of traces to sample, from 0 to 1; null for the configured share.
    pub(crate) ratio: Option<f64>,
    /// Match patterns of the URLs that get headers; null for the configured ones, empty for all URLs.
    pub(crate) targets: Option<Vec<String>>,
    /// Names of the kinds of requests that have a span of their own; null for the configured ones.
    pub(crate) resources: Option<Vec<String>>,
}

impl ToHost {
    /// Reads a message from the body of a frame. An error names the first rule of PROTOCOL.md that the frame breaks.
    ///
    /// Skips unknown fields without storing them, so that reading takes no more memory than the frame itself.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let message = format!("the frame is not UTF-8: byte {} is invalid", error.valid_up_to());
            MessageError::new(ErrorCode::NotUtf8, message)
        })?;
        let head = Head::read(text)?;
        head.check_version()?;
        Self::read(&head, text).map_err(|error| MessageError { about: head.about(), number: head.batch(text), ..error })
    }

    fn read(head: &Head<'_>, text: &str) -> Result<Self, MessageError> {
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
                // The user sees this text as it is.
                let message = message.replace(char::is_control, " ");
                Ok(Self::Problem(Problem { message: shortened(&message, MAX_PROBLEM_TEXT).into_owned() }))
            }
            Some("overlap") => fields(text).map(Self::Overlap),
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
        message::encode(self)
    }
}

/// A frame that is not a message of this protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageError {
    /// The rule that the frame broke.
    pub(crate) code: ErrorCode,
    /// A sentence that says what is wrong.
    pub(crate) message: String,
    /// The type of the frame, if it has one.
    about: Option<String>,
    /// The number of a batch.
    number: Option<u64>,
}

impl MessageError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: shortened(&message.into(), MAX_ERROR_TEXT).into_owned(), about: None, number: None }
    }
}

impl From<MessageError> for ToExtension {
    fn from(MessageError { code, message, about, number }: MessageError) -> Self {
        Self::Error { code, message, about, number }
    }
}

/// The two fields that every message has.
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

    fn about(&self) -> Option<String> {
        self.type_name().map(|name| shortened(&name, MAX_QUOTE).into_owned())
    }

    /// Returns the number of a batch, even if the rest of the batch can't be used.
    fn batch(&self, text: &str) -> Option<u64> {
        #[derive(Deserialize)]
        struct Batch {
            number: u64,
        }
        self.type_name().filter(|name| name == "observed")?;
        serde_json::from_str(text).ok().map(|Batch { number }| number)
    }

    fn unknown_type(&self) -> MessageError {
        let found = self.r#type.map_or_else(|| "(none)".to_owned(), quoted);
        let message = format!("unknown message type {found}: expected {TYPES}");
        MessageError::new(ErrorCode::UnknownType, message)
    }
}

/// Reads the fields of one type of message.
fn fields<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, MessageError> {
    serde_json::from_str(text).map_err(|error| MessageError::new(ErrorCode::Invalid, error.to_string()))
}

fn quoted(value: &RawValue) -> String {
    shortened(value.get(), MAX_QUOTE).into_owned()
}
