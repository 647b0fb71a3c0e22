//! Tests `navtrace check` and `run --check`: verdicts and exit codes.

mod reports;

use std::fs;
use std::path::Path;
use std::process::Output;

use insta::assert_snapshot;
use serde_json::Value;

use crate::navtrace::{Environment, stderr, stdout};

/// Three traces of the demo: a browser, a shop and the pricing service behind it.
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shop.jsonl");

const DOCS: &str = include_str!("../../docs/check.md");

fn checked_files(environment: &Environment, files: &[&str], conditions: &[&str], more: &[&str]) -> Output {
    let options = conditions.iter().flat_map(|condition| ["--condition", condition]);
    let args: Vec<&str> = ["check"].into_iter().chain(files.iter().copied()).chain(options).collect();
    environment.navtrace([&args, more].concat()).current_dir(environment.home()).output().unwrap()
}

fn checked(conditions: &[&str]) -> (i32, String) {
    let output = checked_files(&Environment::new(), &[SHOP], conditions, &[]);
    assert_eq!(stderr(&output), "");
    (output.status.code().unwrap(), stdout(&output))
}

/// Returns a line of a trace file with one span: trace, id, parent, start and end in milliseconds, and more JSON.
fn line(trace: u8, id: &str, parent: &str, (start, end): (u64, u64), more: &str) -> String {
    let nanos = |ms: u64| if ms == 0 { 0 } else { 1_700_000_000_000_000_000 + ms * 1_000_000 };
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},"scopeSpans":[{{"spans":[{{"traceId":"{trace:032x}","spanId":"{id:0>16}","parentSpanId":"{parent}","name":"work","kind":2,"startTimeUnixNano":"{}","endTimeUnixNano":"{}"{more}}}]}}]}}]}}"#,
        nanos(start),
        nanos(end)
    ) + "\n"
}

#[test]
fn conditions_on_the_demo_hold_or_fail_with_their_worst_traces() {
    let (code, text) = checked(&[
        "errors == 0",
        "p95(http.server duration where service=shop) < 80ms",
        "spans(service=pricing) per trace <= 3",
        "no missing parents",
        "rate(errors http.server) < 1%",
        "count(http.server where route=/api/orders) >= 3",
        "spans where route=/api/orders > 3",
        "max(navigation duration where url=*/cart) < 1s",
        "spans per trace == 60",
    ]);
    assert_eq!(code, 99);
    assert_snapshot!(text, @"
    ok    errors == 0: 0 errors (180 spans)
    FAIL  p95(http.server duration where service=shop) < 80ms: 85.4 ms (60 spans)
            cf99ef1b725c8075c62bb3702fada58c  148.0 ms  shop  GET /api/recommendations
            d0e980a2a7fba5ce7af9c75945207bc6  148.0 ms  shop  GET /api/recommendations
            948fda540ca897163d75b16d969b5f42  147.8 ms  shop  GET /api/recommendations
    FAIL  spans(service=pricing) per trace <= 3: 8 spans in a trace
            948fda540ca897163d75b16d969b5f42  8 spans  pricing  GET /prices
            cf99ef1b725c8075c62bb3702fada58c  8 spans  pricing  GET /prices
            d0e980a2a7fba5ce7af9c75945207bc6  8 spans  pricing  GET /prices
    ok    no missing parents: 0 missing parents (180 spans)
    ok    rate(errors http.server) < 1%: 0% errors (84 spans)
    ok    count(http.server where route=/api/orders) >= 3: 3 spans
    FAIL  spans where route=/api/orders > 3: 3 spans
    ok    max(navigation duration where url=*/cart) < 1s: 115.0 ms (3 spans)
    ok    spans per trace == 60: 60 spans in a trace
    3 of 9 conditions failed (180 spans in 3 traces)
    ");
    assert_eq!(
        checked(&["errors == 0"]),
        (0, "ok    errors == 0: 0 errors (180 spans)\nthe condition holds (180 spans in 3 traces)\n".to_owned())
    );
}

#[test]
fn a_condition_that_matches_no_span_says_so() {
    let (code, text) =
        checked(&["p95(http.server duration where service=shopp) < 10s", "rate(errors where service=shopp) < 1%"]);
    assert_eq!(code, 99);
    assert_eq!(text.matches(": no span matched\n").count(), 2, "{text}");
    let (code, text) = checked(&[
        "errors where service=shopp == 0",
        "spans(service=shopp) per trace <= 3",
        "no missing parents where service=shopp",
    ]);
    assert_eq!(code, 0);
    assert_eq!(text.matches(", but no span matched\n").count(), 3, "{text}");
    assert_eq!(checked(&["spans(service=shopp) per trace >= 1"]).0, 99);
}

#[test]
fn every_example_of_the_documentation_is_a_condition() {
    let environment = Environment::new();
    let in_tables = DOCS.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.rsplit('|').nth(1));
    let in_tables = in_tables.filter_map(|cell| cell.trim().strip_prefix('`')?.strip_suffix('`'));
    let is_condition = |text: &&str| text.contains(" < ") || text.contains("= ") || text.contains("missing parents");
    let block = DOCS.split("```conditions\n").nth(1).unwrap().split("```").next().unwrap();
    let conditions: Vec<&str> = in_tables.filter(is_condition).chain(block.lines()).collect();
    assert!(conditions.len() >= 15, "{conditions:?}");
    for condition in conditions {
        let output = checked_files(&environment, &[SHOP], &[condition], &[]);
        assert!([0, 99].contains(&output.status.code().unwrap()), "{condition}: {}", stderr(&output));
    }
    // The example of the output is the real one.
    let shown = DOCS.split("```\nok ").nth(1).unwrap().split("```").next().unwrap();
    let (_, text) = checked(&["errors == 0", "p95(http.server duration where service=shop) < 80ms"]);
    assert_eq!(format!("ok {shown}"), text);
}

