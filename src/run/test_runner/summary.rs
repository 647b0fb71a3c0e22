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
    /// The name of the project in Playwright's configuration; may be empty.
    pub(crate) project: Box<str>,
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
    /// The number of traces of tests that are not listed.
    more_traces: usize,
}

impl EndedTests {
    pub(crate) fn add(&mut self, test: EndedTest) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(test);
        } else {
            self.more += 1;
            self.more_failed += usize::from(test.failed);
            // All tests are in the trace of the run, or each is in one of its own.
            let is_own = self.listed.last().is_none_or(|listed| listed.context.trace_id != test.context.trace_id);
            self.more_traces += usize::from(is_own);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(crate) fn more_traces(&self) -> usize {
        self.more_traces
    }

    pub(crate) fn listed(&self) -> &[EndedTest] {
        &self.listed
    }
}

/// Returns a line per test, its parts separated by two blanks.
pub(crate) fn lines(tests: &EndedTests, link: Option<&LinkTemplate>) -> Vec<String> {
    let EndedTests { listed, more, more_failed, .. } = tests;
    let all = listed.len() + more;
    let shown: Vec<_> = listed.iter().filter(|test| all <= MAX_LINES || test.failed).take(MAX_LINES).collect();
    let failed = |tests: &mut dyn Iterator<Item = &EndedTest>| tests.filter(|test| test.failed).count();
    let failed = failed(&mut listed.iter()) + more_failed - failed(&mut shown.iter().copied());
    let has_projects = listed.iter().any(|test| test.project != listed[0].project);
    let mut lines: Vec<String> = shown.iter().map(|test| line(test, has_projects, link)).collect();
    let others = all - lines.len();
    if others > 0 {
        let failed = if failed == 0 { "none".to_owned() } else { failed.to_string() };
        let others =
            if lines.is_empty() { counted(others, "test") } else { format!("and {}", counted(others, "more test")) };
        lines.push(format!("  {others}, {failed} of which failed"));
    }
    lines
}

fn line(test: &EndedTest, has_projects: bool, link: Option<&LinkTemplate>) -> String {
    let EndedTest { context, name, project, start, end, failed, retry } = test;
    let of_project = if has_projects && !project.is_empty() { format!("[{project}] › ") } else { String::new() };
    let trace_id = context.trace_id.to_string();
    let linked = LinkedTrace { trace_id: &trace_id, span_id: &context.span_id.to_string(), start: *start, end: *end };
    #[allow(clippy::cast_precision_loss, reason = "a test takes less than 2^52 ns")]
    let seconds = end.saturating_sub(*start) as f64 / 1e9;
    let parts = [
        Some(trace_id.clone()),
        Some(clean(&format!("{of_project}{name}"))),
        failed.then(|| "failed".to_owned()),
        (*retry > 0).then(|| format!("retry {retry}")),
        Some(format!("{seconds:.2} s")),
        (!context.flags.is_sampled()).then(|| "not sampled".to_owned()),
        link.filter(|_| context.flags.is_sampled()).map(|link| link.fill(&linked)),
    ];
    format!("  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;

    fn test(failed: bool) -> EndedTest {
        let context: SessionContext = serde_json::from_str(CONTEXT).unwrap();
        let (name, project) = ("cart › buys".into(), "web".into());
        EndedTest { context, name, project, start: 0, end: 1_500_000_000, failed, retry: 0 }
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
        let tests = ended(tests);
        assert_eq!(lines(&tests, None), ["  10003 tests, 2 of which failed"]);
        assert_eq!(tests.more_traces(), 0, "all are in the trace of the run");

        let mut tests = ended(vec![test(false); MAX_LISTED]);
        for trace_id in [1, 2].map(|id| format!("{id:032x}")) {
            let context = SessionContext { trace_id: trace_id.parse().unwrap(), ..test(false).context };
            tests.add(EndedTest { context, ..test(false) });
        }
        assert_eq!(tests.more_traces(), 2);
    }

    #[test]
    fn projects_are_named_if_there_are_several() {
        let of = |project: &str| EndedTest { project: project.into(), ..test(false) };
        let names = |projects: &[&str]| {
            let found = lines(&ended(projects.iter().map(|project| of(project))), None);
            found.iter().map(|line| line.split("  ").nth(2).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["web", "web"]), ["cart › buys"; 2]);
        let expected = ["[web] › cart › buys", "[phone] › cart › buys", "cart › buys"];
        assert_eq!(names(&["web", "phone", ""]), expected);
    }

    #[test]
    fn a_test_that_is_not_sampled_has_no_link() {
        let mut test = test(false);
        test.context.flags = "00".parse().unwrap();
        let link = LinkTemplate::parse("http://jaeger.test/{trace_id}").unwrap();
        let found = lines(&ended([test]), Some(&link));
        assert!(found[0].ends_with("  cart › buys  1.50 s  not sampled"), "{found:?}");
    }
}
