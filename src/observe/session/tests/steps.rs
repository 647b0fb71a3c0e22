use super::*;

/// A step of the trace that the navigations are in. Its id is its start.
fn step(start: u32, end: Option<u32>) -> TestStep {
    step_of(OTHER, start, end)
}

fn step_of(trace_id: &str, start: u32, end: Option<u32>) -> TestStep {
    let (trace_id, span_id) = (trace_id.parse().unwrap(), span_id(start.into()));
    TestStep { trace_id, span_id, start: start.into(), end: end.map(f64::from) }
}

/// A navigation in a trace other than the session's, below a tab. It starts 2 ms before its request.
fn navigation(time: f64, id: u64) -> Vec<Observation> {
    let (tab, request) = (issued(IssuedFor::Tab, 0x7, None, "01"), id.to_string());
    let navigation = issued(IssuedFor::Navigation, id, Some(0x7), "01");
    let mut loaded = vec![tab, navigation, navigates(time, &request, id + 0x100, id)];
    loaded.extend([completed(time + 1.0, &request, 200), committed(time + 2.0, id)]);
    loaded
}

/// Returns the start of each navigation's parent step, or none if its parent is the tab.
fn parents(spans: &[Span]) -> Vec<Option<u64>> {
    let navigations = spans.iter().filter(|span| matches!(span.operation, Operation::Navigation(_)));
    navigations
        .map(|span| {
            let parent = u64::from_str_radix(&span.parent.unwrap().to_string(), 16).unwrap();
            assert_eq!(span.is_remote, parent != 0x7, "a step is of another process");
            (parent != 0x7).then_some(parent)
        })
        .collect()
}

impl Recording {
    fn step(mut self, step: TestStep) -> Self {
        self.session.step(step);
        self
    }
}

#[test]
fn a_navigation_is_below_the_innermost_step_in_which_it_began() {
    let recording = Recording::new()
        .step(step(2000, None))
        .step(step(2010, None))
        .step(step(2020, Some(2030)))
        .observe(navigation(2052.0, 0xa))
        .step(step(2010, Some(2090)))
        .step(step(2060, Some(2070)));
    assert_eq!(parents(&recording.close(2100)), [Some(2010)]);
}

#[test]
fn steps_may_be_reported_before_or_after_what_they_cause() {
    // The step has ended when the batch arrives.
    let recording =
        Recording::new().step(step(2000, None)).step(step(2000, Some(2060))).observe(navigation(2052.0, 0xa));
    assert_eq!(parents(&recording.close(2100)), [Some(2000)]);
    // The batch arrives before the steps do, the outer one last.
    let late =
        Recording::new().observe(navigation(2052.0, 0xa)).step(step(2040, Some(2060))).step(step(2000, Some(2090)));
    assert_eq!(parents(&late.close(2100)), [Some(2040)]);
}

#[test]
fn a_navigation_without_a_step_in_its_trace_stays_below_its_tab() {
    let recording = Recording::new()
        .step(step_of(TRACE, 2000, None))
        .step(step(2000, Some(2049)))
        .observe(navigation(2052.0, 0xa))
        .step(step(2051, None));
    let spans = recording.close(2100);
    assert_eq!(parents(&spans), [None]);
}

#[test]
fn the_tab_of_navigations_below_steps_has_a_span() {
    let recording = Recording::new().step(step(2000, None)).observe(navigation(2052.0, 0xa));
    let spans = recording.close(2100);
    let tab = spans.iter().find(|span| matches!(span.operation, Operation::Tab)).unwrap();
    assert_eq!((tab.id, tab.start), (span_id(0x7), ns(2050)));
}

#[test]
fn ended_steps_are_forgotten_and_open_ones_are_not() {
    let mut recording = Recording::new().step(step(2000, None));
    for start in 3000..5000 {
        recording = recording.step(step(start, Some(start + 1)));
    }
    assert!(serde_json::to_string(&recording.session).unwrap().len() < 100_000);
    assert_eq!(parents(&recording.observe(navigation(6000.0, 0xa)).close(7000)), [Some(2000)]);
}
