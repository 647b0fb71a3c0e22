//! The tests of a run that have ended, and their lines in the summary. Pure.

use crate::base::text::{clean, counted};
use crate::context::issuer::SessionContext;
use crate::observe::span::Nanos;
use crate::view::link::{LinkTemplate, LinkedTrace};

/// The most tests that have a line each. Of more tests, only failed ones have one.
const MAX_LINES: usize = 100;

/// The most tests to remember.
const MAX_LISTED: usize = 10_000;

/// A test that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EndedTest {
    /// The context of its span.
    pub(crate) context: SessionContext,
    pub(crate) name: Box<str>,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    /// Whether it ended otherwise than expected, or its end was not reported.
    pub(crate) failed: bool,
    /// The number of attempts before it.
    pub(crate) retry: u32,
}

/// The tests that have ended.
#[derive(Debug, Default)]
pub(crate) struct EndedTests {
    /// The latest last.
    listed: Vec<EndedTest>,
    /// The number of tests that are not listed, and of those among them that failed.
    more: usize,
    more_failed: usize,
}

impl EndedTests {
    pub(crate) fn add(&mut self, test: EndedTest) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(test);
        } else {
            self.more += 1;
            self.more_failed += usize::from(test.failed);
        }
    }

    pub(crate) fn listed(&self) -> &[EndedTest] {
        &self.listed
    }
}

/// Returns a line per test, its parts separated by two blanks.
pub(crate) fn lines(tests: &EndedTests, link: Option<&LinkTemplate>) -> Vec<String> {
    let EndedTests { listed, more, more_failed } = tests;
    let all = listed.len() + more;
    let shown: Vec<_> = listed.iter().filter(|test| all <= MAX_LINES || test.failed).take(MAX_LINES).collect();
    let failed = |tests: &mut dyn Iterator<Item = &EndedTest>| tests.filter(|test| test.failed).count();
    let failed = failed(&mut listed.iter()) + more_failed - failed(&mut shown.iter().copied());
    let mut lines: Vec<String> = shown.iter().map(|test| line(test, link)).collect();
    let others = all - lines.len();
    if others > 0 {
        let failed = if failed == 0 { "none".to_owned() } else { failed.to_string() };
        lines.push(format!("  and {}, {failed} of which failed", counted(others, "more test")));
    }
    lines
}

fn line(test: &EndedTest, link: Option<&LinkTemplate>) -> String {
    let EndedTest { context, name, start, end, failed, retry } = test;
    let trace_id = context.trace_id.to_string();
    let linked = LinkedTrace { trace_id: &trace_id, span_id: &context.span_id.to_string(), start: *start, end: *end };
    #[allow(clippy::cast_precision_loss, reason = "a test takes less than 2^52 ns")]
    let seconds = end.saturating_sub(*start) as f64 / 1e9;
    let parts = [
        Some(trace_id.clone()),
        Some(clean(name)),
        failed.then(|| "failed".to_owned()),
        (*retry > 0).then(|| format!("retry {retry}")),
        Some(format!("{seconds:.2} s")),
        (!context.flags.is_sampled()).then(|| "not sampled".to_owned()),
        link.map(|link| link.fill(&linked)),
    ];
    format!("  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;

    fn test(failed: bool) -> EndedTest {
        let context: SessionContext = serde_json::from_str(CONTEXT).unwrap();
        EndedTest { context, name: "cart › buys".into(), start: 0, end: 1_500_000_000, failed, retry: 0 }
    }

    fn ended(tests: impl IntoIterator<Item = EndedTest>) -> EndedTests {
        let mut ended = EndedTests::default();
        tests.into_iter().for_each(|test| ended.add(test));
        ended
    }

    #[test]
    fn a_line_names_the_test_and_says_whether_it_failed() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let link = LinkTemplate::parse("http://jaeger.test/{trace_id}").unwrap();
        let again = EndedTest { retry: 1, name: "a\x1b[31mb".into(), ..test(true) };
        assert_eq!(
            lines(&ended([test(false), again]), Some(&link)),
            [
                format!("  {id}  cart › buys  1.50 s  http://jaeger.test/{id}"),
                format!("  {id}  a\\u{{1b}}[31mb  failed  retry 1  1.50 s  http://jaeger.test/{id}"),
            ]
        );
    }

    #[test]
    fn of_many_tests_only_failed_ones_are_named() {
        let mut tests = vec![test(false); MAX_LINES];
        assert_eq!(lines(&ended(tests.clone()), None).len(), MAX_LINES);
        tests.push(test(true));
        let found = lines(&ended(tests), None);
        assert_eq!((found.len(), found[1].as_str()), (2, "  and 100 more tests, none of which failed"));
        let mut tests = vec![test(true); MAX_LINES + 1];
        tests.push(test(false));
        let found = lines(&ended(tests), None);
        assert_eq!((found.len(), found[MAX_LINES].as_str()), (MAX_LINES + 1, "  and 2 more tests, 1 of which failed"));
    }

    #[test]
    fn tests_that_are_too_many_to_list_are_counted() {
        let mut tests = vec![test(false); MAX_LISTED];
        tests.extend([test(true), test(false), test(true)]);
        let found = lines(&ended(tests), None);
        assert_eq!(found, ["  and 10003 more tests, 2 of which failed"]);
    }
}
