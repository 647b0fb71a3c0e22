use super::*;

const APART: u64 = 0x5;

/// Issues a context in the trace with this number.
fn issued(issued_for: IssuedFor, trace: u64, id: u64, parent: Option<u64>) -> Observation {
    let links = if issued_for == IssuedFor::Context { vec![linked(TRACE, ROOT)] } else { Vec::new() };
    Observation::ContextIssued {
        time: 1.0,
        span_id: span_id(id),
        issued_for,
        trace_id: format!("{trace:032x}").parse().unwrap(),
        flags: "01".parse().unwrap(),
        parent: parent.map(span_id),
        tracestate: String::new(),
        links,
    }
}

fn closed(time: f64, id: SpanId) -> Observation {
    Observation::ContextClosed { time, span_id: id }
}

/// Loads a page in tab 7, and leaves it for one that is never seen.
fn page(time: f64, request: &str, id: u64, navigation: u64) -> Vec<Observation> {
    vec![
        navigates(time, request, id, navigation),
        completed(time + 10.0, request, 200),
        committed(time + 12.0, navigation),
        Observation::DocumentLoaded { time: time + 20.0, span_id: span_id(navigation) },
        Observation::TabClosed { time: time + 30.0, tab_id: 7 },
    ]
}

/// Announces the session's span and a second browser context with the navigation 0xb.
fn second() -> Vec<Observation> {
    vec![
        issued(IssuedFor::Session, 0x50, APART, None),
        issued(IssuedFor::Context, 0x60, 0x6, None),
        issued(IssuedFor::Navigation, 0x60, 0xb, Some(0x6)),
    ]
}

#[test]
fn one_context_is_the_session() {
    let root = ROOT.parse().unwrap();
    let recording = Recording::new()
        .observe(page(2000.0, "1", 0x10, 0xa))
        .observe(vec![closed(2040.0, root)])
        .observe(second())
        .observe(vec![started(9000.0, "2", 0x11, None), completed(9001.0, "2", 200)]);
    assert_eq!(
        summary(&recording.close(9100)),
        [
            "10<a 2000-2010 Some(200) resent 0 None",
            "11<f067aa0ba902b7 9000-9001 Some(200) resent 0 None",
            "a<f067aa0ba902b7 1998-2020 navigation committed None",
            "f067aa0ba902b7<- 1000-9100 session",
        ],
        "a second context without a page changes nothing"
    );
}

#[test]
fn with_another_context_the_first_has_a_span_of_its_own() {
    let root = ROOT.parse().unwrap();
    let recording = Recording::new()
        .observe(page(2000.0, "1", 0x10, 0xa))
        .observe(vec![closed(2040.0, root)])
        .observe(second())
        .observe(page(5000.0, "2", 0x11, 0xb))
        .observe(vec![started(5040.0, "3", 0x12, Some(APART)), completed(5050.0, "3", 200)]);
    let mut session = recording.session;
    let spans = [recording.spans, session.close(ns(6000))].concat();
    let counts = session.counts();
    let of_contexts: Vec<_> =
        counts.context_traces.iter().map(|context| (context.navigations, context.requests)).collect();
    assert_eq!(
        (of_contexts, counts.apart, counts.other_traces),
        (vec![(1, 1), (1, 1), (0, 1)], Some(spans[7].trace_id), 0)
    );
    assert_eq!(
        summary(&spans),
        [
            "10<a 2000-2010 Some(200) resent 0 None",
            "11<b 5000-5010 Some(200) resent 0 None",
            "a<f067aa0ba902b7 1998-2020 navigation committed None",
            "12<5 5040-5050 Some(200) resent 0 None",
            "f067aa0ba902b7<- 1998-2020 context",
            "b<6 4998-5020 navigation committed None",
            "6<- 4998-5020 context",
            "5<- 1000-6000 session",
        ]
    );
    let apart = SpanLink { trace_id: format!("{:032x}", 0x50).parse().unwrap(), span_id: span_id(APART) };
    let [.., first, _, second, session] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((&*first.links, &*second.links), (&[apart][..], &[linked(TRACE, ROOT)][..]));
    assert_eq!((session.trace_id, first.trace_id.to_string()), (apart.trace_id, TRACE.to_owned()));
}

