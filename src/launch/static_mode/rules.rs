//! Builds the extension of static mode: a manifest and rules that never change. Pure.
//!
//! The rules do what the session's rules of lightweight mode do (`extension/headers/rules.js`). Of rules that match, the one with the highest
//! priority wins. A rule without resource types matches everything but main frames, so each rule is there twice.

use serde_json::{Value, json};

use crate::context::foreign;
use crate::context::headers::{self, CarriedContext, HeaderChange};
use crate::context::issuer::SessionContext;
use crate::context::policy::{Existing, Policy};
use crate::context::resources::{OtherResources, ResourceType};
use crate::context::targets::MatchPattern;
use crate::launch::static_mode::regex_size;

/// The names of the header by which a script steers its page in other modes. It never leaves the browser.
const STEERING_HEADERS: [&str; 2] = ["sec-ch-navtrace", "navtrace"];

/// The name of the file of rules.
pub(super) const RULES_FILE: &str = "rules.json";

/// Priorities of the rules.
const SESSION: u32 = 1;
const EXCLUDED: u32 = 2;
const STEERING: u32 = 3;

/// Longest part of a pattern that a message repeats, in characters.
const MAX_SHOWN_PATTERN: usize = 100;

/// Members that the manifest shares with that of the extension with a worker. The `key` decides the id.
const SHARED: [&str; 8] = [
    "manifest_version",
    "name",
    "version",
    "description",
    "minimum_chrome_version",
    "key",
    "incognito",
    "host_permissions",
];

/// Builds the manifest of an extension that has rules and nothing else, from that of the extension with a worker.
pub(super) fn manifest(of_worker: &Value) -> Value {
    let mut manifest = json!({
        "permissions": ["declarativeNetRequest"],
        "declarative_net_request": {"rule_resources": [{"id": "session", "enabled": true, "path": RULES_FILE}]},
    });
    for member in SHARED {
        manifest[member] = of_worker[member].clone();
    }
    manifest
}

/// Builds the rules that put a session's context on requests. Also returns a sentence for each pattern that no rule can match.
pub(super) fn rules(policy: &Policy, session: SessionContext) -> (Value, Vec<String>) {
    let (patterns, problems) = UsablePatterns::of(policy);
    let parent = policy.parent.as_ref().filter(|parent| parent.trace_id == session.trace_id);
    let context = CarriedContext {
        span: session,
        tracestate: parent.map(|parent| parent.tracestate.as_str()).unwrap_or_default(),
        // Nothing tells the hosts that a client navigates to from others.
        baggage: if policy.targets.is_empty() { "" } else { &policy.baggage },
    };
    let mut changes = headers::changes(&policy.propagators, context);
    if policy.existing == Existing::Override {
        changes.extend(foreign::removals(&policy.propagators));
    }
    let mut rules = RuleList::default();
    if !changes.is_empty() && !patterns.match_nothing {
        let requests = modify_headers(&changes);
        let mut navigations = requests.clone();
        let timing = format!("traceparent;desc=\"{}\"", headers::traceparent(session));
        navigations["responseHeaders"] = json!([{"header": "Server-Timing", "operation": "append", "value": timing}]);
        let types = match policy.other_resources {
            OtherResources::Session => &[],
            OtherResources::None => policy.resources.kinds(),
        };
        for condition in patterns.targets {
            rules.add_for(types, SESSION, &condition, requests.clone(), navigations.clone());
        }
        for condition in patterns.excluded {
            let allow = json!({"type": "allow"});
            rules.add(EXCLUDED, &condition, allow.clone(), allow);
        }
    }
    let steering = modify_headers(&STEERING_HEADERS.map(|name| HeaderChange { name, value: None }));
    rules.add(STEERING, &json!({}), steering.clone(), steering);
    (Value::Array(rules.0), problems)
}

/// Conditions of rules for the addresses that get headers, and for those among them that get none.
struct UsablePatterns {
    targets: Vec<Value>,
    excluded: Vec<Value>,
    /// Whether no address gets headers.
    match_nothing: bool,
}

