//! The host's side of the protocol: answers messages, issues contexts, and returns events for the rest of the host.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Mutex;

use crate::base::lock;
use crate::channel::frame::{self, FrameError};
use crate::channel::message::setting::SettingValue;
use crate::channel::message::to_extension::{Configured, ToExtension};
use crate::channel::message::to_host::{Armed, Choose, Hello, Overlap, Problem, Replenish, Store, ToHost};
use crate::context::issuer::{Issuer, SessionContext};
use crate::context::mode::{Mode, WantedMode};
use crate::context::policy::{Policy, Scope};
use crate::context::targets::MatchPattern;
use crate::context::traceparent::SpanContext;
use crate::export::resource::BrowserInfo;
use crate::observe::observation::Observed;
use crate::observe::privacy::Privacy;

/// Contexts in every `session` message: enough for the tabs that the extension prepares ahead and for the first navigations.
const FIRST_STOCK: usize = 96;

/// Traces in every `session` message under the scopes `session` and `context`, where few are asked for at once.
const FEW_TRACES: usize = 8;

/// An event for the rest of the host.
#[derive(Debug, Clone, PartialEq)]
pub enum HostEvent {
    /// The extension said hello and got its session.
    Session {
        /// The session's root span.
        session: SessionContext,
        /// The foreign span that the session's trace continues.
        parent: Option<SpanContext>,
        /// The extension's version.
        extension: String,
        /// Whether the extension may act in off-the-record contexts.
        off_the_record: bool,
        /// The browser's own description.
        browser: Option<BrowserInfo>,
    },
    /// Headers are in place for every request that follows.
    Armed(Mode),
    /// A batch of observations of the browser.
    Observed(Observed),
    /// A sentence for the user.
    Problem(String),
    /// A browser context has opened while others may be open: the number of contexts so far.
    Overlap(u32),
    /// The extension asks for the settings that config.toml can have.
    SettingsRequested,
    /// The extension changes values in config.toml, by their keys; `None` removes a key.
    Store(BTreeMap<String, Option<SettingValue>>),
    /// A message could not be used, for this reason.
    Rejected(String),
}

/// A conversation with one extension. Decides every answer, does no I/O.
#[derive(Debug)]
pub struct Conversation {
    /// The policy in force: the configured one with the user's choices for this session.
    policy: Policy,
    /// What that policy lets the host know of observations.
    privacy: Privacy,
    configured: Policy,
    link: Option<String>,
    /// The address that spans are sent to; `None` if they are not exported.
    endpoint: Option<String>,
    mode: WantedMode,
    web_vitals: bool,
    k6_spans: bool,
    issuer: Option<Issuer>,
}

impl Conversation {
    /// Begins a conversation. Continues the session of an earlier host if there was one, else begins a session at the `hello`.
    #[must_use]
    pub fn new(policy: Policy, mode: WantedMode, earlier: Option<SessionContext>) -> Self {
        let issuer = earlier.map(|session| Issuer::resume(policy.clone(), session));
        let privacy = Privacy::of(&policy);
        Self {
            configured: policy.clone(),
            policy,
            privacy,
            link: None,
            endpoint: None,
            mode,
            web_vitals: false,
            k6_spans: false,
            issuer,
        }
    }

    /// Sets the template for links to traces and the address that spans are sent to (default none).
    pub(crate) fn with_export(self, link: Option<String>, endpoint: Option<String>) -> Self {
        Self { link, endpoint, ..self }
    }

    /// Turns page measurement on or off (default off).
    pub(crate) fn with_web_vitals(self, web_vitals: bool) -> Self {
        Self { web_vitals, ..self }
    }

    /// Sets whether the span ids that k6 gives pages are wanted (default no).
    pub(crate) fn with_k6_spans(self, k6_spans: bool) -> Self {
        Self { k6_spans, ..self }
    }

    /// Handles the body of a frame, and returns the answer and the event if there are any.
    pub(crate) fn handle(&mut self, body: &[u8]) -> (Option<ToExtension>, Option<HostEvent>) {
        match ToHost::decode(body) {
            Ok(message) => self.handle_message(message),
            Err(error) => {
                let event = HostEvent::Rejected(error.message.clone());
                (Some(error.into()), Some(event))
            }
        }
    }

