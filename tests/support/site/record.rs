//! Records requests as they arrived.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::{Query, Request};
use axum::http::Version;

/// One of the two origins of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `http://127.0.0.1:PORT`, or the same with `https`.
    Main,
    /// `http://localhost:PORT`, or the same with `https`. It is cross-site to the main one.
    Other,
}

/// One request as the server received it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// When the headers had arrived.
    pub at: Instant,
    pub origin: Origin,
    pub version: Version,
    /// `GET`, `POST`, `OPTIONS`, ...
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The decoded query, in order.
    pub query: Vec<(String, String)>,
    /// All values of the `traceparent` header. More than one is a defect.
    pub traceparent: Vec<String>,
    /// All headers in the order of arrival, but grouped by name, in lower case.
    pub headers: Vec<(String, String)>,
    /// The kind in the URL. A preflight has that of the actual request: see [`Self::label`].
    pub kind: Option<String>,
    /// The navigation in the URL.
    pub nav: Option<String>,
    /// The run in the URL.
    pub run: Option<String>,
}

impl Recorded {
    /// Returns `preflight` for an `OPTIONS`, otherwise the kind in the URL, or `-` without one.
    pub fn label(&self) -> &str {
        if self.method == "OPTIONS" { "preflight" } else { self.kind.as_deref().unwrap_or("-") }
    }

    /// Returns the first value of a header. `name` must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn of(origin: Origin, request: &Request) -> Self {
        let query =
            Query::<Vec<(String, String)>>::try_from_uri(request.uri()).map(|query| query.0).unwrap_or_default();
        let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        Self {
            at: Instant::now(),
            origin,
            version: request.version(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            kind: parameter("kind"),
            nav: parameter("nav"),
            run: parameter("run"),
            traceparent: headers
                .iter()
                .filter(|(name, _)| name == "traceparent")
                .map(|(_, value)| value.clone())
                .collect(),
            headers,
            query,
        }
    }
}

/// The requests so far.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Vec<Recorded>>);

impl Record {
    pub(super) fn add(&self, request: Recorded) {
        self.lock().push(request);
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    pub(super) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn last_arrival(&self) -> Option<Instant> {
        self.lock().last().map(|request| request.at)
    }

    /// Counts the requests of one load of a page by kind.
    pub(super) fn kinds_of(&self, run: &str, nav: &str) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for request in self.lock().iter() {
            // The navigation of a popup or a prerendered page is named after the one that caused it.
            let rest = request.nav.as_deref().and_then(|other| other.strip_prefix(nav));
            let caused = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            if request.run.as_deref() == Some(run) && caused {
                *kinds.entry(request.label().to_owned()).or_default() += 1;
            }
        }
        kinds
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