impl UsablePatterns {
    /// Sorts out the patterns that no rule can match, and returns a sentence for each of them.
    ///
    /// An exclusion that can't be used must not lead to headers, so then no address gets any.
    fn of(policy: &Policy) -> (Self, Vec<String>) {
        let is_usable = |pattern: &&MatchPattern| pattern.regexes().iter().all(|regex| regex_size::fits(regex));
        let (targets, refused): (Vec<_>, Vec<_>) = policy.targets.iter().partition(is_usable);
        let (excluded, refused_exclusions): (Vec<_>, Vec<_>) = policy.exclude.iter().partition(is_usable);
        let problem = |kind, pattern: &MatchPattern, effect| {
            let shown: String = pattern.to_string().chars().take(MAX_SHOWN_PATTERN).collect();
            format!(
                "the {kind} \"{shown}\" is too long or complex for a rule of the browser, so {effect}: shorten it, or use detailed mode with NAVTRACE_RESOURCES=all"
            )
        };
        let mut problems: Vec<String> =
            refused.iter().map(|pattern| problem("target", pattern, "it gets no headers")).collect();
        problems.extend(refused_exclusions.iter().map(|pattern| problem("exclusion", pattern, "nothing gets headers")));
        let match_nothing = !refused_exclusions.is_empty() || targets.is_empty() && !policy.targets.is_empty();
        let every_address = policy.targets.is_empty().then(|| json!({}));
        let targets = every_address.into_iter().chain(targets.into_iter().flat_map(conditions)).collect();
        let collector = policy.collector.iter().map(|address| starts_with(address));
        let excluded = excluded.into_iter().flat_map(conditions).chain(collector).collect();
        (Self { targets, excluded, match_nothing }, problems)
    }
}

/// Returns the conditions of rules that match a pattern.
fn conditions(pattern: &MatchPattern) -> impl Iterator<Item = Value> {
    pattern.regexes().iter().map(|regex| json!({"regexFilter": regex, "isUrlFilterCaseSensitive": true}))
}

/// Returns the condition of rules that match an address with or without a query.
fn starts_with(address: &str) -> Value {
    json!({"urlFilter": format!("|{address}^"), "isUrlFilterCaseSensitive": true})
}

fn modify_headers(changes: &[HeaderChange]) -> Value {
    let headers = changes.iter().map(|HeaderChange { name, value }| match value {
        Some(value) => json!({"header": name, "operation": "set", "value": value}),
        None => json!({"header": name, "operation": "remove"}),
    });
    json!({"type": "modifyHeaders", "requestHeaders": headers.collect::<Vec<_>>()})
}

/// Rules with ids from 1.
#[derive(Default)]
struct RuleList(Vec<Value>);

impl RuleList {
    /// Adds a rule for everything but main frames, and one for main frames.
    fn add(&mut self, priority: u32, condition: &Value, requests: Value, navigations: Value) {
        self.add_for(&[], priority, condition, requests, navigations);
    }

    /// Adds a rule for these types (all if empty) but main frames, and one for main frames.
    fn add_for(
        &mut self,
        types: &[ResourceType],
        priority: u32,
        condition: &Value,
        requests: Value,
        navigations: Value,
    ) {
        let others: Vec<_> = types.iter().filter(|kind| **kind != ResourceType::MainFrame).collect();
        let mut of_requests = condition.clone();
        let mut of_navigations = condition.clone();
        of_navigations["resourceTypes"] = json!(["main_frame"]);
        if !others.is_empty() {
            of_requests["resourceTypes"] = json!(others);
        }
        // A rule can't be for no type at all.
        let of_requests = (types.is_empty() || !others.is_empty()).then_some((of_requests, requests));
        for (condition, action) in of_requests.into_iter().chain([(of_navigations, navigations)]) {
            let id = self.0.len() + 1;
            self.0.push(json!({"id": id, "priority": priority, "condition": condition, "action": action}));
        }
    }
}

#[cfg(test)]
mod tests;
