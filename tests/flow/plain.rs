//! Tests k6 without the launcher, with only the variables of `navtrace env`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::browser::wait_until;
use crate::browser_test::{BrowserTest, assert_own_spans, beside_others, is_root, traceparent};
use crate::navtrace::{stderr, stdout};
use crate::support::site::{coverage_kinds, coverage_table};

/// The loads of three iterations.
const ITERATIONS: [&str; 3] = ["1-0", "1-1", "1-2"];

/// The command line of the documentation.
const SHELL: &str = r#"eval "$("$NAVTRACE" env --k6 --profile "$PROFILE")" && exec k6 "$@""#;

/// Returns the path of a profile that needs quotes in a shell.
fn profile(test: &BrowserTest) -> PathBuf {
    test.environment.home().join("k6's profile Prüfung 测试")
}

/// Returns a command of k6 in a shell that evaluates `navtrace env`.
fn plain_arguments(test: &BrowserTest, script: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = test.without_navtrace("sh");
    command.args(["-c", SHELL, "sh"]).env("NAVTRACE", env!("CARGO_BIN_EXE_navtrace")).env("PROFILE", profile(test));
    test.script(&mut command, script, variables);
    if is_root() {
        command.env("K6_BROWSER_ARGS", "no-sandbox");
    }
    command
}

#[test]
fn every_kind_of_request_is_traced_in_any_profile() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let plain = test.plain("coverage.js", &[]);
    for what in ["fresh", "used"] {
        let traced = test.run(plain_arguments(&test, "coverage.js", &[("ITERATIONS", "3")]));
        println!("{what} profile\n{}", coverage_table(&traced.requests));
        let seen = traced.counts();
        for run in ITERATIONS {
            for kind in coverage_kinds() {
                let count = seen.get(&(run, kind.name)).copied().unwrap_or_default();
                assert!(count >= kind.at_least, "{} came {count} times in iteration {run}", kind.name);
            }
            let of_run = traced.requests.iter().filter(|request| request.run.as_deref() == Some(run));
            let ids: BTreeSet<_> = of_run.map(|request| traceparent(request).trace_id).collect();
            assert_eq!(ids.len(), 1, "iteration {run}");
        }
        assert_eq!(traced.trace_ids().len(), 3, "one trace per iteration");
        // This holds only in detailed mode.
        assert_own_spans(&traced.requests);
        assert_eq!(traced.preflights(), 3 * plain.preflights(), "as many preflights as without navtrace");
        traced.assert_whole(&ITERATIONS);
        test.assert_nothing_left();
    }
}

#[test]
fn every_iteration_is_traced_from_its_first_request() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let traced = test.run(plain_arguments(&test, "pages.js", &[("ITERATIONS", "20")]));
    assert_eq!(traced.trace_ids().len(), 20);
    assert!(traced.requests.len() > 20 * 8);
    assert_own_spans(&traced.requests);
    test.assert_nothing_left();
}

#[test]
fn a_second_k6_is_refused_and_the_first_continues() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut first = plain_arguments(&test, "pages.js", &[("UNTIL_STOPPED", "1")]);
    let mut first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first one runs", || !test.site.requests().is_empty());

    // `navtrace env` refuses, and the shell stops.
    let output = plain_arguments(&test, "coverage.js", &[]).output().unwrap();
    let message = stderr(&output);
    let start = format!("navtrace: the profile {} is in use by the browser with process id ", profile(&test).display());
    assert!(message.starts_with(&start) && message.lines().count() == 1, "{message}");
    assert!(message.ends_with(": end it, or name another profile\n"), "{message}");
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));

    // With the variables from before, k6 itself refuses.
    let mut second = test.plain_command("coverage.js", &[]);
    for (name, value) in variables_in_use(&test) {
        second.env(name, value);
    }
    let output = second.output().unwrap();
    let message = stderr(&output);
    assert!(!output.status.success(), "{message}");
    // Chromium's words, or its exit code for a profile in use, if k6 sees that first.
    let reasons = ["SingletonLock: File exists", "exit status 21"];
    assert!(
        message.contains("launching browser: ") && reasons.iter().any(|reason| message.contains(reason)),
        "{message}"
    );

    assert!(first.try_wait().unwrap().is_none(), "the first one is still there");
    test.stop();
    let first = test.finished(&first.wait_with_output().unwrap());
    assert_eq!(first.trace_ids().len(), 1);
    assert!(first.requests.iter().all(|request| request.run.as_deref() == Some("1-0")));
    assert_own_spans(&first.requests);
    test.assert_nothing_left();
}

/// Returns the variables for the profile in use: those that `navtrace env` prints for another profile, with the name replaced.
fn variables_in_use(test: &BrowserTest) -> Vec<(String, String)> {
    let mut shell = test.without_navtrace("sh");
    shell.args(["-c", r#"eval "$("$NAVTRACE" env --k6 --profile "$PROFILE.2")" && env -0"#]);
    shell.env("NAVTRACE", env!("CARGO_BIN_EXE_navtrace")).env("PROFILE", profile(test));
    if is_root() {
        shell.env("K6_BROWSER_ARGS", "no-sandbox");
    }
    let output = stdout(&shell.output().unwrap());
    let pairs = output.split('\0').filter_map(|pair| pair.split_once('='));
    let wanted = pairs.filter(|(name, _)| name.starts_with("K6_BROWSER_") || *name == "NAVTRACE_PROFILE");
    let [theirs, ours] = [".2", ""].map(|end| format!("{}{end}", profile(test).display()));
    wanted.map(|(name, value)| (name.to_owned(), value.replace(&theirs, &ours))).collect()
}
