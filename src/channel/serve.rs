//! Answers the extension: reads its messages, issues contexts, and tells what it learnt.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Mutex, PoisonError};

use crate::channel::frame::{self, FrameError};
use crate::channel::lasting::Stored;
use crate::channel::message::{
    Armed, Choose, Configured, ErrorCode, Hello, Problem, Replenish, Store, ToExtension, ToHost,
};
use crate::context::issuer::{Issuer, SessionContext};
use crate::context::mode::{Mode, WantedMode};
use crate::context::policy::{Policy, Scope};
use crate::context::targets::MatchPattern;
use crate::context::traceparent::SpanContext;
use crate::export::resource::Browser;
use crate::observe::observation::Observed;

/// Contexts that go with the first answer: enough for the tabs that the extension prepares ahead and the first navigations.
const FIRST_STOCK: usize = 96;

/// Traces that go with it where few are wanted: those that a script asks for.
const FEW_TRACES: usize = 8;

/// What the host learnt from a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The extension said hello and was given its session.
    Session {
        /// The session's root span.
        session: SessionContext,
        /// The span of somebody else's that it is part of, if it is.
        parent: Option<SpanContext>,
        /// The extension's version.
        extension: String,
        /// Whether the extension may act in off-the-record contexts.
        off_the_record: bool,
        /// What the browser says of itself.
        browser: Option<Browser>,
    },
    /// Headers are in place for every request that follows.
    Armed(Mode),
    /// Something happened in the browser.
    Observed(Observed),
    /// Something that the user should know of.
    Problem(String),
    /// The extension asks which settings last.
    SettingsAsked,
    /// config.toml is to say these values.
    Store(BTreeMap<String, Option<Stored>>),
    /// A message could not be used.
    Rejected(String),
}

/// One session's side of the protocol: decides every answer, does no I/O.
#[derive(Debug)]
pub struct Session {
    /// What is in force: as configured, but for what was chosen.
    policy: Policy,
    configured: Policy,
    /// Where to look at traces, and where spans go.
    link: Option<String>,
    endpoint: Option<String>,
    mode: WantedMode,
    web_vitals: bool,
    issuer: Option<Issuer>,
}

impl Session {
    /// Makes a session that is decided on at the extension's `hello`, unless `remembered` is what an earlier host decided.
    pub fn new(policy: Policy, mode: WantedMode, remembered: Option<SessionContext>) -> Self {
        let issuer = remembered.map(|session| Issuer::resume(policy.clone(), session));
        Self { configured: policy.clone(), policy, link: None, endpoint: None, mode, web_vitals: false, issuer }
    }

    /// Has the extension know where to look at traces, and where spans go.
    pub(crate) fn with_places(self, link: Option<String>, endpoint: Option<String>) -> Self {
        Self { link, endpoint, ..self }
    }

    /// Has pages measured, or not, which they are not unless told.
    pub(crate) fn with_web_vitals(self, web_vitals: bool) -> Self {
        Self { web_vitals, ..self }
    }

    /// Takes one frame's body and gives the answer to it, if it has one, and what is to be learnt from it, if anything.
    pub(crate) fn handle(&mut self, body: &[u8]) -> (Option<ToExtension>, Option<Event>) {
        match ToHost::decode(body) {
            Ok(message) => self.handle_message(message),
            Err(error) => {
                let event = Event::Rejected(error.message.clone());
                (Some(error.into()), Some(event))
            }
        }
    }

    fn handle_message(&mut self, message: ToHost) -> (Option<ToExtension>, Option<Event>) {
        match message {
            ToHost::Hello(Hello { extension, off_the_record, session, browser }) => {
                if let Some(session) = session {
                    self.issuer = Some(Issuer::resume(self.policy.clone(), session));
                }
                let answer = self.answer();
                let session = self.issuer().session();
                let parent = self.policy.parent.clone().filter(|parent| parent.trace_id == session.trace_id);
                let event = Event::Session { session, parent, extension, off_the_record, browser };
                (Some(answer), Some(event))
            }
            ToHost::Armed(Armed { mode }) => (None, Some(Event::Armed(mode))),
            ToHost::Observed(observed) => (None, Some(Event::Observed(observed))),
            ToHost::Replenish(Replenish { count, traces }) => {
                let issuer = self.issuer();
                (Some(ToExtension::Contexts { contexts: issuer.contexts(count), traces: issuer.traces(traces) }), None)
            }
            ToHost::Problem(Problem { message }) => (None, Some(Event::Problem(message))),
            ToHost::Choose(Choose { ratio, targets }) => match self.configured.with_choice(ratio, targets.as_deref()) {
                Ok(policy) => {
                    let session = self.issuer().session();
                    self.issuer = Some(Issuer::resume(policy.clone(), session));
                    self.policy = policy;
                    (Some(self.answer()), None)
                }
                Err(message) => (Some(ToExtension::Error { code: ErrorCode::Refused, message }), None),
            },
            ToHost::Settings => (None, Some(Event::SettingsAsked)),
            ToHost::Store(Store { values }) => (None, Some(Event::Store(values))),
        }
    }

    /// Tells what the session is, and how contexts are carried.
    fn answer(&mut self) -> ToExtension {
        let written = |patterns: &[MatchPattern]| patterns.iter().map(ToString::to_string).collect();
        let configured = Configured {
            link: self.link.clone(),
            endpoint: self.endpoint.clone(),
            ratio: self.configured.sampler.ratio,
            parent_based: self.configured.sampler.parent_based,
            targets: written(&self.configured.targets),
            exclude: written(&self.configured.exclude),
        };
        let (mode, web_vitals) = (self.mode, self.web_vitals);
        let issuer = self.issuer();
        let (session, policy) = (issuer.session(), issuer.policy());
        let traces = if policy.scope() == Scope::Session { FEW_TRACES } else { FIRST_STOCK };
        ToExtension::Session {
            host: env!("CARGO_PKG_VERSION").to_owned(),
            mode,
            // What is not exported need not be measured.
            web_vitals: web_vitals && (session.flags.is_sampled() || policy.samples_parts()),
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

/// Serves one channel until its input ends. What the observer gives is answered.
///
/// # Errors
///
/// A [`FrameError`] when a frame can't be read or an answer can't be written. A message that can't be used is answered and is no error.
pub fn serve(
    input: &mut impl Read,
    output: &Mutex<impl Write>,
    mut session: Session,
    mut observer: impl FnMut(Event) -> Option<ToExtension>,
) -> Result<(), FrameError> {
    let mut body = Vec::new();
    while frame::read(input, &mut body)? {
        let (answer, event) = session.handle(&body);
        if let Some(answer) = answer {
            send(output, &answer)?;
        }
        if let Some(answer) = event.and_then(&mut observer) {
            send(output, &answer)?;
        }
    }
    Ok(())
}

/// Sends a message, between those that other threads send.
///
/// # Errors
///
/// A [`FrameError`] when it can't be written.
pub(crate) fn send(output: &Mutex<impl Write>, message: &ToExtension) -> Result<(), FrameError> {
    frame::write(&mut *output.lock().unwrap_or_else(PoisonError::into_inner), &message.encode())
}
