use proptest::prelude::*;

use super::*;
use crate::observe::observation::{IssuedFor, Linked, NavigationStart, Response};
use crate::observe::span::Kind;
use crate::observe::tally::Slowest;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ROOT: &str = "00f067aa0ba902b7";
const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";

/// Milliseconds as the observations have them, and as spans do.
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

/// A session that is told of observations at once, and keeps its spans.
struct Told {
    session: Session,
    number: u64,
    spans: Vec<Span>,
}

impl Told {
    fn new() -> Self {
        Self { session: session(), number: 0, spans: Vec::new() }
    }

    fn tell(mut self, observations: Vec<Observation>) -> Self {
        self.number += 1;
        self.spans.extend(self.session.observe(&batch(self.number, observations)));
        self
    }

    fn close(mut self, milliseconds: u64) -> Vec<Span> {
        self.spans.extend(self.session.close(ns(milliseconds)));
        self.spans
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

fn linked(trace_id: &str, span_id: &str) -> Linked {
    Linked { trace_id: trace_id.parse().unwrap(), span_id: span_id.parse().unwrap() }
}

/// A context of another trace, below `parent`.
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

/// The request that a navigation begins with.
fn navigates(time: f64, request: &str, id: u64, navigation: u64) -> Observation {
    let mut observation = started(time, request, id, Some(navigation));
    if let Observation::RequestStarted { navigation, .. } = &mut observation {
        *navigation = Some(NavigationStart { tab_id: 7, started: time - 2.0 });
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
        span_id: span_id(0xff),
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

/// Each span as `id<parent start-end`, in milliseconds, with what it is and what is wrong with it.
fn summary(spans: &[Span]) -> Vec<String> {
    let short = |id: SpanId| id.to_string().trim_start_matches('0').to_owned();
    let line = |span: &Span| {
        let parent = span.parent.map_or_else(|| "-".to_owned(), short);
        let what = match &span.kind {
            Kind::Session => "session".to_owned(),
            Kind::Tab => "tab".to_owned(),
            Kind::Navigation(navigation) => {
                let outcome =
                    if navigation.failed { "failed" } else { navigation.committed.map_or("open", |_| "committed") };
                format!("navigation {outcome} {:?}", navigation.error)
            }
            Kind::Request(request) => {
                format!("{:?} resent {} {:?}", request.status, request.resend_count, request.error)
            }
        };
        let unfinished = if span.unfinished { " unfinished" } else { "" };
        format!("{}<{parent} {}-{} {what}{unfinished}", short(span.id), span.start / ns(1), span.end / ns(1))
    };
    spans.iter().map(line).collect()
}

#[test]
fn a_page_load_is_a_navigation_with_its_requests_below_the_root() {
    let told = Told::new().tell(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        started(2020.0, "2", 0x11, Some(0xa)),
        Observation::ResponseStarted { time: 2024.5, request: "2".into() },
        completed(2030.0, "2", 404),
        Observation::DocumentParsed { time: 2031.0, span_id: span_id(0xa) },
        Observation::DocumentLoaded { time: 2040.0, span_id: span_id(0xa) },
        measured(2041.0, 0xa, 30.0),
        measured(2941.0, 0xa, 35.5),
    ]);
    let tally = told.session.tally().clone();
    let spans = told.close(5000);
    assert_eq!(
        summary(&spans),
        [
            "10<a 2000-2010 Some(200) resent 0 None",
            "11<a 2020-2030 Some(404) resent 0 Some(Status(404))",
            "a<f067aa0ba902b7 1998-2040 navigation committed None",
            "f067aa0ba902b7<- 1000-5000 session",
        ]
    );
    let Kind::Navigation(navigation) = &spans[2].kind else { panic!("{:?}", spans[2]) };
    assert_eq!(
        (navigation.committed, navigation.parsed, navigation.loaded),
        (Some(ns(2012)), Some(ns(2031)), Some(ns(2040)))
    );
    assert_eq!(&*navigation.url, "http://shop.test/page10");
    assert_eq!(navigation.vitals, [("lcp".to_owned(), 35.5)].into());
    let Kind::Request(request) = &spans[1].kind else { panic!("{:?}", spans[1]) };
    assert_eq!(request.responded, Some(2_024_500_000));
    assert_eq!((tally.navigations, tally.requests, tally.failures), (1, 2, 1));
    assert_eq!(tally.slowest.unwrap(), Slowest { duration: ns(10), name: "GET http://shop.test/1".into() });
}

#[test]
fn redirect_hops_and_attempts_are_spans_of_their_own_and_counted() {
    let spans = Told::new()
        .tell(vec![
            navigates(2000.0, "1", 0x10, 0xa),
            redirected(2005.0, "1"),
            navigates(2006.0, "1", 0x11, 0xa),
            // Again without a redirect: the server asked for credentials.
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
fn a_request_that_never_left_has_a_span_without_a_length() {
    let told = Told::new().tell(vec![
        failed(2000.0, "1", "net::ERR_BLOCKED_BY_CLIENT"),
        started(2010.0, "2", 0x11, None),
        redirected(2015.0, "2"),
        failed(2016.0, "2", "net::ERR_ABORTED"),
    ]);
    assert_eq!((told.session.tally().requests, told.session.tally().failures), (3, 1));
    assert_eq!(
        summary(&told.spans),
        [
            "ff<f067aa0ba902b7 2000-2000 None resent 0 Some(Network(\"net::ERR_BLOCKED_BY_CLIENT\"))",
            "11<f067aa0ba902b7 2010-2015 Some(302) resent 0 None",
            "ff<f067aa0ba902b7 2016-2016 None resent 1 Some(Cancelled)",
        ]
    );
}

#[test]
fn a_navigation_waits_for_the_stragglers_of_a_document_that_is_gone() {
    let told = Told::new().tell(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        navigates(3000.0, "2", 0x11, 0xb),
        completed(3010.0, "2", 200),
        committed(3012.0, 0xb),
        started(3013.0, "3", 0x12, Some(0xa)),
    ]);
    let told = told.tell(vec![completed(6000.0, "3", 204)]);
    assert!(told.spans.iter().all(|span| span.id != span_id(0xa)), "it ended only just");
    let told = told.tell(vec![started(8001.0, "4", 0x13, Some(0xb))]);
    let ended = told.spans.iter().find(|span| span.id == span_id(0xa)).unwrap();
    assert_eq!((ended.start, ended.end, ended.unfinished), (ns(1998), ns(6000), false));
    // One that comes later still does not make a second navigation of it.
    let spans = told.tell(vec![started(8002.0, "5", 0x14, Some(0xa)), completed(8003.0, "5", 200)]).close(9000);
    assert_eq!(spans.iter().filter(|span| span.id == span_id(0xa)).count(), 1);
    assert_eq!(spans.iter().find(|span| span.id == span_id(0x14)).unwrap().parent, Some(span_id(0xa)));
}

#[test]
fn what_is_open_at_the_end_is_ended_and_marked() {
    let spans = Told::new()
        .tell(vec![
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
            "12<c 2002-2500 None resent 0 None unfinished",
            "a<f067aa0ba902b7 1998-2500 navigation open None unfinished",
            "c<f067aa0ba902b7 2002-2500 navigation open None unfinished",
            "f067aa0ba902b7<- 1000-2500 session",
        ]
    );
}

#[test]
fn a_navigation_without_a_document_has_its_requests_error_and_is_counted_once() {
    let told = Told::new().tell(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        failed(2010.0, "1", "net::ERR_CONNECTION_REFUSED"),
        Observation::NavigationFailed { time: 2011.0, span_id: span_id(0xa) },
        Observation::NavigationFailed { time: 2012.0, span_id: span_id(0xa) },
        // The next one comes from the back-forward cache and has no request.
        committed(3000.0, 0xb),
        Observation::TabClosed { time: 3100.0, tab_id: 7 },
    ]);
    assert_eq!(told.session.tally().navigations, 2);
    assert_eq!(
        summary(&told.close(3200))[1..],
        [
            "a<f067aa0ba902b7 1998-2012 navigation failed Some(Network(\"net::ERR_CONNECTION_REFUSED\"))",
            "b<f067aa0ba902b7 3000-3000 navigation committed None",
            "f067aa0ba902b7<- 1000-3200 session",
        ]
    );
}

#[test]
fn a_request_of_another_trace_is_its_root() {
    let mut stray = started(2000.0, "1", 0x10, None);
    if let Observation::RequestStarted { trace_id, .. } = &mut stray {
        *trace_id = Some(OTHER.parse().unwrap());
    }
    let spans = Told::new().tell(vec![stray, completed(2001.0, "1", 200)]).spans;
    assert_eq!((spans[0].trace_id.to_string().as_str(), spans[0].parent), (OTHER, None));
    assert_eq!(spans[0].links, [linked(TRACE, ROOT)], "it was part of the session all the same");
}

#[test]
fn a_batch_counts_once_and_what_a_worker_lost_is_known() {
    let mut session = session();
    let first = batch(1, vec![started(2000.0, "1", 0x10, None), completed(2001.0, "1", 200)]);
    assert_eq!(session.observe(&first).len(), 1);
    assert_eq!(session.observe(&first).len(), 0);
    let other_worker = Observed { worker: "v".into(), dropped: 5, ..first.clone() };
    assert_eq!(session.observe(&other_worker).len(), 1);
    let later = Observed { number: 2, dropped: 7, ..other_worker };
    session.observe(&later);
    assert_eq!((session.tally().requests, session.tally().dropped), (3, 7));
    assert!(session.has(&first) && !session.has(&batch(2, vec![])));
}

#[test]
fn requests_whose_end_is_never_seen_take_no_memory_for_good() {
    let requests = 0..u64::try_from(MOST_OPEN).unwrap() + 10;
    let told = Told::new().tell(requests.map(|id| started(2000.0, &id.to_string(), id + 1, Some(0xa))).collect());
    assert_eq!(told.spans.len(), 10);
    assert!(told.spans.iter().all(|span| span.unfinished));
    assert_eq!(told.close(20_000).len(), MOST_OPEN + 10 + 2);
}

fn any_observation() -> impl Strategy<Value = Observation> {
    (0..10_u8, 1..5_u64, 1..4_u64, 1..9000_u32).prop_map(|(kind, request, navigation, at)| {
        let (time, name) = (f64::from(at), request.to_string());
        match kind {
            0 => navigates(time, &name, request * 0x100 + u64::from(kind) + u64::from(at) * 0x10000, navigation),
            1 | 2 => {
                started(time, &name, request * 0x100 + u64::from(at) * 0x10000, Some(navigation).filter(|n| *n != 1))
            }
            3 => completed(time, &name, 200),
            4 => redirected(time, &name),
            5 => failed(time, &name, "net::ERR_FAILED"),
            6 => committed(time, navigation),
            7 => Observation::NavigationFailed { time, span_id: span_id(navigation) },
            8 => Observation::DocumentLoaded { time, span_id: span_id(navigation) },
            _ => Observation::TabClosed { time, tab_id: 7 },
        }
    })
}

proptest! {
    /// Whatever the browser says, in whatever order: no span is without its parent, none ends before it begins, and no navigation is told twice.
    #[test]
    fn spans_always_make_a_tree(batches in proptest::collection::vec(proptest::collection::vec(any_observation(), 0..12), 1..8)) {
        let told = batches.into_iter().fold(Told::new(), Told::tell);
        let empty = told.session.is_empty();
        let spans = told.close(10_000);
        let ids: std::collections::BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
        prop_assert_eq!(spans.iter().filter(|span| span.parent.is_none()).count(), usize::from(!empty));
        let navigations: Vec<SpanId> =
            spans.iter().filter(|span| matches!(span.kind, Kind::Navigation(_))).map(|span| span.id).collect();
        prop_assert_eq!(navigations.len(), navigations.iter().collect::<std::collections::BTreeSet<_>>().len());
        for span in &spans {
            prop_assert!(span.start <= span.end, "{:?}", span);
            prop_assert!(span.parent.is_none_or(|parent| ids.contains(&parent)), "{:?}", span);
        }
    }

    /// A host that takes over gives the same spans.
    #[test]
    fn the_account_can_be_written_and_read(observations in proptest::collection::vec(any_observation(), 0..30)) {
        let told = Told::new().tell(observations);
        let text = serde_json::to_string(&told.session).unwrap();
        let mut read: Session = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &told.session);
        let mut session = told.session;
        prop_assert_eq!(read.close(ns(10_000)), session.close(ns(10_000)));
    }
}

#[test]
fn a_navigation_of_another_trace_has_its_requests_there() {
    let told = Told::new().tell(vec![
        issued(IssuedFor::Navigation, 0xa, None, "01"),
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
    ]);
    assert_eq!(told.session.tally().named_traces, [OTHER.parse().unwrap()]);
    let spans = told.close(2100);
    assert_eq!(
        summary(&spans),
        [
            "10<a 2000-2010 Some(200) resent 0 None",
            "a<- 1998-2100 navigation committed None unfinished",
            "f067aa0ba902b7<- 1000-2100 session"
        ]
    );
    let [request, navigation, session] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!([&request.trace_id, &navigation.trace_id].map(ToString::to_string), [OTHER, OTHER]);
    assert_eq!((&*request.tracestate, &*navigation.tracestate, &*session.tracestate), ("a=1", "a=1", ""));
    assert_eq!((request.links.as_slice(), navigation.links.as_slice()), (&[][..], &[linked(TRACE, ROOT)][..]));
    assert_eq!(session.trace_id.to_string(), TRACE);
}

#[test]
fn a_tab_with_a_trace_has_a_span_from_its_first_to_its_last_request() {
    let told = Told::new().tell(vec![
        issued(IssuedFor::Tab, 0x7, None, "01"),
        issued(IssuedFor::Tab, 0x8, None, "01"),
        issued(IssuedFor::Navigation, 0xa, Some(0x7), "01"),
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        Observation::DocumentLoaded { time: 2050.0, span_id: span_id(0xa) },
        started(2060.0, "2", 0x11, Some(0x7)),
        completed(2070.0, "2", 200),
    ]);
    assert_eq!(
        summary(&told.close(2100)),
        [
            "10<a 2000-2010 Some(200) resent 0 None",
            "11<7 2060-2070 Some(200) resent 0 None",
            "a<7 1998-2050 navigation committed None",
            "7<- 1998-2070 tab",
            "f067aa0ba902b7<- 1000-2100 session"
        ]
    );
}

#[test]
fn what_continues_a_clients_trace_has_a_remote_parent() {
    let spans = Told::new()
        .tell(vec![
            issued(IssuedFor::Client, 0xc, None, "01"),
            issued(IssuedFor::Navigation, 0xa, Some(0xc), "01"),
            navigates(2000.0, "1", 0x10, 0xa),
            completed(2010.0, "1", 200),
            started(2020.0, "2", 0x11, Some(0xc)),
            completed(2030.0, "2", 200),
        ])
        .close(2100);
    let remote: Vec<_> = spans.iter().map(|span| (span.parent.map(|id| id.to_string()), span.is_remote)).collect();
    let id = |number| Some(span_id(number).to_string());
    assert_eq!(remote, [(id(0xa), false), (id(0xc), true), (id(0xc), true), (None, false)]);
}

#[test]
fn what_is_not_sampled_has_no_span() {
    let spans = Told::new()
        .tell(vec![
            issued(IssuedFor::Navigation, 0xa, None, "00"),
            navigates(2000.0, "1", 0x10, 0xa),
            completed(2010.0, "1", 200),
            started(2020.0, "2", 0x11, Some(0xa)),
        ])
        .close(2100);
    assert_eq!(summary(&spans), ["f067aa0ba902b7<- 1000-2100 session"]);
}

#[test]
fn the_pages_own_span_is_the_one_above_and_a_foreign_context_is_linked() {
    let mut called = started(2000.0, "1", 0x10, Some(0xa));
    if let Observation::RequestStarted { caller, .. } = &mut called {
        *caller = Some(span_id(0xee));
    }
    let mut overridden = started(2000.0, "2", 0x11, Some(0xa));
    if let Observation::RequestStarted { link, .. } = &mut overridden {
        *link = Some(linked(OTHER, ROOT));
    }
    let told = Told::new().tell(vec![called, overridden, completed(2010.0, "1", 200), completed(2010.0, "2", 200)]);
    assert_eq!(told.spans[0].parent, Some(span_id(0xee)));
    assert_eq!((told.spans[1].parent, &told.spans[1].links[..]), (Some(span_id(0xa)), &[linked(OTHER, ROOT)][..]));
}

#[test]
fn a_session_may_be_part_of_somebody_elses_trace() {
    let parent = Parent { span_id: span_id(0xff), tracestate: "v=1".into() };
    let mut session = Session::new(session().context, Some(parent), ns(1000));
    let mut spans = session.observe(&batch(1, vec![started(2000.0, "1", 0x10, None), completed(2001.0, "1", 200)]));
    spans.extend(session.close(ns(2100)));
    assert_eq!((spans[1].parent, spans[1].is_remote), (Some(span_id(0xff)), true));
    assert!(!spans[0].is_remote && spans.iter().all(|span| &*span.tracestate == "v=1"));
}

#[test]
fn a_client_that_hands_a_context_of_ours_on_changes_nothing_about_it() {
    let told = Told::new().tell(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        issued(IssuedFor::Client, 0xa, None, "01"),
        issued(IssuedFor::Navigation, 0xb, Some(0xa), "01"),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        navigates(2020.0, "2", 0x11, 0xb),
        completed(2030.0, "2", 200),
    ]);
    let spans = told.close(2100);
    let of = |id: u64| spans.iter().find(|span| span.id == span_id(id)).unwrap();
    assert_eq!((of(0xa).parent.map(|id| id.to_string()).as_deref(), of(0xa).is_remote), (Some(ROOT), false));
    assert_eq!((of(0xb).parent, of(0xb).is_remote), (Some(span_id(0xa)), false));
}

#[test]
fn what_is_above_a_sampled_span_is_exported_whatever_was_decided_for_it() {
    let unsampled = SessionContext { flags: "00".parse().unwrap(), ..session().context };
    let mut session = Session::new(unsampled, None, ns(1000));
    let mut below = issued(IssuedFor::Navigation, 0xa, None, "01");
    if let Observation::ContextIssued { trace_id, parent, .. } = &mut below {
        (*trace_id, *parent) = (TRACE.parse().unwrap(), Some(ROOT.parse().unwrap()));
    }
    let mut spans = session.observe(&batch(
        1,
        vec![
            below,
            navigates(2000.0, "1", 0x10, 0xa),
            completed(2010.0, "1", 200),
            started(2020.0, "2", 0x11, None),
            completed(2030.0, "2", 200),
            issued(IssuedFor::Tab, 0x7, None, "00"),
            issued(IssuedFor::Navigation, 0xb, Some(0x7), "01"),
            navigates(2040.0, "3", 0x12, 0xb),
        ],
    ));
    spans.extend(session.close(ns(2100)));
    let ids: Vec<_> = spans.iter().map(|span| span.id).collect();
    let root: SpanId = ROOT.parse().unwrap();
    assert_eq!(ids, [0x10, 0x12, 0xa, 0xb, 0x7].map(span_id).into_iter().chain([root]).collect::<Vec<_>>());
    assert_eq!(session.tally().other_traces, 1);
}
