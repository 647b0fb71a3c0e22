//! k6 starts the browser itself, with nothing but the variables of `navtrace env`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::bench::{Bench, assert_own_spans, is_root, traceparent, turn};
use crate::browser::wait_until;
use crate::navtrace::{stderr, stdout};
use crate::support::site::{coverage_kinds, coverage_table};

/// The loads of three iterations.
const ITERATIONS: [&str; 3] = ["1-0", "1-1", "1-2"];

/// What the documentation says to do, in a real shell. The script is the first thing after it that is no option of k6's.
const SHELL: &str = r#"eval "$("$NAVTRACE" env --k6 --profile "$PROFILE")" && exec k6 "$@""#;

/// A profile that needs quotes.
fn profile(bench: &Bench) -> PathBuf {
    bench.environment.home().join("k6's profile Prüfung 测试")
}

/// k6 in a shell that has evaluated what `navtrace env` prints.
fn plain_arguments(bench: &Bench, script: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = bench.without_navtrace("sh");
    command.args(["-c", SHELL, "sh"]).env("NAVTRACE", env!("CARGO_BIN_EXE_navtrace")).env("PROFILE", profile(bench));
    bench.script(&mut command, script, variables);
    if is_root() {
        command.env("K6_BROWSER_ARGS", "no-sandbox");
    }
    command
}

#[test]
fn plain_arguments_cover_every_kind_of_request_in_a_fresh_and_in_a_used_profile() {
    let _turn = turn();
    let bench = Bench::new();
    let plain = bench.plain("coverage.js", &[]);
    for what in ["fresh", "used"] {
        let traced = bench.run(plain_arguments(&bench, "coverage.js", &[("ITERATIONS", "3")]));
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
        // Only detailed mode does that.
        assert_own_spans(&traced.requests);
        assert_eq!(traced.preflights(), 3 * plain.preflights(), "as many preflights as without navtrace");
        traced.assert_whole(&ITERATIONS);
        bench.assert_nothing_left();
    }
}

#[test]
fn every_one_of_many_iterations_in_one_profile_is_traced_from_its_first_request() {
    let _turn = turn();
    let bench = Bench::new();
    let traced = bench.run(plain_arguments(&bench, "pages.js", &[("ITERATIONS", "20")]));
    assert_eq!(traced.trace_ids().len(), 20);
    assert!(traced.requests.len() > 20 * 8);
    assert_own_spans(&traced.requests);
    bench.assert_nothing_left();
}

#[test]
fn a_second_one_at_once_is_refused_and_the_first_stays_whole() {
    let _turn = turn();
    let bench = Bench::new();
    let mut first = plain_arguments(&bench, "pages.js", &[("SECONDS", "12")]);
    let mut first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first one runs", || !bench.site.requests().is_empty());

    // Whoever asks for the variables is told, and the shell does not go on.
    let output = plain_arguments(&bench, "coverage.js", &[]).output().unwrap();
    let words = stderr(&output);
    let start = format!("navtrace: the profile {} is in use by the browser of process ", profile(&bench).display());
    assert!(words.starts_with(&start) && words.lines().count() == 1, "{words}");
    assert!(words.ends_with(", and serves one at a time: end that one first, or name another profile\n"), "{words}");
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));

    // Whoever has them already is told by k6, at once.
    let mut second = bench.plain_command("coverage.js", &[]);
    for (name, value) in variables_in_use(&bench) {
        second.env(name, value);
    }
    let output = second.output().unwrap();
    let words = stderr(&output);
    assert!(!output.status.success(), "{words}");
    assert!(
        words.contains("launching browser: Failed to create ") && words.contains("SingletonLock: File exists"),
        "{words}"
    );

    assert!(first.try_wait().unwrap().is_none(), "the first one is still there");
    let first = bench.finished(&first.wait_with_output().unwrap());
    assert_eq!(first.trace_ids().len(), 1);
    assert!(first.requests.iter().all(|request| request.run.as_deref() == Some("1-0")));
    assert_own_spans(&first.requests);
    bench.assert_nothing_left();
}

/// What `navtrace env` has printed for a profile that is in use by now: what it prints for another one, but for the name.
fn variables_in_use(bench: &Bench) -> Vec<(String, String)> {
    let mut shell = bench.without_navtrace("sh");
    shell.args(["-c", r#"eval "$("$NAVTRACE" env --k6 --profile "$PROFILE.2")" && env -0"#]);
    shell.env("NAVTRACE", env!("CARGO_BIN_EXE_navtrace")).env("PROFILE", profile(bench));
    if is_root() {
        shell.env("K6_BROWSER_ARGS", "no-sandbox");
    }
    let output = stdout(&shell.output().unwrap());
    let pairs = output.split('\0').filter_map(|pair| pair.split_once('='));
    let wanted = pairs.filter(|(name, _)| name.starts_with("K6_BROWSER_") || *name == "NAVTRACE_PROFILE");
    let [theirs, ours] = [".2", ""].map(|end| format!("{}{end}", profile(bench).display()));
    wanted.map(|(name, value)| (name.to_owned(), value.replace(&theirs, &ours))).collect()
}
