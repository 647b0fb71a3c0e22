//! Says to which hosts headers went that the client has not navigated to. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::base::text::counted;
use crate::observe::counts::MAX_HOSTS;
use crate::run::state::TracedSession;

/// Number of hosts that the sentence names.
const MAX_NAMED: usize = 3;

/// Returns a sentence about the hosts beside those that the client has navigated to and their subdomains; `None` if there are none.
pub(super) fn sentence(sessions: &[TracedSession]) -> Option<String> {
    let own: BTreeSet<&str> =
        sessions.iter().flat_map(|session| &session.counts.client_hosts).map(String::as_str).collect();
    let mut others: BTreeMap<&str, bool> = BTreeMap::new();
    for (host, failed) in sessions.iter().flat_map(|session| &session.counts.hosts) {
        if !is_covered(host, &own) {
            *others.entry(host).or_default() |= *failed;
        }
    }
    if others.is_empty() {
        return None;
    }
    let at_least =
        if sessions.iter().any(|session| session.counts.hosts.len() >= MAX_HOSTS) { "at least " } else { "" };
    let failed: Vec<&str> = others.iter().filter(|(_, failed)| **failed).map(|(host, _)| *host).collect();
    let failures = match failed.len() {
        0 => String::new(),
        count => format!("; requests to {count} of them failed ({})", shortened(&failed)),
    };
    // Targets that leave out hosts of the user would stop their tracing.
    let patterns: Vec<String> = own.iter().filter(|host| !is_subdomain(host, &own)).map(|host| pattern(host)).collect();
    let are_told = !patterns.is_empty() && patterns.len() <= MAX_NAMED;
    let targets = if are_told { format!("'{}'", patterns.join(",")) } else { "PATTERNS".to_owned() };
    Some(format!(
        "headers also went to {at_least}{} that the client did not navigate to{failures}; use --targets {targets} to prevent that",
        counted(others.len(), "host")
    ))
}

/// Returns whether a host is below one of these.
fn is_subdomain(host: &str, of: &BTreeSet<&str>) -> bool {
    host.split_once('.').is_some_and(|(_, parent)| is_covered(parent, of))
}

/// Returns whether a host is one of these or a subdomain of one.
fn is_covered(host: &str, own: &BTreeSet<&str>) -> bool {
    let mut rest = Some(host);
    while let Some(name) = rest {
        if own.contains(name) {
            return true;
        }
        rest = name.split_once('.').map(|(_, parent)| parent);
    }
    false
}

fn shortened(hosts: &[&str]) -> String {
    let more = if hosts.len() > MAX_NAMED { ", …" } else { "" };
    format!("{}{more}", hosts[..hosts.len().min(MAX_NAMED)].join(", "))
}

/// Returns the match pattern of a host and its subdomains.
fn pattern(host: &str) -> String {
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    format!("*://{}{host}/*", if is_address { "" } else { "*." })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::context::targets;
    use crate::observe::counts::SessionCounts;
    use crate::run::reports::Report;
    use crate::run::state::RunState;

    /// Returns the sentence about sessions with these hosts of the client and these others, of which those with a `!` failed.
    fn said(sessions: &[(&[&str], &[&str])]) -> Option<String> {
        let mut state = RunState::default();
        for (number, (own, hosts)) in sessions.iter().enumerate() {
            state.connected(number);
            let trace_id = format!("{:032x}", number + 1).parse().unwrap();
            let span_id = "00f067aa0ba902b7".parse().unwrap();
            let session = Report::Session { trace_id, span_id, sampled: true, off_the_record: true };
            state.apply(number, session, Instant::now());
            let counts = SessionCounts {
                client_hosts: own.iter().map(|host| (*host).to_owned()).collect(),
                hosts: hosts.iter().map(|host| (host.replace('!', ""), host.ends_with('!'))).collect(),
                ..SessionCounts::default()
            };
            state.apply(number, Report::Counts(counts), Instant::now());
        }
        sentence(&state.sessions)
    }

    #[test]
    fn hosts_that_the_client_opened_are_no_others() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[(&["shop.test"], &["shop.test", "api.shop.test!"])]), None);
        assert_eq!(said(&[(&["a.test"], &["a.test", "b.test"]), (&["b.test"], &["b.test"])]), None);
    }

    #[test]
    fn other_hosts_are_counted_once_and_failures_named() {
        let iteration: (&[&str], &[&str]) = (&["shop.test"], &["shop.test", "ads.test", "myshop.test"]);
        assert_eq!(
            said(&[iteration, iteration, (&["10.0.0.1"], &["ads.test!"])]).unwrap(),
            "headers also went to 2 hosts that the client did not navigate to; requests to 1 of them failed (ads.test); use --targets '*://10.0.0.1/*,*://*.shop.test/*' to prevent that"
        );
        let failed = ["a.test!", "b.test!", "c.test!", "d.test!", "e.test"];
        assert_eq!(
            said(&[(&[], &failed)]).unwrap(),
            "headers also went to 5 hosts that the client did not navigate to; requests to 4 of them failed (a.test, b.test, c.test, …); use --targets PATTERNS to prevent that"
        );
        let own = ["b.test", "a.test", "www.a.test", "c.test"];
        assert!(
            said(&[(&own, &["ads.test"])])
                .unwrap()
                .ends_with("use --targets '*://*.a.test/*,*://*.b.test/*,*://*.c.test/*' to prevent that")
        );
        let own = ["b.test", "a.test", "d.test", "c.test"];
        assert!(said(&[(&own, &["ads.test"])]).unwrap().ends_with("use --targets PATTERNS to prevent that"));
        let many: Vec<String> = (0..MAX_HOSTS).map(|number| format!("h{number}.test")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(
            said(&[(&[], &many)])
                .unwrap()
                .starts_with("headers also went to at least 200 hosts that the client did not navigate to; ")
        );
    }

    #[test]
    fn the_patterns_are_valid_targets() {
        let patterns = ["shop.test", "10.0.0.1", "[::1]", "localhost"].map(pattern);
        assert_eq!(targets::patterns(&patterns).map(|patterns| patterns.len()), Ok(4));
    }
}
