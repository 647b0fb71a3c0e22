use super::*;
use crate::observe::counts::SlowestRequest;
use crate::observe::observation::{FailureKind, IssuedFor, NavigationStart, Response, SpanLink};
use crate::observe::session::requests::MAX_OPEN;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ROOT: &str = "00f067aa0ba902b7";
const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";

/// Converts the milliseconds of observations to the nanoseconds of spans.
const fn ns(milliseconds: u64) -> Nanos {
    milliseconds * 1_000_000
}

fn span_id(number: u64) -> SpanId {
    format!("{number:016x}").parse().unwrap()
}

fn session() -> Session {
    Session::new(
        SessionContext {
            trace_id: TRACE.parse().unwrap(),
            span_id: ROOT.parse().unwrap(),
            flags: "01".parse().unwrap(),
        },
        None,
        ns(1000),
    )
}

fn batch(number: u64, observations: Vec<Observation>) -> Observed {
    Observed { worker: "w".into(), number, dropped: 0, session: None, observations }
}

/// A session with the spans that it has returned so far.
struct Recording {
    session: Session,
    number: u64,
    spans: Vec<Span>,
}

impl Recording {
    fn new() -> Self {
        Self { session: session(), number: 0, spans: Vec::new() }
    }

    fn observe(mut self, observations: Vec<Observation>) -> Self {
        self.number += 1;
        self.spans.extend(self.session.observe(&batch(self.number, observations)));
        self
    }

    fn close(mut self, milliseconds: u64) -> Vec<Span> {
        self.spans.extend(self.session.close(ns(milliseconds)));
        self.spans
    }
}

/// Issues a context of another trace, below `parent`.
fn issued(issued_for: IssuedFor, id: u64, parent: Option<u64>, flags: &str) -> Observation {
    Observation::ContextIssued {
        time: 1.0,
        span_id: span_id(id),
        issued_for,
        trace_id: OTHER.parse().unwrap(),
        flags: flags.parse().unwrap(),
        parent: parent.map(span_id),
        tracestate: "a=1".into(),
        links: vec![linked(TRACE, ROOT)],
    }
}

fn started(time: f64, request: &str, id: u64, parent: Option<u64>) -> Observation {
    Observation::RequestStarted {
        time,
        request: request.into(),
        span_id: span_id(id),
        parent: parent.map(span_id),
        trace_id: None,
        caller: None,
        link: None,
        method: "GET".into(),
        url: format!("http://shop.test/{request}"),
        resource: "script".into(),
        navigation: None,
        size: None,
    }
}

fn linked(trace_id: &str, span_id: &str) -> SpanLink {
    SpanLink { trace_id: trace_id.parse().unwrap(), span_id: span_id.parse().unwrap() }
}

/// Starts a navigation with its request.
fn navigates(time: f64, request: &str, id: u64, navigation: u64) -> Observation {
    let mut observation = started(time, request, id, Some(navigation));
    if let Observation::RequestStarted { navigation, .. } = &mut observation {
        *navigation = Some(NavigationStart { tab_id: 7, started: time - 2.0, by_page: false });
    }
    observation
}

fn completed(time: f64, request: &str, status: u16) -> Observation {
    Observation::RequestCompleted {
        time,
        request: request.into(),
        response: Response { status, ..Response::default() },
    }
}

fn redirected(time: f64, request: &str) -> Observation {
    Observation::RequestRedirected {
        time,
        request: request.into(),
        response: Response { status: 302, ..Response::default() },
    }
}

fn failed(time: f64, request: &str, error: &str) -> Observation {
    Observation::RequestFailed {
        time,
        request: request.into(),
        error: error.into(),
        kind: if error == "net::ERR_ABORTED" { FailureKind::Cancelled } else { FailureKind::Failed },
        span_id: span_id(0xff),
        parent: None,
        method: "GET".into(),
        url: "http://shop.test/failed".into(),
        resource: "image".into(),
    }
}

fn committed(time: f64, navigation: u64) -> Observation {
    Observation::NavigationCommitted {
        time,
        span_id: span_id(navigation),
        tab_id: 7,
        url: format!("http://shop.test/page{navigation}"),
        started: time,
        transition: "typed".into(),
    }
}

fn measured(time: f64, navigation: u64, lcp: f64) -> Observation {
    let vitals = [("lcp".to_owned(), lcp)].into();
    Observation::PageMeasured { time, span_id: span_id(navigation), vitals, timing: [].into() }
}

