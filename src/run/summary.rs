//! What `navtrace run` says at its end. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use url::Url;

use crate::base::text::counted;
use crate::collect::store::CollectedTrace;
use crate::context::ids::TraceId;
use crate::export::journal::ExportCounts;
use crate::observe::counts::{SessionCounts, SlowestRequest};
use crate::run::collector::Finished;
use crate::run::ledger::{Ledger, Trace};
use crate::view::link::{LinkTemplate, LinkedTrace};

/// How much of a path a summary shows.
const LONGEST_PATH: usize = 60;

/// One line per trace, and how often a problem came up that was told once.
pub(crate) fn summary(ledger: &Ledger, collected: Option<&Finished>, link: Option<&LinkTemplate>) -> Vec<String> {
    let repeated = |problems: &BTreeMap<String, usize>| -> Vec<String> {
        let often = problems.iter().filter(|(_, count)| **count > 1);
        often.map(|(problem, count)| format!("{count} times: {problem}")).collect()
    };
    let mut lines = repeated(&ledger.problems);
    if ledger.further_problems > 0 {
        lines.push(format!("{} more, not told one by one", counted(ledger.further_problems, "problem")));
    }
    let own: BTreeSet<[u8; 16]> = ledger.traces.iter().map(|trace| trace.id.bytes()).collect();
    let further: usize = ledger.traces.iter().map(|trace| trace.tally.other_traces).sum();
    if ledger.traces.is_empty() {
        lines.push(
            "no browser was traced: did the command start one? (Playwright and Selenium need to be given CHROME_BIN as the browser's path)"
                .to_owned(),
        );
    } else {
        let sessions = ledger.traces.len();
        let traces = own.len() + further;
        // Where they are all part of somebody else's, for instance, or in several.
        let apart = (traces != sessions).then(|| format!(", {}", counted(sessions, "session")));
        lines.push(format!("{}{}", counted(traces, "trace"), apart.unwrap_or_default()));
        let seen = |trace: &Trace| collected?.contents.traces.get(&trace.id.bytes());
        lines.extend(ledger.traces.iter().map(|trace| trace_line(trace, seen(trace), link)));
    }
    if let Some(collected) = collected {
        let others = collected.contents.traces.keys().filter(|id| !own.contains(*id)).count();
        let others = others.saturating_sub(further);
        if others > 0 {
            lines.push(format!("{} more, without a browser of this run", counted(others, "trace")));
        }
        lines.extend(collected.lines());
    }
    lines
}

/// Everything about one trace, its parts two blanks apart.
fn trace_line(trace: &Trace, seen: Option<&CollectedTrace>, link: Option<&LinkTemplate>) -> String {
    let SessionCounts { navigations, requests, failures, cache_hits, slowest, dropped, other_traces, named_traces } =
        &trace.tally;
    let some = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let ended = trace.ended.map(|ended| ended.duration_since(trace.started));
    let parts = [
        Some(trace.id.to_string()),
        also_in(named_traces, *other_traces),
        Some(counted(*navigations, "navigation")),
        Some(counted(*requests, "request")),
        some(*failures, "failed"),
        some(*cache_hits, "from cache"),
        some(usize::try_from(*dropped).unwrap_or(usize::MAX), "events not seen"),
        Some(ended.map_or("not ended".to_owned(), |duration| format!("{:.2} s", duration.as_secs_f64()))),
        slowest.as_ref().map(slowest_request),
        seen.and_then(services),
        Some(trace.mode.map_or("never armed".to_owned(), |mode| format!("{mode} mode"))),
        Some(trace.exported.map_or("export not ended".to_owned(), |exported| export_state(exported, trace.sampled))),
        link.map(|link| link_to(trace, seen, link)),
    ];
    format!("  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

/// The traces besides its own that a session was in.
fn also_in(named: &[TraceId], count: usize) -> Option<String> {
    let ids = named.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let more = count.saturating_sub(named.len());
    match (count, more) {
        (0, _) => None,
        (_, 0) => Some(format!("also in {ids}")),
        (_, more) => Some(format!("also in {ids} and {more} more")),
    }
}

/// The services behind the browser.
fn services(seen: &CollectedTrace) -> Option<String> {
    let behind = seen.services.iter().filter(|name| Some(*name) != seen.root_service.as_ref());
    let names: Vec<&str> = behind.map(String::as_str).collect();
    (!names.is_empty()).then(|| format!("served by {}", names.join(", ")))
}

fn link_to(trace: &Trace, seen: Option<&CollectedTrace>, link: &LinkTemplate) -> String {
    let nanos = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    };
    // Without a collector of its own navtrace does not see the spans, but knows about when they were.
    let (start, end) = seen.map_or_else(
        || {
            let ago = |at: Instant| SystemTime::now() - at.elapsed();
            (nanos(ago(trace.started)), nanos(trace.ended.map_or_else(SystemTime::now, ago)))
        },
        |seen| (seen.start, seen.end),
    );
    let root =
        seen.and_then(|seen| seen.root).map_or_else(String::new, |root| format!("{:016x}", u64::from_be_bytes(root)));
    link.fill(&LinkedTrace { trace_id: &trace.id.to_string(), span_id: &root, start, end })
}

/// The slowest request, without what all addresses have.
fn slowest_request(slowest: &SlowestRequest) -> String {
    let (method, address) = slowest.name.split_once(' ').unwrap_or(("", &slowest.name));
    let path = Url::parse(address).map_or_else(|_| address.to_owned(), |url| url.path().to_owned());
    let path = match path.char_indices().nth(LONGEST_PATH) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path,
    };
    format!("slowest {:.0} ms {method} {path}", Duration::from_nanos(slowest.duration).as_secs_f64() * 1000.0)
}

fn export_state(exported: ExportCounts, sampled: bool) -> String {
    let ExportCounts { exported, refused, spooled, lost } = exported;
    let parts = [(exported, "exported"), (refused, "refused"), (spooled, "kept for later"), (lost, "lost")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", counted(count, "span")))
        .collect();
    match parts.as_slice() {
        [] if !sampled => "not sampled".to_owned(),
        [] => "nothing exported".to_owned(),
        parts => parts.join(", "),
    }
}
