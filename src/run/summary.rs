//! The lines that `navtrace run` prints at its end. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use url::Url;

use crate::base::clock::{unix_nanos, unix_nanos_now};
use crate::base::text::counted;
use crate::collect::contents::{CollectedTrace, Contents};
use crate::context::ids::TraceId;
use crate::context::mode::Mode;
use crate::export::journal::ExportCounts;
use crate::observe::counts::{ContextCounts, SessionCounts, SlowestRequest};
use crate::run::collector::CollectorReport;
use crate::run::state::{RunState, TracedSession};
use crate::run::test_runner;
use crate::view::link::{LinkTemplate, LinkedTrace};

/// Longest path of a request in a summary, in characters.
const MAX_PATH: usize = 60;

/// Returns a line per session and per browser context, the problems that were reported repeatedly, and the lines of the collector.
pub(super) fn summary(
    state: &RunState,
    collected: Option<&CollectorReport>,
    link: Option<&LinkTemplate>,
) -> Vec<String> {
    let repeated = |problems: &BTreeMap<String, usize>| -> Vec<String> {
        let often = problems.iter().filter(|(_, count)| **count > 1);
        often.map(|(problem, count)| format!("{count} times: {problem}")).collect()
    };
    let mut lines = repeated(&state.problems);
    if state.further_problems > 0 {
        lines.push(format!("{} not shown", counted(state.further_problems, "further problem")));
    }
    let of_sessions = state.sessions.iter().flat_map(TracedSession::traces);
    let of_tests: BTreeSet<[u8; 16]> = state.tests.listed().iter().map(|test| test.context.trace_id.bytes()).collect();
    let own: BTreeSet<[u8; 16]> = of_sessions.map(TraceId::bytes).chain(of_tests.iter().copied()).collect();
    let further: usize =
        state.sessions.iter().map(|session| session.counts.other_traces + session.counts.more_contexts).sum();
    let further = further + state.tests.more_traces();
    let ran_no_test = state.no_test_ran && state.tests.is_empty();
    if state.sessions.is_empty() && !ran_no_test {
        lines.push(
            "no browser was traced: did the command start one? A client that does not find navtrace by itself needs the path in CHROME_BIN"
                .to_owned(),
        );
    }
    if !own.is_empty() {
        let sessions = state.sessions.len();
        let traces = own.len() + further;
        // They differ when sessions share a trace or have several.
        let of_sessions = (traces != sessions).then(|| format!(", {}", counted(sessions, "session")));
        lines.push(format!("{}{}", counted(traces, "trace"), of_sessions.unwrap_or_default()));
    }
    lines.extend(test_runner::summary::lines(&state.tests, link));
    let seen = |trace_id: TraceId| {
        let contents = &collected?.contents;
        Some((contents, contents.traces.get(&trace_id.bytes())?))
    };
    for session in &state.sessions {
        let is_shown = |context: &&ContextCounts| !context.is_of_test && !of_tests.contains(&context.trace_id.bytes());
        let contexts = session.context_traces().unwrap_or_default().iter().filter(is_shown);
        lines.extend(contexts.map(|context| {
            context_line(context, state.k6_spans.label(context.trace_id, None), seen(context.trace_id), link)
        }));
        let iteration = state.k6_spans.label(session.trace_id, Some(session.span_id));
        lines.push(session_line(session, iteration, seen(session.root_trace()), link));
    }
    lines.extend(resources_hint(&state.sessions));
    lines.extend(state.k6_spans.sentence());
    let roots: BTreeSet<_> = state.sessions.iter().map(|session| session.root_trace().bytes()).collect();
    if let Some(collected) = collected {
        let others = collected.contents.traces.keys().filter(|id| !own.contains(*id) && !roots.contains(*id)).count();
        let others = others.saturating_sub(further);
        if others > 0 {
            lines.push(format!("{} more, without a browser of this run", counted(others, "trace")));
        }
        lines.extend(collected.lines());
    }
    lines
}

/// Recommends the cheaper choice of resources where it would leave out most requests.
fn resources_hint(sessions: &[TracedSession]) -> Option<String> {
    let sum = |count: fn(&SessionCounts) -> usize| sessions.iter().map(|session| count(&session.counts)).sum::<usize>();
    let (all, others) = (sum(|counts| counts.requests), sum(|counts| counts.other_kinds));
    (others > all / 2).then(|| {
        format!(
            "{others} of {all} requests were for scripts, styles, images and the like; NAVTRACE_RESOURCES=calls gives spans only to the rest, \
             and costs less"
        )
    })
}