/// Shows each span as `id<parent start-end`, in milliseconds, with its operation and its error.
fn summary(spans: &[Span]) -> Vec<String> {
    let short = |id: SpanId| id.to_string().trim_start_matches('0').to_owned();
    let line = |span: &Span| {
        let parent = span.parent.map_or_else(|| "-".to_owned(), short);
        let what = match &span.operation {
            Operation::Test(_) | Operation::Step(_) => unreachable!("a browser has no tests"),
            Operation::Session => "session".to_owned(),
            Operation::Tab => "tab".to_owned(),
            Operation::Context => "context".to_owned(),
            Operation::Navigation(navigation) => {
                let outcome =
                    if navigation.failed { "failed" } else { navigation.committed.map_or("open", |_| "committed") };
                format!("navigation {outcome} {:?}", navigation.error)
            }
            Operation::Request(request) => {
                format!("{:?} resent {} {:?}", request.status, request.resend_count, request.error)
            }
        };
        let unfinished = if span.unfinished { " unfinished" } else { "" };
        format!("{}<{parent} {}-{} {what}{unfinished}", short(span.id), span.start / ns(1), span.end / ns(1))
    };
    spans.iter().map(line).collect()
}

#[test]
fn a_page_load_is_a_navigation_with_requests_below_the_root() {
    let recording = Recording::new().observe(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        started(2020.0, "2", 0x11, Some(0xa)),
        completed(2030.0, "2", 404),
        Observation::DocumentParsed { time: 2031.0, span_id: span_id(0xa) },
        Observation::DocumentLoaded { time: 2040.0, span_id: span_id(0xa) },
        measured(2041.0, 0xa, 30.0),
        measured(2941.0, 0xa, 35.5),
    ]);
    let counts = recording.session.counts().clone();
    let spans = recording.close(5000);
    assert_eq!(
        summary(&spans),
        [
            "10<a 2000-2010 Some(200) resent 0 None",
            "11<a 2020-2030 Some(404) resent 0 Some(Status(404))",
            "a<f067aa0ba902b7 1998-2040 navigation committed None",
            "f067aa0ba902b7<- 1000-5000 session",
        ]
    );
    let Operation::Navigation(navigation) = &spans[2].operation else { panic!("{:?}", spans[2]) };
    assert_eq!(
        (navigation.committed, navigation.parsed, navigation.loaded),
        (Some(ns(2012)), Some(ns(2031)), Some(ns(2040)))
    );
    assert_eq!(&*navigation.url, "http://shop.test/page10");
    assert_eq!(navigation.vitals, [("lcp".to_owned(), 35.5)].into());
    assert_eq!((counts.navigations, counts.requests, counts.failures), (1, 2, 1));
    assert_eq!(counts.slowest.unwrap(), SlowestRequest { duration: ns(10), name: "GET http://shop.test/1".into() });
}

#[test]
fn each_redirect_hop_and_attempt_has_a_span_and_counts() {
    let spans = Recording::new()
        .observe(vec![
            navigates(2000.0, "1", 0x10, 0xa),
            redirected(2005.0, "1"),
            navigates(2006.0, "1", 0x11, 0xa),
            // Without a redirect this is another attempt: the server asked for credentials.
            navigates(2010.0, "1", 0x12, 0xa),
            completed(2020.0, "1", 200),
        ])
        .close(2020);
    assert_eq!(
        summary(&spans)[..3],
        [
            "10<a 2000-2005 Some(302) resent 0 None",
            "11<a 2006-2010 None resent 1 None",
            "12<a 2010-2020 Some(200) resent 2 None",
        ]
    );
    assert_eq!((spans[3].start, spans[3].end), (ns(1998), ns(2020)));
}

#[test]
fn a_navigation_waits_for_late_requests_of_a_gone_document() {
    let recording = Recording::new().observe(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        navigates(3000.0, "2", 0x11, 0xb),
        completed(3010.0, "2", 200),
        committed(3012.0, 0xb),
        started(3013.0, "3", 0x12, Some(0xa)),
    ]);
    let recording = recording.observe(vec![completed(6000.0, "3", 204)]);
    assert!(recording.spans.iter().all(|span| span.id != span_id(0xa)), "its last request has only just ended");
    let recording = recording.observe(vec![started(8001.0, "4", 0x13, Some(0xb))]);
    let ended = recording.spans.iter().find(|span| span.id == span_id(0xa)).unwrap();
    assert_eq!((ended.start, ended.end, ended.unfinished), (ns(1998), ns(6000), false));
    // A request after that does not begin the navigation again.
    let spans = recording.observe(vec![started(8002.0, "5", 0x14, Some(0xa)), completed(8003.0, "5", 200)]).close(9000);
    assert_eq!(spans.iter().filter(|span| span.id == span_id(0xa)).count(), 1);
    assert_eq!(spans.iter().find(|span| span.id == span_id(0x14)).unwrap().parent, Some(span_id(0xa)));
}

