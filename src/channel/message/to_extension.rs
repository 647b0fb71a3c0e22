//! Messages from the host to the extension.

use serde::{Deserialize, Serialize};

use crate::channel::message::setting::SettingInfo;
use crate::channel::message::{self, ErrorCode};
use crate::context::issuer::{NavigationContext, SessionContext};
use crate::context::mode::WantedMode;
use crate::context::policy::Propagation;
use crate::export::ExporterState;
use crate::run::test_runner::messages::TestContext;

/// A message from the host to the extension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum ToExtension {
    /// Answers `hello`.
    Session {
        /// The host's version.
        host: String,
        /// The mode that the user wants.
        mode: WantedMode,
        /// Whether spans are exported, so that requests are worth observing.
        exports: bool,
        /// Whether to measure navigation timing and web vitals in pages.
        web_vitals: bool,
        /// Whether to tell of the span ids that k6 gives pages.
        #[serde(default)]
        #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
        k6_spans: bool,
        /// Names of the parameters in addresses whose values are secret, in lower case and without punctuation; `*` stands for any beginning.
        #[serde(default)]
        redact: Vec<String>,
        /// How requests carry contexts.
        propagation: Box<Propagation>,
        /// The session's root span.
        session: SessionContext,
        /// Contexts in stock, for the navigations to come.
        contexts: Vec<NavigationContext>,
        /// Traces in stock, for navigations that begin a trace of their own.
        traces: Vec<SessionContext>,
        /// The configured policy, whatever the user has chosen since.
        configured: Box<Configured>,
    },
    /// Answers `replenish`.
    Contexts {
        /// More contexts for the navigations to come.
        contexts: Vec<NavigationContext>,
        /// More traces.
        traces: Vec<SessionContext>,
    },
    /// The host has saved a batch of observations; the extension may drop it.
    Received {
        /// The worker that observed.
        worker: String,
        /// The batch's number.
        #[cfg_attr(test, ts(type = "number"))]
        number: u64,
    },
    /// Answers `overlap`.
    Overlap {
        /// The number in the question.
        opened: u32,
        /// Whether the browser goes on reporting the requests of all browser contexts that were open then.
        kept: bool,
        /// Whether the host has closed a browser context of its own meanwhile: one that opened in that moment may not be reported.
        closed: bool,
        /// The windows of each browser context, by Chrome's ids. An earlier host does not say.
        #[serde(default)]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<Vec<i32>>>"))]
        windows: Vec<Vec<i32>>,
    },
    /// The test that drives the browser has changed. Contexts that open from now on belong to its trace.
    Test {
        /// The context of its span; null between two tests.
        test: Option<TestContext>,
    },
    /// What became of spans so far. Sent when it changes.
    Exporter(ExporterState),
    /// Answers `settings` and `store`.
    Settings {
        /// The path of config.toml, which may not exist; null when the user has no home.
        file: Option<String>,
        /// Whether config.toml exists.
        exists: bool,
        /// Every setting that config.toml can have.
        settings: Vec<SettingInfo>,
    },
    /// A message could not be used.
    Error {
        /// The rule that the message broke.
        code: ErrorCode,
        /// A sentence that says what is wrong.
        message: String,
        /// The type of the message; missing if it has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        about: Option<String>,
        /// The number of the batch, if the message is `observed` and has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional, type = "number"))]
        number: Option<u64>,
    },
}

impl ToExtension {
    /// Returns the answer to a message of type `about` that asks for what the host can't do.
    pub(crate) fn refusal(about: &str, message: String) -> Self {
        Self::Error { code: ErrorCode::Refused, message, about: Some(about.to_owned()), number: None }
    }

    /// Writes the message as the body of a frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        message::encode(self)
    }
}

/// The configured policy, as the user wrote it, for display.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Configured {
    /// The template for links to traces.
    pub link: Option<String>,
    /// The address that spans are sent to; null when the export is off.
    pub endpoint: Option<String>,
    /// The share of traces that are sampled, from 0 to 1.
    pub ratio: f64,
    /// Whether a trace that continues another one takes over its sampling decision.
    pub parent_based: bool,
    /// Match patterns of the URLs that get headers.
    pub targets: Vec<String>,
    /// Match patterns of the URLs that never get headers.
    pub exclude: Vec<String>,
    /// Names of the kinds of requests that have a span of their own.
    pub resources: Vec<String>,
}
