//! Navigations, from their start to the last request of their document.

use serde::{Deserialize, Serialize};

use crate::context::ids::SpanId;
use crate::observe::observation::Observation;
use crate::observe::session::parents::ParentContext;
use crate::observe::session::{Session, TestStep, remember};
use crate::observe::span::{Nanos, Navigation, Operation, Span, nanos};

/// The number of navigations that may be open at once. Bounds the memory of navigations whose end is never seen.
pub(super) const MAX_OPEN: usize = 5000;

/// How long a navigation waits for late requests of a document that is gone, such as a beacon.
const LATE_REQUEST_WAIT: Nanos = 2_000_000_000;

/// How long a navigation waits for an action that tells of itself when it ends, and may have caused the navigation.
const CAUSE_WAIT: Nanos = 30_000_000_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenNavigation {
    pub(super) start: Nanos,
    /// The end of its latest event or request.
    end: Nanos,
    pub(super) navigation: Navigation,
    /// The number of open requests.
    pub(super) requests: usize,
    /// The innermost step of a test in which it began.
    #[serde(default)]
    pub(super) step: Option<TestStep>,
    /// When it failed or its document was gone. Only late requests may follow.
    #[serde(rename = "over")]
    left: Option<Nanos>,
}

impl OpenNavigation {
    fn new(start: Nanos) -> Self {
        Self { start, end: start, navigation: Navigation::default(), requests: 0, step: None, left: None }
    }

    pub(super) fn extend_to(&mut self, time: Nanos) {
        self.end = self.end.max(time);
    }

    pub(super) fn leave(&mut self, time: Nanos) {
        self.left.get_or_insert(time);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.requests > 0
    }

    /// Returns whether the navigation has neither loaded nor failed.
    pub(super) fn is_loading(&self) -> bool {
        self.left.is_none() && self.navigation.loaded.is_none() && !self.was_open()
    }

    /// Returns whether its document was there before it, so that the document's load was not seen.
    fn was_open(&self) -> bool {
        matches!(self.navigation.transition.as_deref(), Some("already-open" | "new-trace"))
    }

    /// Returns whether it has neither a document nor failed, so it is not counted yet.
    fn is_uncounted(&self) -> bool {
        self.navigation.committed.is_none() && !self.navigation.failed
    }

    /// Returns whether nothing more is expected at this time, if what is late takes at most `wait`.
    fn is_over(&self, time: Nanos, wait: Nanos) -> bool {
        !self.is_busy() && self.left.is_some_and(|left| left.max(self.end) + wait <= time)
    }
}

impl Session {
    /// Applies an event of a navigation, a document or a tab.
    pub(super) fn apply_navigation(&mut self, observation: &Observation, time: Nanos) {
        match observation {
            // The navigation's span is already finished.
            Observation::NavigationCommitted { span_id, .. } | Observation::NavigationFailed { span_id, .. }
                if self.ended.contains(span_id) => {}
            Observation::NavigationCommitted { span_id, tab_id, url, started, transition, .. } => {
                if let Some(before) = self.documents.insert(*tab_id, *span_id).filter(|before| before != span_id) {
                    self.leave_document(before, time);
                }
                let start = nanos(*started).min(time);
                self.started = self.started.min(start);
                let open = self.navigation(*span_id, start);
                open.extend_to(time);
                open.left = None;
                let is_first = open.is_uncounted();
                let navigation = &mut open.navigation;
                // A worker that starts anew tells of its documents again.
                if navigation.committed.is_none() {
                    navigation.url = url.as_str().into();
                    navigation.tab_id = Some(*tab_id);
                    navigation.transition = Some(transition.as_str().into());
                    navigation.committed = Some(time);
                    navigation.failed = false;
                }
                self.counts.navigations += usize::from(is_first);
            }
            Observation::NavigationFailed { span_id, end, .. } => {
                if let Some(open) = self.navigations.get_mut(span_id) {
                    open.extend_to(time);
                    open.left = Some(time);
                    let is_first = open.is_uncounted();
                    open.navigation.failed = open.navigation.committed.is_none();
                    open.navigation.end = *end;
                    self.counts.navigations += usize::from(is_first);
                }
            }
            Observation::DocumentParsed { span_id, .. } => {
                if let Some(open) = self.navigations.get_mut(span_id) {
                    open.extend_to(time);
                    open.navigation.parsed.get_or_insert(time);
                }
            }
            Observation::DocumentLoaded { span_id, .. } => {
                if let Some(open) = self.navigations.get_mut(span_id) {
                    open.extend_to(time);
                    open.navigation.loaded.get_or_insert(time);
                }
            }
            Observation::PageMeasured { span_id, vitals, timing, .. } => {
                if let Some(open) = self.navigations.get_mut(span_id) {
                    open.navigation.vitals.clone_from(vitals);
                    open.navigation.timing.clone_from(timing);
                }
            }
            Observation::TabClosed { tab_id, .. } => {
                if let Some(document) = self.documents.remove(tab_id) {
                    self.leave_document(document, time);
                }
            }
            _ => {}
        }
    }