#[test]
fn spans_open_at_the_end_are_marked_unfinished() {
    let spans = Recording::new()
        .observe(vec![
            navigates(2000.0, "1", 0x10, 0xa),
            started(2001.0, "2", 0x11, None),
            started(2002.0, "3", 0x12, Some(0xc)),
        ])
        .close(2500);
    assert_eq!(
        summary(&spans),
        [
            "10<a 2000-2500 None resent 0 None unfinished",
            "11<f067aa0ba902b7 2001-2500 None resent 0 None unfinished",
            "12<f067aa0ba902b7 2002-2500 None resent 0 None unfinished",
            "a<f067aa0ba902b7 1998-2500 navigation open None unfinished",
            "f067aa0ba902b7<- 1000-2500 session",
        ]
    );
}

#[test]
fn a_failed_navigation_has_its_requests_error_and_counts_once() {
    let recording = Recording::new().observe(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        failed(2010.0, "1", "net::ERR_CONNECTION_REFUSED"),
        Observation::NavigationFailed { time: 2011.0, span_id: span_id(0xa), end: None },
        Observation::NavigationFailed { time: 2012.0, span_id: span_id(0xa), end: None },
        // The next navigation comes from the back-forward cache and has no request.
        committed(3000.0, 0xb),
        Observation::TabClosed { time: 3100.0, tab_id: 7 },
    ]);
    assert_eq!(recording.session.counts().navigations, 2);
    assert_eq!(
        summary(&recording.close(3200))[1..],
        [
            "a<f067aa0ba902b7 1998-2012 navigation failed Some(Network(\"net::ERR_CONNECTION_REFUSED\"))",
            "b<f067aa0ba902b7 3000-3000 navigation committed None",
            "f067aa0ba902b7<- 1000-3200 session",
        ]
    );
}

#[test]
fn a_request_of_an_unknown_trace_is_its_root() {
    let mut stray = started(2000.0, "1", 0x10, None);
    if let Observation::RequestStarted { trace_id, .. } = &mut stray {
        *trace_id = Some(OTHER.parse().unwrap());
    }
    let spans = Recording::new().observe(vec![stray, completed(2001.0, "1", 200)]).spans;
    assert_eq!((spans[0].trace_id.to_string().as_str(), spans[0].parent), (OTHER, None));
    assert_eq!(spans[0].links, [linked(TRACE, ROOT)], "it links to the session");
}

#[test]
fn a_batch_counts_once_and_dropped_observations_are_counted() {
    let mut session = session();
    let first = batch(1, vec![started(2000.0, "1", 0x10, None), completed(2001.0, "1", 200)]);
    assert_eq!(session.observe(&first).len(), 1);
    assert_eq!(session.observe(&first).len(), 0);
    let other_worker = Observed { worker: "v".into(), dropped: 5, ..first.clone() };
    assert_eq!(session.observe(&other_worker).len(), 1);
    let later = Observed { number: 2, dropped: 7, ..other_worker };
    session.observe(&later);
    assert_eq!((session.counts().requests, session.counts().dropped), (3, 7));
    assert!(session.has(&first) && !session.has(&batch(2, vec![])));
}

#[test]
fn too_many_open_requests_abandon_the_oldest() {
    let requests = 0..u64::try_from(MAX_OPEN).unwrap() + 10;
    let recording =
        Recording::new().observe(requests.map(|id| started(2000.0, &id.to_string(), id + 1, Some(0xa))).collect());
    assert_eq!(recording.spans.len(), 10);
    assert!(recording.spans.iter().all(|span| span.unfinished));
    assert_eq!(recording.close(20_000).len(), MAX_OPEN + 10 + 1);
}

mod contexts;
mod description;
mod documents;
mod exchanges;
mod hosts;
mod iterations;
mod left;
mod parents;
mod properties;
mod steps;