#[test]
fn a_context_with_nothing_sampled_has_no_span() {
    let mut off = issued(IssuedFor::Navigation, 0x60, 0xb, Some(0x6));
    if let Observation::ContextIssued { flags, .. } = &mut off {
        *flags = "00".parse().unwrap();
    }
    let mut observations = second();
    observations[2] = off;
    let recording = Recording::new()
        .observe(observations)
        .observe(page(2000.0, "1", 0x10, 0xa))
        .observe(vec![committed(3000.0, 0xb), closed(3010.0, span_id(0x6))]);
    assert_eq!(
        summary(&recording.close(6000)),
        [
            "10<a 2000-2010 Some(200) resent 0 None",
            "a<f067aa0ba902b7 1998-2020 navigation committed None",
            "f067aa0ba902b7<- 1000-6000 session",
        ],
        "and does not part the session from the other one"
    );
}

#[test]
fn a_closed_context_is_exported_when_nothing_of_it_is_open() {
    let root = ROOT.parse().unwrap();
    let mut recording = Recording::new()
        .observe(second())
        .observe(page(2000.0, "1", 0x10, 0xa))
        .observe(page(3000.0, "2", 0x11, 0xb))
        .observe(vec![closed(3040.0, span_id(0x6)), started(3050.0, "3", 0x12, Some(0x6)), closed(3060.0, root)]);
    let ids = |spans: &[Span]| spans.iter().map(|span| span.id).collect::<Vec<_>>();
    assert!(!ids(&recording.spans).contains(&span_id(0x6)), "its navigation may still make requests");
    recording = recording.observe(vec![started(7000.0, "4", 0x13, None), completed(7010.0, "4", 200)]);
    assert!(!ids(&recording.spans).contains(&span_id(0x6)), "a request is open");
    recording = recording.observe(vec![completed(8000.0, "3", 200)]);
    let exported = ids(&recording.spans);
    assert!(exported.contains(&span_id(0x6)) && exported.contains(&root), "{exported:?}");
    let spans = recording.close(9000);
    let all: std::collections::BTreeSet<_> = spans.iter().map(|span| span.id).collect();
    assert_eq!(all.len(), spans.len(), "each once: {:?}", summary(&spans));
    assert_eq!(summary(&spans).last().unwrap(), "5<- 1000-9000 session");
}

#[test]
fn contexts_of_another_processs_trace_are_below_its_span() {
    let parent = RemoteParent { span_id: span_id(0xff), tracestate: String::new() };
    let mut session = Session::new(session().context, Some(parent), ns(1000));
    let in_session = |mut observation: Observation| {
        if let Observation::ContextIssued { trace_id, .. } = &mut observation {
            *trace_id = TRACE.parse().unwrap();
        }
        observation
    };
    let mut observations: Vec<_> = second().into_iter().map(in_session).collect();
    observations.extend(page(2000.0, "1", 0x10, 0xa));
    observations.extend(page(3000.0, "2", 0x11, 0xb));
    let mut spans = session.observe(&batch(1, observations));
    spans.extend(session.close(ns(4000)));
    let roots: Vec<_> = spans.iter().filter(|span| span.parent == Some(span_id(0xff))).collect();
    assert_eq!(
        roots.iter().map(|span| span.id).collect::<Vec<_>>(),
        [span_id(6), ROOT.parse().unwrap(), span_id(APART)]
    );
    assert!(roots.iter().all(|span| span.is_remote) && spans.iter().all(|span| span.trace_id.to_string() == TRACE));
    assert_eq!(session.counts().other_traces, 0);
}

#[test]
fn a_context_may_be_below_a_span_that_the_host_named() {
    let observations =
        vec![issued(IssuedFor::Context, 0x70, 0x7, Some(0x71)), issued(IssuedFor::Navigation, 0x70, 0xb, Some(0x7))];
    let spans = Recording::new().observe(observations).observe(page(3000.0, "2", 0x11, 0xb)).close(4000);
    assert_eq!(
        summary(&spans),
        [
            "11<b 3000-3010 Some(200) resent 0 None",
            "b<7 2998-3020 navigation committed None",
            "7<71 2998-3020 context",
            "f067aa0ba902b7<- 1000-4000 session",
        ]
    );
    assert!(spans[2].is_remote);
}
