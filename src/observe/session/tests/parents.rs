use super::*;

#[test]
fn requests_are_in_the_trace_of_their_navigation() {
    let recording = Recording::new().observe(vec![
        issued(IssuedFor::Navigation, 0xa, None, "01"),
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
    ]);
    assert_eq!(recording.session.counts().named_traces, [OTHER.parse().unwrap()]);
    let spans = recording.close(2100);
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
fn a_tabs_span_lasts_from_its_first_to_its_last_request() {
    let recording = Recording::new().observe(vec![
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
        summary(&recording.close(2100)),
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
fn spans_that_continue_a_clients_trace_have_a_remote_parent() {
    let spans = Recording::new()
        .observe(vec![
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
fn a_navigation_that_nobody_announced_is_no_parent() {
    let recording = Recording::new().observe(vec![
        issued(IssuedFor::Tab, 0x7, None, "01"),
        issued(IssuedFor::Navigation, 0xb, Some(0x7), "01"),
        started(2000.0, "1", 0x10, Some(0xa)),
        completed(2010.0, "1", 200),
        started(2020.0, "2", 0x11, Some(0xb)),
        completed(2030.0, "2", 200),
        Observation::NavigationFailed { time: 2040.0, span_id: span_id(0xa), end: None },
    ]);
    assert_eq!(recording.session.counts().navigations, 0);
    assert_eq!(recording.session.navigations.len(), 0);
    assert_eq!(
        summary(&recording.close(2100)),
        [
            "10<f067aa0ba902b7 2000-2010 Some(200) resent 0 None",
            "11<7 2020-2030 Some(200) resent 0 None",
            "7<- 2020-2030 tab",
            "f067aa0ba902b7<- 1000-2100 session"
        ]
    );
}

#[test]
fn unsampled_navigations_and_requests_have_no_span() {
    let spans = Recording::new()
        .observe(vec![
            issued(IssuedFor::Navigation, 0xa, None, "00"),
            navigates(2000.0, "1", 0x10, 0xa),
            completed(2010.0, "1", 200),
            started(2020.0, "2", 0x11, Some(0xa)),
        ])
        .close(2100);
    assert_eq!(summary(&spans), ["f067aa0ba902b7<- 1000-2100 session"]);
}

#[test]
fn the_pages_own_span_is_the_parent_or_linked_if_foreign() {
    let mut called = started(2000.0, "1", 0x10, Some(0xa));
    if let Observation::RequestStarted { caller, .. } = &mut called {
        *caller = Some(span_id(0xee));
    }
    let mut overridden = started(2000.0, "2", 0x11, Some(0xa));
    if let Observation::RequestStarted { link, .. } = &mut overridden {
        *link = Some(linked(OTHER, ROOT));
    }
    let ends = [completed(2010.0, "1", 200), completed(2010.0, "2", 200)];
    let recording =
        Recording::new().observe([committed(1990.0, 0xa), called, overridden].into_iter().chain(ends).collect());
    assert_eq!(recording.spans[0].parent, Some(span_id(0xee)));
    assert_eq!(
        (recording.spans[1].parent, &recording.spans[1].links[..]),
        (Some(span_id(0xa)), &[linked(OTHER, ROOT)][..])
    );
}

#[test]
fn a_session_may_have_a_parent_in_another_process() {
    let parent = RemoteParent { span_id: span_id(0xff), tracestate: "v=1".into() };
    let mut session = Session::new(session().context, Some(parent), ns(1000));
    let mut spans = session.observe(&batch(1, vec![started(2000.0, "1", 0x10, None), completed(2001.0, "1", 200)]));
    spans.extend(session.close(ns(2100)));
    assert_eq!((spans[1].parent, spans[1].is_remote), (Some(span_id(0xff)), true));
    assert!(!spans[0].is_remote && spans.iter().all(|span| &*span.tracestate == "v=1"));
}

#[test]
fn a_client_that_passes_our_own_context_on_changes_nothing() {
    let recording = Recording::new().observe(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        issued(IssuedFor::Client, 0xa, None, "01"),
        issued(IssuedFor::Navigation, 0xb, Some(0xa), "01"),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        navigates(2020.0, "2", 0x11, 0xb),
        completed(2030.0, "2", 200),
    ]);
    let spans = recording.close(2100);
    let of = |id: u64| spans.iter().find(|span| span.id == span_id(id)).unwrap();
    assert_eq!((of(0xa).parent.map(|id| id.to_string()).as_deref(), of(0xa).is_remote), (Some(ROOT), false));
    assert_eq!((of(0xb).parent, of(0xb).is_remote), (Some(span_id(0xa)), false));
}

#[test]
fn parents_of_sampled_spans_are_exported_although_unsampled() {
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
    assert_eq!(session.counts().other_traces, 1);
}