/// Formats a session as one line, its parts separated by two blanks.
fn session_line(
    session: &TracedSession,
    iteration: Option<&str>,
    seen: Option<(&Contents, &CollectedTrace)>,
    link: Option<&LinkTemplate>,
) -> String {
    let SessionCounts {
        navigations, requests, failures, cache_hits, slowest, dropped, other_traces, named_traces, ..
    } = &session.counts;
    let some = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let is_observed = session.is_observed();
    let duration = session.ended.map(|ended| ended.duration_since(session.started));
    let parts = [
        Some(match session.context_traces() {
            Some(_) => {
                format!("session {} of {}", session.root_trace(), counted(session.counts.contexts, "browser context"))
            }
            None => session.trace_id.to_string(),
        }),
        // That of a context is in the context's line.
        iteration.filter(|_| session.context_traces().is_none()).map(ToOwned::to_owned),
        also_in(named_traces, *other_traces),
        is_observed.then(|| counted(*navigations, "navigation")),
        is_observed.then(|| requests_of(*requests)),
        some(*failures, "failed"),
        some(*cache_hits, "from cache"),
        some(usize::try_from(*dropped).unwrap_or(usize::MAX), "observations lost"),
        Some(duration.map_or("not ended".to_owned(), |duration| format!("{:.2} s", duration.as_secs_f64()))),
        slowest.as_ref().map(slowest_request),
        seen.and_then(|(contents, seen)| services(&contents.services_below_root(seen))),
        Some(describe_mode(session.mode)),
        Some(export_state(session)),
        link.map(|link| {
            // Without a collector of its own, the run knows the spans' times from the reports alone.
            let ago = |at: Instant| unix_nanos(SystemTime::now() - at.elapsed());
            let times = (ago(session.started), session.ended.map_or_else(unix_nanos_now, ago));
            link_to(session.root_trace(), seen.map(|(_, seen)| seen), times, link)
        }),
    ];
    format!("  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

/// Formats the trace of a browser context as one line.
fn context_line(
    context: &ContextCounts,
    iteration: Option<&str>,
    seen: Option<(&Contents, &CollectedTrace)>,
    link: Option<&LinkTemplate>,
) -> String {
    let ContextCounts { trace_id, navigations, requests, failures, cache_hits, slowest, start, end, .. } = context;
    let some = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let parts = [
        Some(trace_id.to_string()),
        iteration.map(ToOwned::to_owned),
        Some(counted(*navigations, "navigation")),
        Some(requests_of(*requests)),
        some(*failures, "failed"),
        some(*cache_hits, "from cache"),
        Some(format!("{:.2} s", Duration::from_nanos(end.saturating_sub(*start)).as_secs_f64())),
        slowest.as_ref().map(slowest_request),
        seen.and_then(|(contents, seen)| services(&contents.services_below_root(seen))),
        link.map(|link| link_to(*trace_id, seen.map(|(_, seen)| seen), (*start, *end), link)),
    ];
    format!("  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

fn requests_of(count: usize) -> String {
    if count == 0 { "no requests observed".to_owned() } else { counted(count, "request") }
}

fn describe_mode(mode: Option<Mode>) -> String {
    match mode {
        None => "never armed".to_owned(),
        Some(Mode::Static) => format!("{} mode: navigations and requests have no spans", Mode::Static),
        Some(mode) => format!("{mode} mode"),
    }
}

/// Names the traces that a session has besides its own.
fn also_in(named: &[TraceId], count: usize) -> Option<String> {
    let ids = named.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let more = count.saturating_sub(named.len());
    match (count, more) {
        (0, _) => None,
        (_, 0) => Some(format!("also in {ids}")),
        (_, more) => Some(format!("also in {ids} and {more} more")),
    }
}

/// Names the services behind the browser.
fn services(names: &[&str]) -> Option<String> {
    (!names.is_empty()).then(|| format!("served by {}", names.join(", ")))
}

/// Fills in the link to a trace. `times` are used unless it was collected.
fn link_to(trace_id: TraceId, seen: Option<&CollectedTrace>, times: (u64, u64), link: &LinkTemplate) -> String {
    let (start, end) = seen.and_then(|seen| seen.times).unwrap_or(times);
    let root =
        seen.and_then(|seen| seen.root).map_or_else(String::new, |root| format!("{:016x}", u64::from_be_bytes(root)));
    link.fill(&LinkedTrace { trace_id: &trace_id.to_string(), span_id: &root, start, end })
}

/// Names the slowest request by method and path.
fn slowest_request(slowest: &SlowestRequest) -> String {
    let (method, address) = slowest.name.split_once(' ').unwrap_or(("", &slowest.name));
    let path = Url::parse(address).map_or_else(|_| address.to_owned(), |url| url.path().to_owned());
    let path = match path.char_indices().nth(MAX_PATH) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path,
    };
    format!("slowest {:.0} ms {method} {path}", Duration::from_nanos(slowest.duration).as_secs_f64() * 1000.0)
}

fn export_state(session: &TracedSession) -> String {
    let Some(ExportCounts { exported, refused, spooled, lost }) = session.exported else {
        return "export not ended".to_owned();
    };
    let parts = [(exported, "exported"), (refused, "refused"), (spooled, "kept for later"), (lost, "lost")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", counted(count, "span")))
        .collect();
    match parts.as_slice() {
        [] if !session.sampled => "not sampled".to_owned(),
        [] => "nothing exported".to_owned(),
        parts => parts.join(", "),
    }
}
