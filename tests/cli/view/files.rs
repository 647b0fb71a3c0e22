//! Tests the files that `navtrace view` reads, broken ones too, and the page that it writes.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::{TRACE, exit_and_stderr, line, shop, view};
use crate::navtrace::{Environment, stderr, stdout};

#[test]
fn the_readable_part_of_a_broken_file_is_shown() {
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
fn unreadable_input_has_a_message_and_exit_code() {
    let environment = Environment::new();
    let write = |name: &str, text: &[u8]| fs::write(environment.home().join(name), text).unwrap();
    write("t.jsonl", shop().as_bytes());
    write("empty.jsonl", b"");
    write("blank.jsonl", b"\n  \n");
    write("my traces.gz", &[0x1f, 0x8b, 8, 0, 10, 4, 10]);
    write("text.txt", b"Dear diary,\ntoday\n");
    write("binary", &[0, 159, 146, 150, 10, 0, 255]);
    write("other.json", br#"{"name":"package"}"#);
    write("cut.jsonl", &shop().as_bytes()[..200]);
    write("pretty.json", b"{\n  \"resourceSpans\": [\n    {");
    let other = line("4bf92f3577b34da6a3ce929d0e0e4737", "job", "x", &[("1", "", "nightly", 0, 5, "")]);
    write("pair.jsonl", format!("{}{other}", shop()).as_bytes());
    let foreign = "is not a trace file: expected OTLP JSON (of navtrace run, the OpenTelemetry Collector or Tempo), or JSON from Jaeger or Zipkin";
    for (args, code, sentence) in [
        (&["missing.jsonl"][..], 1, "missing.jsonl can't be read: No such file or directory (os error 2)".to_owned()),
        (&["empty.jsonl"], 1, "empty.jsonl is empty\n".to_owned()),
        (&["blank.jsonl"], 1, "blank.jsonl is empty\n".to_owned()),
        (
            &["my traces.gz"],
            1,
            "my traces.gz is compressed; to unpack it: gzip -dc 'my traces.gz' > traces.jsonl\n".to_owned(),
        ),
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
            "./t.jsonl has the traces, which would be lost; name another file".to_owned(),
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
        let (exit, messages) = exit_and_stderr(&view(&environment, args).output().unwrap());
        assert_eq!(exit, code, "{args:?}: {messages}");
        assert!(messages.starts_with(&format!("navtrace: {sentence}")), "{args:?}: {messages}");
    }
    assert_eq!(fs::read(environment.home().join("t.jsonl")).unwrap(), shop().as_bytes(), "the traces are as they were");
}

#[test]
fn a_byte_order_mark_hides_no_spans() {
    let environment = Environment::new();
    fs::write(environment.home().join("t.jsonl"), format!("\u{feff}{}", shop())).unwrap();
    let output = view(&environment, &["t.jsonl"]).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    assert!(stdout(&output).contains("navigation http://shop.test/"));
}

#[test]
fn a_state_directory_that_can_not_be_read_is_named() {
    let environment = Environment::new();
    fs::create_dir_all(environment.home().join(".local/state/navtrace")).unwrap();
    // Not even root can read a file as a directory.
    fs::write(environment.home().join(".local/state/navtrace/traces"), "").unwrap();
    let (exit, messages) = exit_and_stderr(&view(&environment, &[]).output().unwrap());
    assert_eq!(exit, 1);
    let start = "navtrace: the trace files of earlier runs can't be read: ";
    assert!(messages.starts_with(start) && messages.ends_with("; name a file\n"), "{messages}");
}

#[test]
fn the_latest_run_is_shown_by_default() {
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
    // A file with the name of the trace id wins.
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
fn a_pipe_can_be_viewed() {
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
fn a_large_file_takes_little_memory() {
    const TRACES: usize = 2000;
    const LIMIT_KIB: u64 = 150 << 10;
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
    // Shown with --nocapture.
    writeln!(std::io::stdout(), "{size} MiB: {peak} KiB, {:?}", started.elapsed()).unwrap();
    assert!(peak > 0 && peak < LIMIT_KIB, "{size} MiB took {peak} KiB");
}

#[test]
fn a_page_is_written_and_a_closed_output_is_no_failure() {
    let environment = Environment::new();
    fs::write(environment.home().join("t.jsonl"), shop()).unwrap();
    let (code, messages) = exit_and_stderr(&view(&environment, &["t.jsonl", "--html", "t.html"]).output().unwrap());
    assert_eq!((code, messages.as_str()), (0, "navtrace: the page: t.html\n"));
    let page = fs::read_to_string(environment.home().join("t.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains(TRACE));
    let mode = fs::metadata(environment.home().join("t.html")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let many: String =
        (0..5000).map(|n| line(TRACE, "s", "x", &[(&n.to_string(), "", "n", 0, 1, "")]) + "\n").collect();
    fs::write(environment.home().join("many.jsonl"), many).unwrap();
    let mut child = view(&environment, &["many.jsonl"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn the_page_is_served_at_its_secret_address_only() {
    let environment = Environment::new();
    fs::write(environment.home().join("t.jsonl"), shop()).unwrap();
    let mut command = view(&environment, &["t.jsonl", "--open"]);
    // So that no browser can be started.
    command.env("PATH", environment.home()).env_remove("BROWSER").env_remove("DISPLAY");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut message = String::new();
    std::io::BufRead::read_line(&mut reader, &mut message).unwrap();
    let url = message.strip_prefix("navtrace: the page: ").unwrap().split(' ').next().unwrap().to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let served = client.get(&url).send().unwrap();
    assert_eq!(served.headers()["content-type"], "text/html; charset=utf-8");
    let policy = served.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && policy.ends_with("; frame-ancestors 'none'"), "{policy}");
    assert!(served.text().unwrap().contains(TRACE));
    // Through a tunnel, the name and the port differ.
    assert_eq!(client.get(&url).header("host", "localhost:9").send().unwrap().status(), 200);
    assert_eq!(client.get(&url).header("host", "evil.test").send().unwrap().status(), 421);
    let root = url.split('/').take(3).collect::<Vec<_>>().join("/");
    assert_eq!(client.get(root).send().unwrap().status(), 404);
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
