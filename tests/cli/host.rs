//! Tests the host as Chromium starts it: valid and broken frames, and who is served.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::navtrace::{Environment, stderr, stdout};

const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";
pub(crate) const HELLO: &str = include_str!("../fixtures/messages/hello.json");
const HELLO_RESUME: &str = include_str!("../fixtures/messages/hello-resume.json");

pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_ne_bytes(), body].concat()
}

fn frames(mut bytes: &[u8]) -> Vec<Value> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize;
        found.push(serde_json::from_slice(&bytes[4..4 + length]).unwrap());
        bytes = &bytes[4 + length..];
    }
    found
}

/// Runs a host with this input. Returns its exit code, its frames but those of the exporter, which come unasked, and its standard error.
pub(crate) fn served(host: &mut Command, input: &[u8]) -> (i32, Vec<Value>, String) {
    let mut child = host.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A host that refuses the origin reads nothing, so this may fail.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let mut answers = frames(&output.stdout);
    answers.retain(|frame| frame["type"] != "exporter");
    (output.status.code().unwrap(), answers, stderr(&output))
}

fn host(environment: &Environment) -> Command {
    environment.navtrace([ORIGIN])
}

#[test]
fn a_hello_is_answered_with_a_session() {
    let (code, frames, message) = served(&mut host(&Environment::new()), &frame(HELLO.trim_end().as_bytes()));
    assert_eq!((code, message.as_str()), (0, ""));
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["type"], "session");
    assert_eq!(frames[0]["session"]["flags"], "01");
    assert!(frames[0]["contexts"].as_array().unwrap().len() > 1);
}

#[test]
fn the_sampler_decides_the_flags() {
    let environment = Environment::new();
    let mut host = host(&environment);
    host.env("OTEL_TRACES_SAMPLER", "always_off");
    let (_, frames, message) = served(&mut host, &frame(HELLO.trim_end().as_bytes()));
    assert_eq!(message, "");
    assert_eq!(frames[0]["session"]["flags"], "00");
    assert_eq!(frames[0]["contexts"][0]["flags"], "00");
    assert_eq!(frames[0]["contexts"][0]["spanId"].as_str().unwrap().len(), 16);
}