    fn handle_message(&mut self, message: ToHost) -> (Option<ToExtension>, Option<HostEvent>) {
        match message {
            ToHost::Hello(Hello { extension, off_the_record, session, browser }) => {
                if let Some(session) = session {
                    self.issuer = Some(Issuer::resume(self.policy.clone(), session));
                }
                let answer = self.session_message();
                let session = self.issuer().session();
                let parent = self.policy.parent.clone().filter(|parent| parent.trace_id == session.trace_id);
                let event = HostEvent::Session { session, parent, extension, off_the_record, browser };
                (Some(answer), Some(event))
            }
            ToHost::Armed(Armed { mode }) => (None, Some(HostEvent::Armed(mode))),
            ToHost::Observed(mut observed) => {
                self.privacy.apply(&mut observed);
                (None, Some(HostEvent::Observed(observed)))
            }
            ToHost::Replenish(Replenish { count, traces }) => {
                let issuer = self.issuer();
                (Some(ToExtension::Contexts { contexts: issuer.contexts(count), traces: issuer.traces(traces) }), None)
            }
            ToHost::Problem(Problem { message }) => (None, Some(HostEvent::Problem(message))),
            ToHost::Overlap(Overlap { opened }) => (None, Some(HostEvent::Overlap(opened))),
            ToHost::Choose(Choose { ratio, targets, resources }) => {
                match self.configured.with_choice(ratio, targets.as_deref(), resources.as_deref()) {
                    Ok(policy) => {
                        let session = self.issuer().session();
                        self.issuer = Some(Issuer::resume(policy.clone(), session));
                        self.privacy = Privacy::of(&policy);
                        self.policy = policy;
                        (Some(self.session_message()), None)
                    }
                    Err(message) => (Some(ToExtension::refusal("choose", message)), None),
                }
            }
            ToHost::Settings => (None, Some(HostEvent::SettingsRequested)),
            ToHost::Store(Store { values }) => (None, Some(HostEvent::Store(values))),
        }
    }

    /// Builds the answer to `hello` and `choose`.
    fn session_message(&mut self) -> ToExtension {
        let texts = |patterns: &[MatchPattern]| patterns.iter().map(ToString::to_string).collect();
        let configured = Configured {
            link: self.link.clone(),
            endpoint: self.endpoint.clone(),
            ratio: self.configured.sampler.ratio,
            parent_based: self.configured.sampler.parent_based,
            targets: texts(&self.configured.targets),
            exclude: texts(&self.configured.exclude),
            resources: self.configured.resources.words().into_iter().map(ToOwned::to_owned).collect(),
        };
        let (mode, exports, web_vitals, k6_spans) =
            (self.mode, self.endpoint.is_some(), self.web_vitals, self.k6_spans);
        let issuer = self.issuer();
        let (session, policy) = (issuer.session(), issuer.policy());
        let traces = if matches!(policy.scope(), Scope::Session | Scope::Context) { FEW_TRACES } else { FIRST_STOCK };
        ToExtension::Session {
            host: env!("CARGO_PKG_VERSION").to_owned(),
            mode,
            exports,
            // Measurements are useful only in spans that are exported.
            web_vitals: web_vitals && (session.flags.is_sampled() || policy.samples_parts()),
            k6_spans,
            redact: policy.redaction.names().to_vec(),
            propagation: Box::new(policy.propagation(session.trace_id)),
            session,
            contexts: issuer.contexts(FIRST_STOCK),
            traces: issuer.traces(traces),
            configured: Box::new(configured),
        }
    }

    fn issuer(&mut self) -> &Issuer {
        self.issuer.get_or_insert_with(|| Issuer::start(self.policy.clone()))
    }
}

/// Serves one channel until its input ends. Passes events to `on_event`, and sends the answer that it returns.
///
/// # Errors
///
/// Fails when a frame can't be read or an answer can't be written. A message that can't be used is answered and is no error.
pub fn serve(
    input: &mut impl Read,
    output: &Mutex<impl Write>,
    mut conversation: Conversation,
    mut on_event: impl FnMut(HostEvent) -> Option<ToExtension>,
) -> Result<(), FrameError> {
    let mut body = Vec::new();
    while frame::read(input, &mut body)? {
        let (answer, event) = conversation.handle(&body);
        if let Some(answer) = answer {
            send(output, &answer)?;
        }
        if let Some(answer) = event.and_then(&mut on_event) {
            send(output, &answer)?;
        }
    }
    Ok(())
}

/// Sends a message as one frame. Threads may send at the same time.
pub(crate) fn send(output: &Mutex<impl Write>, message: &ToExtension) -> Result<(), FrameError> {
    frame::write(&mut *lock(output), &message.encode())
}
