//! Removes from observations what must not be told, before anything is stored: addresses that are no targets, and secrets in the others.
//!
//! The extension observes targets only. But it learns them from the host, so a worker that has just started may have observed others.

use std::borrow::Cow;

use regex::RegexSet;

use crate::context::policy::Policy;
use crate::context::redaction::Redaction;
use crate::context::targets::MatchPattern;
use crate::observe::observation::{Observation, Observed};

/// The length from which the extension cuts addresses off. A pattern may not match the rest.
const MAX_ADDRESS: usize = 4096;

/// Decides what may be told of addresses.
#[derive(Debug, Clone)]
pub(crate) struct Privacy {
    /// `None` if every address is a target.
    targets: Option<RegexSet>,
    exclude: RegexSet,
    /// Addresses without a query.
    collector: Vec<String>,
    redaction: Redaction,
}

impl Privacy {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            targets: (!policy.targets.is_empty()).then(|| set(&policy.targets)),
            exclude: set(&policy.exclude),
            collector: policy.collector.clone(),
            redaction: policy.redaction.clone(),
        }
    }

    /// Removes what must not be told from a batch.
    pub(crate) fn apply(&self, observed: &mut Observed) {
        observed.observations.retain_mut(|observation| {
            let url = match observation {
                Observation::RequestStarted { url, .. } | Observation::NavigationCommitted { url, .. } => {
                    if !self.is_target(url) {
                        return false;
                    }
                    url
                }
                // The request may have begun at a target.
                Observation::RequestFailed { url, .. } if !self.is_target(url) => {
                    url.clear();
                    return true;
                }
                Observation::RequestFailed { url, .. } => url,
                _ => return true,
            };
            if let Cow::Owned(redacted) = self.redaction.address(url) {
                *url = redacted;
            }
            true
        });
    }

    fn is_target(&self, url: &str) -> bool {
        let is_cut = url.len() >= MAX_ADDRESS;
        self.targets.as_ref().is_none_or(|targets| is_cut || targets.is_match(url))
            && !self.exclude.is_match(url)
            && !self.collector.iter().any(|address| Some(&**address) == url.split(['?', '#']).next())
    }
}

/// Compiles patterns. Every expression is valid, since [`MatchPattern`] builds it.
fn set(patterns: &[MatchPattern]) -> RegexSet {
    RegexSet::new(patterns.iter().flat_map(MatchPattern::regexes)).unwrap_or_else(|error| {
        tracing::error!("the patterns of targets can't be used: {error}");
        RegexSet::empty()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::context::targets;

    fn patterns(text: &str) -> Vec<MatchPattern> {
        targets::patterns(&[text.to_owned()]).unwrap()
    }

    fn applied(policy: &Policy, observations: &Value) -> Value {
        let batch = json!({ "worker": "w", "number": 1, "dropped": 0, "observations": observations });
        let mut observed: Observed = serde_json::from_value(batch).unwrap();
        Privacy::of(policy).apply(&mut observed);
        serde_json::to_value(observed.observations).unwrap()
    }

    fn started(url: &str) -> Value {
        json!({ "what": "request-started", "time": 1.0, "request": "1", "spanId": "00000000000000aa", "method": "GET", "url": url, "resource": "image" })
    }

    fn failed(url: &str) -> Value {
        json!({ "what": "request-failed", "time": 1.0, "request": "1", "error": "net::ERR_FAILED", "spanId": "00000000000000aa", "method": "GET", "url": url, "resource": "image" })
    }

    fn committed(url: &str) -> Value {
        json!({ "what": "navigation-committed", "time": 1.0, "spanId": "00000000000000aa", "tabId": 1, "url": url, "started": 1.0, "transition": "link" })
    }

    #[test]
    fn nothing_of_other_addresses_is_told() {
        let policy = Policy {
            targets: patterns("https://shop.test/*"),
            exclude: patterns("https://shop.test/private/*"),
            ..Policy::default()
        };
        let long = format!("https://shop.test/?q={}", "x".repeat(MAX_ADDRESS));
        let other = "https://ads.test/?secret";
        let private = "https://shop.test/private/1";
        let told = applied(
            &policy,
            &json!([
                started("https://shop.test/"),
                started(other),
                started(private),
                started(&long),
                failed(other),
                committed(other),
                committed(private),
                committed("https://shop.test/a"),
            ]),
        );
        let expected =
            json!([started("https://shop.test/"), started(&long), failed(""), committed("https://shop.test/a")]);
        assert_eq!(told, expected);
    }

    #[test]
    fn secrets_are_removed_from_every_address() {
        let (url, redacted) = ("https://shop.test/?code=1&q=2", "https://shop.test/?code=REDACTED&q=2");
        let told = applied(&Policy::default(), &json!([started(url), failed(url), committed(url)]));
        assert_eq!(told, json!([started(redacted), failed(redacted), committed(redacted)]));
    }
}