#[test]
fn the_mode_is_sent_and_an_impossible_one_is_reported() {
    let armed = frame(br#"{"v":1,"type":"armed","mode":"lightweight"}"#);
    let input = [frame(HELLO.trim_end().as_bytes()), armed].concat();
    for (wanted, warned) in [("auto", false), ("lightweight", false), ("detailed", true)] {
        let environment = Environment::new();
        let mut host = host(&environment);
        host.env("NAVTRACE_MODE", wanted);
        let (code, frames, message) = served(&mut host, &input);
        assert_eq!((code, frames[0]["mode"].as_str()), (0, Some(wanted)));
        assert_eq!(message.contains("NAVTRACE_MODE=detailed, but this browser does not let"), warned, "{message}");
    }
}

#[test]
fn static_mode_is_lightweight_mode_for_an_installed_extension() {
    let armed = frame(br#"{"v":1,"type":"armed","mode":"lightweight"}"#);
    let environment = Environment::new();
    let mut host = host(&environment);
    host.env("NAVTRACE_MODE", "static");
    let (code, frames, message) = served(&mut host, &[frame(HELLO.trim_end().as_bytes()), armed].concat());
    assert_eq!((code, frames[0]["mode"].as_str()), (0, Some("lightweight")));
    let told = "NAVTRACE_MODE=static, but that is for browsers that `navtrace run` or `navtrace launch` start; going on in lightweight mode";
    assert_eq!(message.matches(told).count(), 1, "{message}");
}

#[test]
fn pages_are_measured_if_wanted_and_exported() {
    for (wanted, exporter, sampler, measured) in [
        ("on", "otlp", "always_on", true),
        ("off", "otlp", "always_on", false),
        ("", "otlp", "always_on", false),
        ("on", "none", "always_on", false),
        ("on", "otlp", "always_off", false),
    ] {
        let environment = Environment::new();
        let mut host = host(&environment);
        host.env("NAVTRACE_WEB_VITALS", wanted)
            .env("OTEL_TRACES_EXPORTER", exporter)
            .env("OTEL_TRACES_SAMPLER", sampler);
        let (code, frames, message) = served(&mut host, &frame(HELLO.trim_end().as_bytes()));
        assert_eq!((code, message.as_str()), (0, ""));
        assert_eq!(frames[0]["webVitals"], measured, "{wanted}, {exporter}, {sampler}");
    }
}

#[test]
fn an_unknown_sampler_is_ignored_with_a_warning() {
    let environment = Environment::new();
    let mut host = host(&environment);
    host.env("OTEL_TRACES_SAMPLER", "sometimes");
    let (code, frames, message) = served(&mut host, &frame(HELLO.trim_end().as_bytes()));
    assert_eq!(code, 0);
    assert_eq!(frames[0]["session"]["flags"], "01");
    assert!(
        message.contains(
            "OTEL_TRACES_SAMPLER=sometimes is ignored: expected always_on, always_off, traceidratio, parentbased_"
        ),
        "{message}"
    );
}

#[test]
fn an_existing_session_is_continued() {
    let (_, frames, _) = served(&mut host(&Environment::new()), &frame(HELLO_RESUME.trim_end().as_bytes()));
    let hello: Value = serde_json::from_str(HELLO_RESUME).unwrap();
    assert_eq!(frames[0]["session"], hello["session"]);
}

/// Runs a host of the browser with this gate, if any, and returns the session of its answer.
fn session_behind(gate: Option<&Path>) -> Value {
    let environment = Environment::new();
    let mut host = host(&environment);
    if let Some(gate) = gate {
        host.env("NAVTRACE_GATE", gate);
    }
    let (code, frames, message) = served(&mut host, &frame(HELLO.trim_end().as_bytes()));
    assert_eq!((code, message.as_str()), (0, ""));
    assert_eq!(frames[0]["type"], "session");
    frames[0]["session"].clone()
}

#[test]
fn hosts_of_one_browser_share_one_session() {
    // Nothing listens at this gate.
    let folder = Environment::new();
    let gate = folder.home().join("gate");
    let first = session_behind(Some(&gate));
    assert_eq!(session_behind(Some(&gate)), first);

    let elsewhere = Environment::new();
    let [other, alone, alone_too] = [Some(elsewhere.home().join("gate")), None, None];
    let others = [other, alone, alone_too].map(|gate| session_behind(gate.as_deref()));
    let ids = |name: &str| -> BTreeSet<String> {
        [&first].into_iter().chain(&others).map(|session| session[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids("traceId").len(), ids("spanId").len()), (4, 4), "{first} {others:?}");
}

#[test]
fn an_invalid_session_file_is_replaced() {
    let zero = r#"{"traceId":"00000000000000000000000000000000","spanId":"00f067aa0ba902b7","flags":"01"}"#;
    for left in [&b"garbage"[..], b"", b"{}", b"\xff", zero.as_bytes()] {
        let folder = Environment::new();
        let (gate, file) = (folder.home().join("gate"), folder.home().join("session"));
        std::fs::write(&file, left).unwrap();
        let session = session_behind(Some(&gate));
        let trace_id = session["traceId"].as_str().unwrap();
        assert!(trace_id.len() == 32 && trace_id.bytes().any(|digit| digit != b'0'), "{session}");
        assert_eq!(session_behind(Some(&gate)), session, "and that one is continued");
    }
}

#[test]
fn an_invalid_message_gets_an_error_and_the_channel_stays() {
    let bad: [(&[u8], &str); 6] = [
        (b"\xff", "not-utf8"),
        (b"{", "not-json"),
        (br#"{"v":2,"type":"hello"}"#, "unknown-version"),
        (br#"{"v":1,"type":"hullo"}"#, "unknown-type"),
        (br#"{"v":1,"type":"hello"}"#, "invalid"),
        (br#"{"v":1,"type":"replenish","count":1001}"#, "invalid"),
    ];
    for (body, code) in bad {
        let input = [frame(body), frame(HELLO.trim_end().as_bytes())].concat();
        let (exit, frames, message) = served(&mut host(&Environment::new()), &input);
        assert_eq!(exit, 0);
        assert_eq!((&frames[0]["type"], &frames[0]["code"]), (&"error".into(), &code.into()));
        assert_eq!(frames[1]["type"], "session");
        assert!(message.contains("a message from the extension was not understood: "), "{message}");
    }
}

#[test]
fn settings_are_stored_in_config_toml() {
    let environment = Environment::new();
    let path = environment.home().join(".config/navtrace/config.toml");
    let hosts = |messages: &[&str]| {
        let input: Vec<u8> = messages.iter().flat_map(|message| frame(message.as_bytes())).collect();
        let mut host = environment.navtrace([ORIGIN]);
        host.env("NAVTRACE_LINK", "http://t.test/{trace_id}");
        let (code, frames, message) = served(&mut host, &input);
        assert_eq!((code, message.as_str()), (0, ""));
        frames
    };
    let of = |frame: &Value, key: &str| {
        let settings = frame["settings"].as_array().unwrap_or_else(|| panic!("{frame}"));
        settings.iter().find(|setting| setting["key"] == key).unwrap().clone()
    };
    let asked = r#"{"v":1,"type":"settings"}"#;
    let stored = r#"{"v":1,"type":"store","values":{"mode":"lightweight","targets":["https://*.shop.test/*"],"link":"http://u.test/{trace_id}"}}"#;
    let refused = r#"{"v":1,"type":"store","values":{"mode":"auto","scope":"page"}}"#;
    let [before, after, sentence, again] = &hosts(&[asked, stored, refused, asked])[..] else { panic!("four answers") };
    assert_eq!((&before["file"], &before["exists"]), (&json!(path), &json!(false)));
    assert_eq!((&of(before, "mode")["value"], &of(before, "mode")["source"]), (&json!("auto"), &json!("default")));
    assert_eq!(after["exists"], true);
    assert_eq!((&of(after, "mode")["value"], &of(after, "mode")["source"]), (&json!("lightweight"), &json!("file")));
    assert_eq!(of(after, "targets")["stored"], json!(["https://*.shop.test/*"]));
    // The environment wins, and the answer says so.
    let link = of(after, "link");
    assert_eq!(
        (&link["value"], &link["stored"]),
        (&json!("http://t.test/{trace_id}"), &json!("http://u.test/{trace_id}"))
    );
    assert_eq!(link["source"], "environment");
    assert_eq!(
        (&sentence["code"], &sentence["message"]),
        (&json!("refused"), &json!("scope can't be used: expected session, context, tab, navigation"))
    );
    assert_eq!(again, after);

    let shown = environment.navtrace(["config"]).output().unwrap();
    let mode = stdout(&shown).lines().find(|line| line.starts_with("NAVTRACE_MODE")).unwrap().to_owned();
    assert!(mode.contains("lightweight") && mode.ends_with("config.toml"), "{mode}");
    // The next host uses the stored settings.
    let hello = hosts(&[HELLO.trim_end()]);
    assert_eq!(
        (hello[0]["mode"].as_str(), hello[0]["propagation"]["targets"].as_array().unwrap().len()),
        (Some("lightweight"), 1)
    );
}

#[test]
fn a_truncated_or_too_long_frame_ends_the_host() {
    for (input, sentence) in [
        (
            frame(b"{\"v\":1}")[..6].to_vec(),
            "navtrace: a frame was cut off: 2 of 7 bytes came before the input ended; the extension will connect again\n",
        ),
        (
            vec![1, 0],
            "navtrace: a frame was cut off: 2 of 4 bytes came before the input ended; the extension will connect again\n",
        ),
        (
            (64_u32 * 1024 * 1024).to_ne_bytes().to_vec(),
            "navtrace: a frame of 67108864 bytes is longer than the 1048576 bytes that a frame may have; the extension will connect \
             again\n",
        ),
    ] {
        let (code, frames, message) = served(&mut host(&Environment::new()), &input);
        assert_eq!((code, frames.len(), message.as_str()), (1, 0, sentence));
    }
}

#[test]
fn only_our_extension_is_served() {
    let environment = Environment::new();
    let foreign = "chrome-extension://bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/";
    for args in [&[foreign][..], &["host", foreign]] {
        let (code, frames, message) = served(&mut environment.navtrace(args), &frame(HELLO.as_bytes()));
        assert_eq!((code, frames.len()), (2, 0));
        assert_eq!(
            message,
            format!("navtrace: {foreign} is not navtrace's extension: this host serves {ORIGIN} only\n")
        );
    }
    let output = environment.navtrace(["host"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        format!(
            "navtrace: the host is started by Chromium with the extension's origin; to try it by hand: navtrace host {ORIGIN}\n"
        )
    );
    assert_eq!(stdout(&output), "");
}

#[test]
fn the_host_has_its_own_process_session_and_stdout() {
    let environment = Environment::new();
    let mut command = host(&environment);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&frame(HELLO.trim_end().as_bytes())).unwrap();
    let mut length = [0; 4];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut length).unwrap();

    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let after_name: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_eq!(after_name[3], child.id().to_string(), "the session's id is the host's own");

    let target = |fd: u32| std::fs::read_link(format!("/proc/{}/fd/{fd}", child.id())).unwrap();
    assert_eq!(target(1), target(2), "a stray print goes to standard error");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