#[test]
fn a_condition_that_cannot_be_used_is_explained() {
    let environment = Environment::new();
    fs::write(environment.home().join("conditions"), "# ours\n\nerrors == 0\nerors == 0\n").unwrap();
    fs::write(environment.home().join("nothing"), "# nothing\n").unwrap();
    let refused = |args: &[&str]| {
        let output = checked_files(&environment, &[SHOP], &[], args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        stderr(&output).lines().next().unwrap().to_owned()
    };
    assert_snapshot!(refused(&["-c", "p95(http.sever duration) < 1s"]), @"error: invalid value 'p95(http.sever duration) < 1s' for '--condition <CONDITION>': expected where, or a kind of spans (such as http.server, client, navigation, root) at character 5, not http.sever; did you mean http.server?");
    assert_snapshot!(refused(&["-c", "@conditions"]), @"error: invalid value '@conditions' for '--condition <CONDITION>': line 4 of conditions: expected a measure (p50 to p99.9, avg, min, max, count, spans, errors, rate, or no missing parents) at character 1, not erors; did you mean errors?");
    assert_snapshot!(refused(&["-c", "@nothing"]), @"error: invalid value '@nothing' for '--condition <CONDITION>': nothing has no conditions");
    assert_snapshot!(refused(&["-c", "@missing"]), @"error: invalid value '@missing' for '--condition <CONDITION>': missing can't be read: No such file or directory (os error 2)");
    assert_snapshot!(refused(&["-c", "@"]), @"error: invalid value '@' for '--condition <CONDITION>': the name of the file is missing after @");
    assert_snapshot!(refused(&["-c", "spans where status>=NaN == 0"]), @"error: invalid value 'spans where status>=NaN == 0' for '--condition <CONDITION>': expected a number at character 21, not NaN");
    assert_snapshot!(refused(&[]), @"error: the following required arguments were not provided:");
    assert_snapshot!(refused(&["-c", "errors == 0", "--report", "-"]), @"error: invalid value '-' for '--report <FILE>': the name must end in .json, or in .xml for JUnit");
    assert_snapshot!(refused(&["-c", "errors == 0", "--report", "no/report.json"]), @"navtrace: no/report.json can't be written: its folder does not exist");
}

#[test]
fn what_is_missing_or_damaged_is_no_success() {
    let environment = Environment::new();
    let home = environment.home();
    let good = line(1, "a", "", (1, 2), "");
    let deep = ["deep/1/2/3/4/5/6/7/8", "deep/1/2/3/4/5/6/7/8/9", "named", "cut"];
    for folder in deep {
        fs::create_dir_all(home.join(folder)).unwrap();
        fs::write(home.join(folder).join("good.jsonl"), &good).unwrap();
    }
    fs::write(home.join("cut.jsonl"), good.clone() + &good[..60]).unwrap();
    fs::write(home.join("middle.jsonl"), good.clone() + "{oops}\n" + &good).unwrap();
    fs::write(home.join("skipped.jsonl"), good.clone() + &good.replace(&format!("{:032x}", 1), "no id")).unwrap();
    fs::copy(home.join("cut.jsonl"), home.join("cut/cut.jsonl")).unwrap();
    fs::write(home.join("named/other.json"), "{}").unwrap();
    for (files, words) in [
        (&["cut.jsonl"][..], "cut.jsonl is cut off in line 2"),
        (&["middle.jsonl"], "line 2 of middle.jsonl can't be read"),
        (&["skipped.jsonl"], "1 span of skipped.jsonl skipped"),
        (&["cut"], "cut/cut.jsonl is cut off in line 2"),
        (&["deep"], "deep/1/2/3/4/5/6/7/8/9 is not read: at most 8 levels of folders are"),
        // A folder may have other files; what is named is meant to have spans.
        (&["named", "named/other.json"], "named/other.json is not a trace file"),
    ] {
        let output = checked_files(&environment, files, &["errors == 0"], &[]);
        assert!(stderr(&output).contains(words), "{files:?}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(1), "{files:?}");
        assert!(stdout(&output).starts_with("ok "), "{files:?}");
    }
    assert_eq!(checked_files(&environment, &["named"], &["errors == 0"], &[]).status.code(), Some(0));
}

#[test]
fn a_test_of_several_in_a_trace_has_the_spans_below_it() {
    let environment = Environment::new();
    let test = |name| format!(r#","attributes":[{{"key":"test.case.name","value":{{"stringValue":"{name}"}}}}]"#);
    let below = |letter| format!("{letter:0>16}");
    let failed = r#","status":{"code":2}"#;
    let lines = [
        line(1, "a", "", (1, 9), ""),
        line(1, "b", &below("a"), (1, 4), &test("pays")),
        line(1, "c", &below("b"), (2, 3), ""),
        line(1, "d", &below("a"), (5, 9), &test("orders")),
        line(1, "e", &below("d"), (6, 8), failed),
    ];
    fs::write(environment.home().join("run.jsonl"), lines.concat()).unwrap();
    let conditions = [
        "spans where test=pays == 2",
        "errors where test=pays == 0",
        "errors where test=orders == 1",
        "max(duration where test=pays) == 3ms",
        "spans where test!=pays == 3",
    ];
    let output = checked_files(&environment, &["run.jsonl"], &conditions, &[]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn hostile_files_break_nothing() {
    let environment = Environment::new();
    let write = |name: &str, text: &str| fs::write(environment.home().join(name), text).unwrap();
    let evil = r#","status":{"code":2,"message":"\u001b]0;x\u0007"},"attributes":[{"key":"http.route","value":{"stringValue":"\u001b[2J\u202e"}}]"#;
    let lines = [
        // Its own parent, a parent in another trace, no times, an end before the start, the same span twice, a very long duration.
        line(1, "a", "000000000000000a", (1, 2), ""),
        line(2, "b", "000000000000000a", (1, 2), ""),
        line(3, "c", "", (0, 0), ""),
        line(3, "d", "", (9, 2), ""),
        line(4, "e", "", (1, 5), evil),
        line(4, "e", "", (1, 5), evil),
        line(5, "f", "", (1, 9_000_000_000), ""),
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"no hex\"},7,null]}]}]}\n".to_owned(),
        "garbage\n".to_owned(),
    ];
    write("hostile.jsonl", &lines.concat());
    let conditions = [
        "errors == 1",
        "spans == 6",
        "no missing parents",
        "max(duration) < 1s",
        "errors per trace == 0",
        "p50(duration) <= 4ms",
    ];
    let output = checked_files(&environment, &["hostile.jsonl"], &conditions, &["--report", "j.xml"]);
    assert_eq!(output.status.code(), Some(99));
    let text = stdout(&output);
    assert_snapshot!(text, @"
    ok    errors == 1: 1 error (6 spans)
    ok    spans == 6: 6 spans
    FAIL  no missing parents: 1 missing parent (6 spans)
            00000000000000000000000000000002  1 missing parent
    FAIL  max(duration) < 1s: 9000000.00 s (4 spans)
            00000000000000000000000000000005  9000000.00 s  shop  work
    FAIL  errors per trace == 0: 1 error in a trace (6 spans)
            00000000000000000000000000000004  1 error  shop  work
    ok    p50(duration) <= 4ms: 1.0 ms (4 spans)
    3 of 6 conditions failed (6 spans in 5 traces)
    ");
    for text in [text, fs::read_to_string(environment.home().join("j.xml")).unwrap(), stderr(&output)] {
        assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text:?}");
    }
    // XML can't have these characters, not even escaped.
    let name = "errors where name='a\u{1b}[1mb\u{fffe}\u{ffff}' == 0";
    checked_files(&environment, &["hostile.jsonl"], &[name], &["--report", "j.xml"]);
    let junit = fs::read_to_string(environment.home().join("j.xml")).unwrap();
    assert!(junit.contains(r"name=&apos;a\u{1b}[1mb") && !junit.contains(['\u{fffe}', '\u{ffff}', '\x1b']), "{junit}");
    // What can't be read is said, and is no success.
    fs::copy(SHOP, environment.home().join("shop.jsonl")).unwrap();
    let output = checked_files(&environment, &["shop.jsonl", "missing.jsonl"], &["errors == 0"], &[]);
    assert_eq!((output.status.code(), stderr(&output).lines().count()), (Some(1), 1), "{}", stderr(&output));
    assert!(stderr(&output).contains("missing.jsonl can't be read"), "{}", stderr(&output));
    let output = checked_files(&environment, &["missing.jsonl"], &["errors == 0"], &[]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
}

#[test]
fn a_run_in_several_files_is_one_run() {
    let environment = Environment::new();
    let folder = environment.home().join("run/machines");
    fs::create_dir_all(&folder).unwrap();
    // A trace whose service wrote elsewhere, and a span that is in both files.
    fs::write(folder.join("one.jsonl"), line(7, "a", "", (1, 9), "")).unwrap();
    let test = r#","attributes":[{"key":"test.case.name","value":{"stringValue":"checkout > pays"}}]"#;
    let two =
        [line(7, "b", "000000000000000a", (2, 5), ""), line(7, "a", "", (1, 9), ""), line(8, "c", "", (1, 4), test)];
    fs::write(folder.join("two.jsonl"), two.concat()).unwrap();
    let conditions = [
        "spans == 3",
        "no missing parents",
        "spans where test='checkout > *' == 1",
        "max(duration where test!='checkout > pays') == 8ms",
    ];
    let output = checked_files(&environment, &["run"], &conditions, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    // A named file that is within the folder too is read once.
    let output = checked_files(&environment, &["run", "run/machines/one.jsonl", "-"], &["spans == 3"], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("standard input is empty"), "{}", stderr(&output));
}

/// Returns exit code and standard error of a run that starts no browser.
fn run(environment: &Environment, options: &[&str], script: &str) -> (i32, String) {
    let browser = environment.program("chromium", "exit 9");
    let args = [&["run"], options, &["--", "sh", "-c", script]].concat();
    let mut command = environment.navtrace(args);
    command.current_dir(environment.home()).env("NAVTRACE_BROWSER", browser).env_remove("OTEL_TRACES_EXPORTER");
    let output = command.output().unwrap();
    assert_eq!(stdout(&output), "");
    (output.status.code().unwrap(), stderr(&output))
}

#[test]
fn a_run_is_checked_at_its_end() {
    let environment = Environment::new();
    let send = |file: &Path| {
        format!(
            r#"curl --fail --silent --noproxy '*' -H 'content-type: application/json' --data-binary @{} "$OTEL_EXPORTER_OTLP_ENDPOINT/v1/traces" >/dev/null"#,
            file.display()
        )
    };
    let failing = environment.home().join("failing.json");
    fs::write(&failing, line(9, "a", "", (1, 5), r#","status":{"code":2}"#)).unwrap();
    let send = send(&failing);
    let holds = ["--check", "spans == 1", "--check", "max(duration) < 1s"];
    let (code, text) = run(&environment, &holds, &send);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("navtrace: ok    spans == 1: 1 span\n"), "{text}");
    assert!(text.ends_with("navtrace: all 2 conditions hold (1 span in 1 trace)\n"), "{text}");

    let fails = ["--check", "errors == 0", "--report", "report.json", "--report", "junit.xml"];
    let (code, text) = run(&environment, &fails, &send);
    assert_eq!(code, 99, "{text}");
    assert!(text.contains("navtrace: FAIL  errors == 0: 1 error (1 span)\n"), "{text}");
    let report: Value = serde_json::from_slice(&fs::read(environment.home().join("report.json")).unwrap()).unwrap();
    assert_eq!(report["conditions"][0]["status"], "failed");
    assert!(fs::read_to_string(environment.home().join("junit.xml")).unwrap().contains("<failure "));
    // The command's own failure says more.
    assert_eq!(run(&environment, &fails, &format!("{send}; exit 3")).0, 3);
    // Nothing was seen, so nothing holds.
    let (code, text) = run(&environment, &["--check", "errors == 0"], "true");
    assert_eq!(code, 99, "{text}");
    assert!(text.contains("navtrace: FAIL  errors == 0: no span matched\n"), "{text}");
}

#[test]
fn a_run_that_cannot_be_checked_does_not_start() {
    let environment = Environment::new();
    let marker = environment.home().join("started");
    let touch = format!("touch {}", marker.display());
    let refused = |options: &[&str], variables: &[(&str, &str)]| {
        let browser = environment.program("chromium", "exit 9");
        let mut command = environment.navtrace([&["run"], options, &["--", "sh", "-c", &touch]].concat());
        command.env("NAVTRACE_BROWSER", browser).env_remove("OTEL_TRACES_EXPORTER").envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {}", stderr(&output));
        assert!(!marker.exists(), "{options:?}: the command was started");
        stderr(&output).lines().last().unwrap_or_default().to_owned()
    };
    let check = ["--check", "errors == 0"];
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.test:4318")];
    assert_snapshot!(refused(&check, &endpoint), @"navtrace: --check can't be used while spans go to http://collector.test:4318/v1/traces: unset OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; to check files of another collector: navtrace check FILE");
    assert_snapshot!(refused(&check, &[("OTEL_TRACES_EXPORTER", "none")]), @"navtrace: --check can't be used while the export is switched off: unset OTEL_TRACES_EXPORTER and OTEL_SDK_DISABLED; to check files of another collector: navtrace check FILE");
    assert_snapshot!(refused(&["--report", "j.xml"], &[]), @"navtrace: --report needs --check");
    assert_snapshot!(refused(&[&check[..], &["--output", "o.json", "--report", "./o.json"]].concat(), &[]), @"navtrace: ./o.json has the traces, which would be lost; name another file");
    assert_snapshot!(refused(&[&check[..], &["--output", "/dev/null"]].concat(), &[]), @"navtrace: the conditions can't be checked: /dev/null is not a plain file; name another file with --output");
}