    /// Returns an open navigation, and begins it if it is new.
    pub(super) fn navigation(&mut self, id: SpanId, start: Nanos) -> &mut OpenNavigation {
        let ParentContext { trace_id, flags, .. } = self.parents.for_navigation(id);
        // The summary names the traces of browser contexts and of tests apart.
        let is_counted =
            self.parents.is_of_context(trace_id) || self.traces.contains(&trace_id) || self.steps.has(trace_id);
        if flags.is_sampled() && !is_counted {
            self.counts.count_trace(trace_id);
            let _ = remember(&mut self.traces, trace_id);
        }
        self.navigations.entry(id).or_insert_with(|| OpenNavigation::new(start))
    }

    fn leave_document(&mut self, navigation: SpanId, time: Nanos) {
        if let Some(open) = self.navigations.get_mut(&navigation) {
            open.leave(time);
        }
    }

    /// Ends the navigations of which nothing more is expected. Uses the time of the observations, so that a replay ends them at the same point.
    pub(super) fn end_navigations(&mut self, spans: &mut Vec<Span>) {
        let latest = self.latest;
        let is_over = |(id, open): &(&SpanId, &OpenNavigation)| {
            open.is_over(latest, LATE_REQUEST_WAIT) && (open.is_over(latest, CAUSE_WAIT) || !self.awaits_cause(**id))
        };
        let over = self.navigations.iter().filter(is_over);
        for id in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_navigation(id, false, spans);
        }
        while self.navigations.len() > MAX_OPEN
            && let Some((id, _)) = self.navigations.iter().min_by_key(|(_, open)| open.end)
        {
            self.end_navigation(*id, true, spans);
        }
    }

    fn end_navigation(&mut self, id: SpanId, unfinished: bool, spans: &mut Vec<Span>) {
        let Some(open) = self.navigations.remove(&id) else { return };
        if let Some(tab_id) = open.navigation.tab_id.filter(|tab_id| self.documents.get(tab_id) == Some(&id)) {
            self.documents.remove(&tab_id);
        }
        if !self.is_exported(&open) {
            spans.push(self.navigation_span(id, open, unfinished));
        }
        if let Some(forgotten) = remember(&mut self.ended, id) {
            self.parents.forget(forgotten);
        }
    }

    /// Returns whether a navigation was exported when the session ended, before this part of it began.
    pub(super) fn is_exported(&self, open: &OpenNavigation) -> bool {
        self.after_end && open.was_open()
    }

    /// Returns whether a navigation is open, or ended a short time ago.
    pub(super) fn knows(&self, id: SpanId) -> bool {
        self.navigations.contains_key(&id) || self.ended.contains(&id)
    }

    pub(super) fn navigation_span(&mut self, id: SpanId, open: OpenNavigation, unfinished: bool) -> Span {
        let mut parent = self.parents.for_navigation(id);
        self.parents.extend_group(&parent, open.start, open.end);
        if let Some(step) = open.step {
            (parent.parent, parent.is_remote) = (Some(step.span_id), true);
        }
        let span = parent.into_span(id, (open.start, open.end), unfinished, Operation::Navigation(open.navigation));
        self.parents.described_once(span)
    }
}
