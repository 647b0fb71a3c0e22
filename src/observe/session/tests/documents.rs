use super::*;

/// A document that was there before its navigation.
fn found(time: f64, navigation: u64, tab: i32) -> Observation {
    let mut observation = committed(time, navigation);
    if let Observation::NavigationCommitted { tab_id, transition, .. } = &mut observation {
        (*tab_id, *transition) = (tab, "already-open".into());
    }
    observation
}

#[test]
fn a_document_that_was_open_has_a_navigation_or_continues_one() {
    let recording = Recording::new().observe(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        Observation::DocumentLoaded { time: 2013.0, span_id: span_id(0xa) },
        found(2100.0, 0xa, 7),
        found(2100.0, 0xb, 8),
        started(2200.0, "2", 0x11, Some(0xb)),
        completed(2210.0, "2", 200),
    ]);
    assert_eq!(recording.session.counts().navigations, 2);
    let spans = recording.close(3000);
    assert_eq!(
        summary(&spans),
        [
            "10<a 2000-2010 Some(200) resent 0 None",
            "11<b 2200-2210 Some(200) resent 0 None",
            "a<f067aa0ba902b7 1998-2100 navigation committed None",
            "b<f067aa0ba902b7 2100-2210 navigation committed None",
            "f067aa0ba902b7<- 1000-3000 session",
        ]
    );
    let Operation::Navigation(continued) = &spans[2].operation else { panic!("{spans:?}") };
    assert_eq!((continued.committed, continued.transition.as_deref()), (Some(ns(2012)), Some("typed")));
}

#[test]
fn too_many_open_navigations_end_the_oldest() {
    let all = navigations::MAX_OPEN + 10;
    let tabs = (1..).take(all).map(|tab: i32| found(2000.0 + f64::from(tab), tab.unsigned_abs().into(), tab));
    let recording = Recording::new().observe(tabs.collect());
    assert_eq!((recording.spans.len(), recording.spans[9].id), (10, span_id(10)));
    assert_eq!((recording.session.navigations.len(), recording.session.documents.len()), (all - 10, all - 10));
    // A request of such a document still has its navigation.
    let spans =
        recording.observe(vec![started(9000.0, "1", 0x10_0000, Some(5)), completed(9001.0, "1", 200)]).close(9100);
    assert_eq!(spans[10].parent, Some(span_id(5)));
    assert_eq!(spans.len(), all + 2);
}
