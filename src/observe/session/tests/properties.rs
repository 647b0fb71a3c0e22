use proptest::prelude::*;

use super::*;

fn any_observation() -> impl Strategy<Value = Observation> {
    (0..12_u8, 1..5_u64, 1..4_u64, 1..9000_u32).prop_map(|(kind, request, navigation, at)| {
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
            7 => Observation::NavigationFailed { time, span_id: span_id(navigation), end: None },
            9 => exchanges::challenged(time, &name, request * 0x100 + u64::from(at) * 0x10000 + 1, 401),
            10 => Observation::RequestLeft { time, request: name },
            8 => Observation::DocumentLoaded { time, span_id: span_id(navigation) },
            _ => Observation::TabClosed { time, tab_id: 7 },
        }
    })
}

proptest! {
    /// For any observations in any order, every parent exists, no span ends before it begins, and no navigation has two spans or no address.
    #[test]
    fn spans_always_make_a_tree(batches in proptest::collection::vec(proptest::collection::vec(any_observation(), 0..12), 1..8)) {
        let recording = batches.into_iter().fold(Recording::new(), Recording::observe);
        let empty = recording.session.is_empty();
        let spans = recording.close(10_000);
        let ids: std::collections::BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
        prop_assert_eq!(spans.iter().filter(|span| span.parent.is_none()).count(), usize::from(!empty));
        let navigations: Vec<SpanId> =
            spans.iter().filter(|span| matches!(span.operation, Operation::Navigation(_))).map(|span| span.id).collect();
        prop_assert_eq!(navigations.len(), navigations.iter().collect::<std::collections::BTreeSet<_>>().len());
        for span in &spans {
            prop_assert!(span.start <= span.end, "{:?}", span);
            prop_assert!(!matches!(&span.operation, Operation::Navigation(navigation) if navigation.url.is_empty()), "{:?}", span);
            prop_assert!(span.parent.is_none_or(|parent| ids.contains(&parent)), "{:?}", span);
        }
    }

    /// A host that takes over a session from its journal returns the same spans.
    #[test]
    fn a_session_can_be_written_and_read(observations in proptest::collection::vec(any_observation(), 0..30)) {
        let recording = Recording::new().observe(observations);
        let text = serde_json::to_string(&recording.session).unwrap();
        let mut read: Session = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &recording.session);
        let mut session = recording.session;
        prop_assert_eq!(read.close(ns(10_000)), session.close(ns(10_000)));
    }
}
