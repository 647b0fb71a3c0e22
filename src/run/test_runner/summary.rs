//! The lines about tests in the summary of a run. Pure.

use crate::base::text::{clean, counted};
use crate::run::test_runner::attempts::EndedTest;
use crate::view::link::{LinkTemplate, LinkedTrace};

/// The most tests that have a line each. Of more tests, only failed ones have one.
const MAX_LINES: usize = 100;

/// Returns a line per test, its parts separated by two blanks.
pub(crate) fn lines(tests: &[EndedTest], link: Option<&LinkTemplate>) -> Vec<String> {
    let is_shown = |test: &&EndedTest| tests.len() <= MAX_LINES || test.failed;
    let shown = tests.iter().filter(is_shown).take(MAX_LINES);
    let mut lines: Vec<String> = shown.map(|test| line(test, link)).collect();
    let others = tests.len() - lines.len();
    if others > 0 {
        let kind = if tests.iter().filter(|test| test.failed).count() > MAX_LINES { "" } else { ", which passed" };
        lines.push(format!("  and {}{kind}", counted(others, "more test")));
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
    use crate::context::issuer::SessionContext;

    const CONTEXT: &str = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;

    fn test(failed: bool) -> EndedTest {
        let context: SessionContext = serde_json::from_str(CONTEXT).unwrap();
        EndedTest { context, name: "cart › buys".into(), start: 0, end: 1_500_000_000, failed, retry: 0 }
    }

    #[test]
    fn a_line_names_the_test_and_says_whether_it_failed() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let link = LinkTemplate::parse("http://jaeger.test/{trace_id}").unwrap();
        let again = EndedTest { retry: 1, name: "a\x1b[31mb".into(), ..test(true) };
        assert_eq!(
            lines(&[test(false), again], Some(&link)),
            [
                format!("  {id}  cart › buys  1.50 s  http://jaeger.test/{id}"),
                format!("  {id}  a\\u{{1b}}[31mb  failed  retry 1  1.50 s  http://jaeger.test/{id}"),
            ]
        );
    }

    #[test]
    fn of_many_tests_only_failed_ones_are_named() {
        let mut tests = vec![test(false); MAX_LINES];
        assert_eq!(lines(&tests, None).len(), MAX_LINES);
        tests.push(test(true));
        let found = lines(&tests, None);
        assert_eq!((found.len(), found[1].as_str()), (2, "  and 100 more tests, which passed"));
        let found = lines(&vec![test(true); MAX_LINES + 1], None);
        assert_eq!((found.len(), found[MAX_LINES].as_str()), (MAX_LINES + 1, "  and 1 more test"));
    }
}
