//! `navtrace view`: the waterfall, the page, and files that are broken or too large.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use insta::assert_snapshot;

use crate::navtrace::{Environment, stderr, stdout};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Returns a line of a trace file. Spans are given as id, parent, name, start and end in milliseconds, and further JSON fields.
fn line(trace: &str, service: &str, scope: &str, spans: &[(&str, &str, &str, u64, u64, &str)]) -> String {
    let span = |(id, parent, name, start, end, rest): &(&str, &str, &str, u64, u64, &str)| {
        let nanos = |ms: u64| 1_700_000_000_000_000_000 + ms * 1_000_000;
        format!(
            r#"{{"traceId":"{trace}","spanId":"{id:0>16}","parentSpanId":"{}","name":"{name}","kind":3,"startTimeUnixNano":"{}","endTimeUnixNano":"{}"{rest}}}"#,
            if parent.is_empty() { String::new() } else { format!("{parent:0>16}") },
            nanos(*start),
            nanos(*end),
        )
    };
    let spans = spans.iter().map(span).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{service}"}}}}]}},"scopeSpans":[{{"scope":{{"name":"{scope}"}},"spans":[{spans}]}}]}}]}}"#
    )
}

fn url(path: &str) -> String {
    format!(
        r#","attributes":[{{"key":"http.request.method","value":{{"stringValue":"GET"}}}},{{"key":"url.full","value":{{"stringValue":"http://shop.test{path}"}}}}]"#
    )
}

