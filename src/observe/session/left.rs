//! Requests that are under way when their browser context closes. Chromium reports no end of most of them.

use crate::observe::observation::FailureKind;
use crate::observe::session::Session;
use crate::observe::session::requests::OpenRequest;
use crate::observe::span::{Nanos, Span, SpanError};

/// How long Chromium lets a request outlive its page: a beacon, or a fetch with `keepalive`.
const KEEPALIVE_WAIT: Nanos = 30_000_000_000;

/// Chromium's error of a request that nobody waits for any more.
const ABORTED: &str = "net::ERR_ABORTED";

impl Session {
    /// Marks a request whose browser context has no pages any more. If the context goes on, the request may: a beacon outlives its page.
    pub(super) fn leave_request(&mut self, id: &str, time: Nanos) {
        if let Some(request) = self.requests.get_mut(id) {
            request.left.get_or_insert(time);
        }
    }

    /// Ends the requests that have waited long enough for an end of their own. Uses the time of the observations, as navigations do.
    pub(super) fn end_left_requests(&mut self, spans: &mut Vec<Span>) {
        let latest = self.latest;
        let is_over = |request: &OpenRequest| request.left.is_some_and(|left| left + KEEPALIVE_WAIT <= latest);
        let over = self.requests.iter().filter(|(_, request)| is_over(request)).map(|(id, _)| id.clone());
        for id in over.collect::<Vec<_>>() {
            if let Some(request) = self.requests.remove(&id) {
                self.abandon(request, latest, spans);
            }
        }
    }

    /// Ends a request that was cancelled.
    pub(super) fn cancel(&mut self, mut request: OpenRequest, time: Nanos, spans: &mut Vec<Span>) {
        self.end_hop(&mut request, time, spans, |request| {
            request.error = Some(SpanError::of_name(ABORTED, FailureKind::Cancelled));
        });
    }
}