/// Returns a trace of a browser and a service.
fn shop() -> String {
    let (home, cart) = (url("/"), url("/cart"));
    let failed = format!(r#","status":{{"code":2,"message":"out of stock"}}{cart}"#);
    let browser = [
        ("1", "", "browser session", 0, 1000, ""),
        ("2", "1", "navigation", 10, 900, home.as_str()),
        ("4", "2", "GET", 300, 800, failed.as_str()),
        ("3", "2", "GET", 20, 120, home.as_str()),
    ];
    let service = [("5", "4", "GET /cart", 310, 790, ""), ("6", "99", "cron", 400, 401, "")];
    [line(TRACE, "browser", "navtrace", &browser), line(TRACE, "shop", "axum", &service)].join("\n") + "\n"
}

fn view(environment: &Environment, args: &[&str]) -> std::process::Command {
    let mut command = environment.navtrace([&["view"], args].concat());
    command.current_dir(environment.home()).env("LC_ALL", "C.UTF-8").env("COLUMNS", "90").stdin(Stdio::null());
    command
}

fn only_stderr(output: &Output) -> (i32, String) {
    assert_eq!(stdout(output), "");
    (output.status.code().unwrap(), stderr(output))
}

#[test]
fn a_waterfall_fits_the_terminal() {
    let environment = Environment::new();
    fs::write(environment.home().join("t.jsonl"), shop()).unwrap();
    let shown = |columns: &str, locale: &str| {
        let output = view(&environment, &["t.jsonl"]).env("COLUMNS", columns).env("LC_ALL", locale).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
        let text = stdout(&output);
        // Trace ids, in the first line, are never cut.
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= columns.parse().unwrap()), "{text}");
        text
    };
    assert_snapshot!(shown("90", "C.UTF-8"), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  6 spans  1 error  browser, shop
    browser session                               browser  ████████████████████████     1.00 s
    └─ navigation http://shop.test/               browser  █████████████████████      890.0 ms
       ├─ GET /                                   browser  ██                         100.0 ms
       └─ GET /cart ✗ out of stock                browser         ████████████        500.0 ms
          └─ GET /cart                            shop            ███████████         480.0 ms
    cron (parent missing)                         shop              █                   1.0 ms
    ");
    assert_snapshot!(shown("60", "C"), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  6 spans  1 error  browser, shop
    browser session          browser  ###############     1.00 s
    `- navigation http://sh~ browser  #############     890.0 ms
       |- GET /              browser  #                 100.0 ms
       `- GET /cart ! out o~ browser      ########      500.0 ms
          `- GET /cart       shop         #######       480.0 ms
    cron (parent missing)    shop           #             1.0 ms
    ");
    assert_snapshot!(shown("40", "C.UTF-8"), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  6 spans  1 error  browser, shop
    browser session                   1.00 s
    └─ navigation http://shop.tes…  890.0 ms
       ├─ GET /                     100.0 ms
       └─ GET /cart ✗ out of stock  500.0 ms
          └─ GET /cart              480.0 ms
    cron (parent missing)             1.0 ms
    ");
}

#[test]
fn every_format_shows_the_same_trace() {
    let environment = Environment::new();
    let write = |name: &str, text: &str| fs::write(environment.home().join(name), text).unwrap();
    let lines = shop();
    write("lines.jsonl", &lines);
    let documents: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all: Vec<_> = documents.iter().flat_map(|line| line["resourceSpans"].as_array().unwrap().clone()).collect();
    let document = serde_json::json!({ "resourceSpans": all });
    write("document.json", &serde_json::to_string_pretty(&document).unwrap());
    write("jaeger-v3.json", &serde_json::json!({ "result": document }).to_string());
    let expected = stdout(&view(&environment, &["lines.jsonl"]).output().unwrap());
    for name in ["document.json", "jaeger-v3.json"] {
        assert_eq!(stdout(&view(&environment, &[name]).output().unwrap()), expected, "{name}");
    }
    let input = File::open(environment.home().join("lines.jsonl")).unwrap();
    assert_eq!(stdout(&view(&environment, &["-"]).stdin(input).output().unwrap()), expected);
    // A trace can be named by its id or the start of it.
    for id in [TRACE, "4bf9", "4BF92F35"] {
        assert_eq!(stdout(&view(&environment, &["lines.jsonl", id]).output().unwrap()), expected);
    }
}

#[test]
fn several_traces_are_listed_those_with_errors_first() {
    let environment = Environment::new();
    let other = line("0af7651916cd43dd8448eb211c80319c", "job", "x", &[("1", "", "nightly", 0, 5, "")]);
    fs::write(environment.home().join("t.jsonl"), format!("{other}\n{}", shop())).unwrap();
    let output = view(&environment, &["t.jsonl"]).env("COLUMNS", "110").output().unwrap();
    let text = stdout(&output);
    let mut lines = text.lines();
    assert_eq!(
        lines.next().unwrap(),
        format!("{TRACE}     1.00 s      6 spans  1 error  browser session  browser, shop")
    );
    assert_eq!(lines.next().unwrap(), "0af7651916cd43dd8448eb211c80319c     5.0 ms      1 span   nightly  job");
    let head = format!("\ntrace {TRACE}  2023-11-14T22:13:20.000Z  1.00 s  6 spans  1 error  browser, shop\n");
    assert!(text.contains(&head), "{text}");
    // Without a terminal there are no hints.
    assert_eq!(stderr(&output), "");
}

#[test]
fn control_characters_are_escaped() {
    let environment = Environment::new();
    let evil = r"\u001b]0;owned\u0007\u202e\r\nnavtrace: fake";
    fs::write(environment.home().join("t.jsonl"), line(TRACE, evil, "x", &[("1", "", evil, 0, 5, "")])).unwrap();
    for colour in [false, true] {
        let mut command = view(&environment, &["t.jsonl"]);
        command.env("COLUMNS", "200");
        if colour {
            command.env("CLICOLOR_FORCE", "1");
        }
        let text = stdout(&command.output().unwrap());
        assert!(!text.contains("\x1b]") && !text.contains(['\x07', '\u{202e}', '\r']), "{text:?}");
        assert_eq!(text.contains("\x1b["), colour, "{text:?}");
        assert!(text.contains(r"\u{1b}]0;owned\u{7}\u{202e}\u{d}\u{a}navtrace: fake"), "{text}");
    }
    let mut command = view(&environment, &["t.jsonl"]);
    command.env("NO_COLOR", "1");
    assert!(!stdout(&command.output().unwrap()).contains('\x1b'));
}

#[test]
fn readable_lines_of_a_broken_file_are_shown() {
    let environment = Environment::new();
    let path = environment.home().join("t.jsonl");
    let whole = shop();
    let shown = |text: &[u8]| {
        fs::write(&path, text).unwrap();
        let output = view(&environment, &["t.jsonl"]).output().unwrap();
        (output.status.code().unwrap(), stdout(&output).contains("navigation http://shop.test/"), stderr(&output))
    };
    let cut = &whole.as_bytes()[..whole.len() - 40];
    assert_eq!(shown(cut), (0, true, "navtrace: t.jsonl is cut off in line 2, which is skipped\n".to_owned()));
    let (code, is_shown, messages) = shown(format!("{{oops}}\n{whole}").as_bytes());
    assert!(code == 0 && is_shown, "{messages}");
    assert!(messages.starts_with("navtrace: line 1 of t.jsonl can't be read and is skipped: "), "{messages}");
    let (code, is_shown, messages) = shown(format!("{whole}{}", "x\n".repeat(9)).as_bytes());
    assert!(
        code == 0 && is_shown && messages.ends_with("navtrace: 6 more lines of t.jsonl can't be read either\n"),
        "{messages}"
    );
}

#[test]
fn failures_have_a_message_and_an_exit_code() {
    let environment = Environment::new();
    let write = |name: &str, text: &[u8]| fs::write(environment.home().join(name), text).unwrap();
    write("t.jsonl", shop().as_bytes());
    write("empty.jsonl", b"");
    write("text.txt", b"Dear diary,\ntoday\n");
    write("binary", &[0, 159, 146, 150, 10, 0, 255]);
    write("other.json", br#"{"name":"package"}"#);
    write("cut.jsonl", &shop().as_bytes()[..200]);
    write("pretty.json", b"{\n  \"resourceSpans\": [\n    {");
    let other = line("4bf92f3577b34da6a3ce929d0e0e4737", "job", "x", &[("1", "", "nightly", 0, 5, "")]);
    write("pair.jsonl", format!("{}{other}", shop()).as_bytes());
    let foreign = "is not a trace file: expected OTLP JSON lines, as navtrace run and the OpenTelemetry Collector write them, or JSON from Jaeger";
    for (args, code, sentence) in [
        (&["missing.jsonl"][..], 1, "missing.jsonl can't be read: No such file or directory (os error 2)".to_owned()),
        (&["."], 1, ".: is a directory".to_owned()),
        (&["empty.jsonl"], 1, "empty.jsonl has no spans".to_owned()),
        (&["text.txt"], 1, format!("text.txt {foreign}")),
        (&["binary"], 1, format!("binary {foreign}")),
        (&["other.json"], 1, format!("other.json {foreign}")),
        (
            &["cut.jsonl"],
            1,
            "cut.jsonl has no spans: cut.jsonl is cut off in line 1, which is skipped".to_owned(),
        ),
        (
            &["t.jsonl", "0af7651916cd43dd8448eb211c80319c"],
            1,
            "there is no trace 0af7651916cd43dd8448eb211c80319c in t.jsonl, which has 1 trace; to list them: navtrace view t.jsonl"
                .to_owned(),
        ),
        (
            &["t.jsonl", "latest"],
            2,
            "latest is not a trace id: expected 32 hexadecimal digits, or at least the first 4 of them".to_owned(),
        ),
        (
            &["pair.jsonl", "4bf92F35"],
            1,
            format!("several traces in pair.jsonl begin with 4bf92F35: {TRACE}, 4bf92f3577b34da6a3ce929d0e0e4737"),
        ),
        (
            &["t.jsonl", "4bf"],
            2,
            "4bf is not a trace id: expected 32 hexadecimal digits, or at least the first 4 of them".to_owned(),
        ),
        (&[TRACE], 1, "there is no trace file of an earlier run; start a run with navtrace run, or name a file".to_owned()),
        (&[], 1, "there is no trace file of an earlier run; start a run with navtrace run, or name a file".to_owned()),
        (&["t.jsonl", "--html", "-"], 2, "the page can't be written to standard output; name a file with --html".to_owned()),
        (
            &["t.jsonl", "--html", "./t.jsonl"],
            2,
            "./t.jsonl is the trace file, and the page would replace it; name another file with --html".to_owned(),
        ),
        (
            &["pretty.json"],
            1,
            "pretty.json has no spans: pretty.json is cut off in line 3, and only a complete document can be read".to_owned(),
        ),
        (
            &["t.jsonl", "--html", "missing/t.html"],
            1,
            "missing/t.html can't be written: No such file or directory (os error 2)".to_owned(),
        ),
    ] {
        let (exit, messages) = only_stderr(&view(&environment, args).output().unwrap());
        if args == ["."] {
            assert!(exit == 1 && messages.starts_with("navtrace: . can't be read: Is a directory"), "{messages}");
            continue;
        }
        assert_eq!(exit, code, "{args:?}: {messages}");
        assert!(messages.starts_with(&format!("navtrace: {sentence}")), "{args:?}: {messages}");
    }
    assert_eq!(fs::read(environment.home().join("t.jsonl")).unwrap(), shop().as_bytes(), "the trace file is unchanged");
}

#[test]
fn the_latest_run_is_the_default() {
    let environment = Environment::new();
    let dir = environment.home().join(".local/state/navtrace/traces");
    fs::create_dir_all(&dir).unwrap();
    let other = line("0af7651916cd43dd8448eb211c80319c", "job", "x", &[("1", "", "nightly", 0, 5, "")]);
    fs::write(dir.join("2026-01-01T00-00-00.000Z-1.jsonl"), &other).unwrap();
    fs::write(dir.join("2026-01-02T00-00-00.000Z-1.jsonl"), shop()).unwrap();
    for args in [&[][..], &[TRACE]] {
        let output = view(&environment, args).output().unwrap();
        assert!(stdout(&output).starts_with(&format!("trace {TRACE}  ")), "{args:?}: {}", stderr(&output));
    }
    // A file may have the name of a trace id.
    fs::write(environment.home().join(TRACE), other).unwrap();
    assert!(stdout(&view(&environment, &[TRACE]).output().unwrap()).contains("nightly"));
}

#[test]
fn a_line_that_is_too_long_is_skipped() {
    let environment = Environment::new();
    let mut text = vec![b'x'; (64 << 20) + 5];
    text.push(b'\n');
    text.extend_from_slice(shop().as_bytes());
    fs::write(environment.home().join("t.jsonl"), text).unwrap();
    let output = view(&environment, &["t.jsonl"]).output().unwrap();
    assert!(stdout(&output).contains("navigation http://shop.test/"));
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(0), "navtrace: line 1 of t.jsonl has more than 64 MiB and is skipped\n")
    );
}

#[test]
fn a_pipe_can_be_read() {
    let environment = Environment::new();
    let pipe = environment.home().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = view(&environment, &["pipe"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    fs::write(&pipe, shop()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    assert!(stdout(&output).contains("navigation http://shop.test/"));
    assert_eq!(environment.left_behind(), Vec::<String>::new());
}

#[test]
fn the_page_is_written_with_mode_0600() {
    let environment = Environment::new();
    fs::write(environment.home().join("t.jsonl"), shop()).unwrap();
    let (code, messages) = only_stderr(&view(&environment, &["t.jsonl", "--html", "t.html"]).output().unwrap());
    assert_eq!((code, messages.as_str()), (0, "navtrace: the page: t.html\n"));
    let page = fs::read_to_string(environment.home().join("t.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains(TRACE));
    let mode = fs::metadata(environment.home().join("t.html")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_closed_stdout_is_no_failure() {
    let environment = Environment::new();
    let many: String =
        (0..5000).map(|n| line(TRACE, "s", "x", &[(&n.to_string(), "", "n", 0, 1, "")]) + "\n").collect();
    fs::write(environment.home().join("many.jsonl"), many).unwrap();
    let mut child = view(&environment, &["many.jsonl"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn the_page_is_served_only_at_its_secret_url() {
    let environment = Environment::new();
    fs::write(environment.home().join("t.jsonl"), shop()).unwrap();
    let mut command = view(&environment, &["t.jsonl", "--open"]);
    // With this environment no browser can be started.
    command.env("PATH", environment.home()).env_remove("BROWSER").env_remove("DISPLAY");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut messages = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    std::io::BufRead::read_line(&mut messages, &mut said).unwrap();
    let url = said.strip_prefix("navtrace: the page: ").unwrap().split(' ').next().unwrap().to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let served = client.get(&url).send().unwrap();
    assert_eq!(served.headers()["content-type"], "text/html; charset=utf-8");
    let policy = served.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && policy.ends_with("; frame-ancestors 'none'"), "{policy}");
    assert!(served.text().unwrap().contains(TRACE));
    // A tunnel changes the host name and port.
    assert_eq!(client.get(&url).header("host", "localhost:9").send().unwrap().status(), 200);
    assert_eq!(client.get(&url).header("host", "evil.test").send().unwrap().status(), 421);
    let root = url.split('/').take(3).collect::<Vec<_>>().join("/");
    assert_eq!(client.get(root).send().unwrap().status(), 404);
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_large_file_takes_little_memory() {
    const TRACES: usize = 2000;
    const MOST_KIB: u64 = 150 << 10;
    let environment = Environment::new();
    let mut file = BufWriter::new(File::create(environment.home().join("large.jsonl")).unwrap());
    let rest = format!(r#","attributes":[{{"key":"a","value":{{"stringValue":"{}"}}}}]"#, "x".repeat(1000));
    for trace in 1..=TRACES {
        let ids: Vec<String> = (1..=100).map(|id| id.to_string()).collect();
        let spans: Vec<_> =
            ids.iter().map(|id| (id.as_str(), if id == "1" { "" } else { "1" }, "n", 0, 5, &*rest)).collect();
        writeln!(file, "{}", line(&format!("{trace:032x}"), "s", "x", &spans)).unwrap();
    }
    drop(file);
    let size = fs::metadata(environment.home().join("large.jsonl")).unwrap().len() >> 20;
    assert!(size > 200, "{size} MiB");
    let last = format!("{TRACES:032x}");
    let started = std::time::Instant::now();
    let mut child = view(&environment, &["large.jsonl", &last]).stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.map_or(peak, |line| line.trim_end_matches("kB").trim().parse().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    // Visible with --no-capture.
    writeln!(std::io::stdout(), "{size} MiB: {peak} KiB, {:?}", started.elapsed()).unwrap();
    assert!(peak > 0 && peak < MOST_KIB, "{size} MiB took {peak} KiB");
}
