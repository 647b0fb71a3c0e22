use std::fs;
use std::path::{Path, PathBuf};

use ts_rs::{Config, TS};

use crate::channel::message::ErrorCode;
use crate::channel::message::setting::{SettingInfo, SettingKind, SettingSource, SettingValue};
use crate::channel::message::to_extension::{Configured, ToExtension};
use crate::channel::message::to_host::{Armed, Choose, Hello, Overlap, Problem, Replenish, Store, ToHost};
use crate::context::issuer::{NavigationContext, SessionContext};
use crate::context::mode::{Mode, WantedMode};
use crate::context::policy::{Existing, Incognito, Propagation, SamplePer, Scope};
use crate::context::propagator::Propagator;
use crate::context::resources::{OtherResources, ResourceType};
use crate::context::sampler::Sampler;
use crate::export::ExporterState;
use crate::export::resource::BrowserInfo;
use crate::observe::observation::{
    FailureKind, IssuedFor, NavigationEnd, NavigationStart, Observation, Observed, Response, SpanLink,
};
use crate::run::test_runner::messages::TestContext;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> String {
    let path = project().join("tests/fixtures/messages").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

fn code_and_message(body: &[u8]) -> (ErrorCode, String) {
    let error = ToHost::decode(body).unwrap_err();
    (error.code, error.message)
}

#[test]
fn messages_to_the_host_survive_a_round_trip() {
    for name in [
        "hello",
        "hello-resume",
        "armed",
        "observed",
        "observed-before",
        "replenish",
        "overlap",
        "problem",
        "choose",
        "ask-settings",
        "store",
    ] {
        let text = fixture(&format!("{name}.json"));
        let message = ToHost::decode(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(message.encode()).unwrap(), text, "{name}");
    }
}

#[test]
fn messages_to_the_extension_survive_a_round_trip() {
    for name in [
        "session",
        "contexts",
        "received",
        "overlapped",
        "test",
        "exporter",
        "settings",
        "error",
        "error-refused",
        "error-batch",
    ] {
        let text = fixture(&format!("{name}.json"));
        let message: ToExtension = serde_json::from_str(&text).unwrap();
        assert_eq!(String::from_utf8(message.encode()).unwrap(), text, "{name}");
    }
    let error = ToHost::decode(br#"{"v":1,"type":"hullo"}"#).unwrap_err();
    assert_eq!(String::from_utf8(ToExtension::from(error).encode()).unwrap(), fixture("error.json"));
    let batch =
        ToHost::decode(br#"{"v":1,"type":"observed","worker":"9f86d081884c7d65","number":2,"observations":[]}"#);
    assert_eq!(String::from_utf8(ToExtension::from(batch.unwrap_err()).encode()).unwrap(), fixture("error-batch.json"));
}

#[test]
fn the_protocol_page_shows_every_fixture() {
    let page = fs::read_to_string(project().join("PROTOCOL.md")).unwrap();
    for entry in fs::read_dir(project().join("tests/fixtures/messages")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let example = format!("```json\n{}\n```", fixture(&name));
        assert!(page.contains(&example), "PROTOCOL.md does not show {name}");
    }
}

#[test]
fn fields_from_a_later_version_are_ignored() {
    let message = ToHost::decode(br#"{"v":1,"type":"replenish","count":1,"new":[]}"#).unwrap();
    assert_eq!(message, ToHost::Replenish(Replenish { count: 1, traces: 0 }));
}

#[test]
fn each_invalid_frame_has_its_code_and_sentence() {
    let long = format!(r#"{{"v":1,"type":"{}"}}"#, "x".repeat(5000));
    let cases: [(&[u8], ErrorCode, &str); 12] = [
        (b"\xff\xfe{}", ErrorCode::NotUtf8, "the frame is not UTF-8: byte 0 is invalid"),
        (b"{", ErrorCode::NotJson, "the frame is not JSON: EOF while parsing an object at line 1 column 1"),
        (b"", ErrorCode::NotJson, "the frame is not JSON: EOF while parsing a value at line 1 column 0"),
        (b"[1]", ErrorCode::NotJson, "the frame is not a JSON object"),
        (b"{}", ErrorCode::UnknownVersion, "the message has no version: expected \"v\":1"),
        (br#"{"v":2,"type":"armed"}"#, ErrorCode::UnknownVersion, "unknown protocol version 2: this host speaks 1"),
        (
            br#"{"v":1}"#,
            ErrorCode::UnknownType,
            "unknown message type (none): expected hello, armed, observed, replenish, problem, overlap, choose, settings or store",
        ),
        (
            br#"{"v":1,"type":7}"#,
            ErrorCode::UnknownType,
            "unknown message type 7: expected hello, armed, observed, replenish, problem, overlap, choose, settings or store",
        ),
        (br#"{"v":1,"type":"armed"}"#, ErrorCode::Invalid, "missing field `mode` at line 1 column 22"),
        (br#"{"v":1,"type":"replenish","count":1001}"#, ErrorCode::Invalid, "count is 1001: expected 1000 at most"),
        (
            br#"{"v":1,"type":"hello","extension":"1","offTheRecord":true,"session":{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"0000000000000000","flags":"01"}}"#,
            ErrorCode::Invalid,
            "an id that is all zero is invalid at line 1 column 141",
        ),
        (
            long.as_bytes(),
            ErrorCode::UnknownType,
            &format!("unknown message type \"{}…: expected hello, armed, observed, replenish, problem, overlap, choose, settings or store", "x".repeat(59)),
        ),
    ];
    for (body, code, sentence) in cases {
        assert_eq!(code_and_message(body), (code, sentence.to_owned()));
    }
}

/// Compares `extension/protocol.d.ts` with the types. `NAVTRACE_BLESS=1 cargo test protocol_types` regenerates it.
#[test]
fn protocol_types_of_the_extension_are_current() {
    let config = Config::new().with_large_int("number");
    let declarations = [
        SessionContext::decl(&config),
        NavigationContext::decl(&config),
        Propagator::decl(&config),
        Sampler::decl(&config),
        SamplePer::decl(&config),
        Scope::decl(&config),
        Existing::decl(&config),
        Incognito::decl(&config),
        ResourceType::decl(&config),
        OtherResources::decl(&config),
        Propagation::decl(&config),
        Mode::decl(&config),
        WantedMode::decl(&config),
        ErrorCode::decl(&config),
        BrowserInfo::decl(&config),
        Hello::decl(&config),
        Armed::decl(&config),
        NavigationStart::decl(&config),
        IssuedFor::decl(&config),
        SpanLink::decl(&config),
        FailureKind::decl(&config),
        NavigationEnd::decl(&config),
        Response::decl(&config),
        Observation::decl(&config),
        Observed::decl(&config),
        Replenish::decl(&config),
        Overlap::decl(&config),
        Problem::decl(&config),
        Choose::decl(&config),
        SettingValue::decl(&config),
        SettingKind::decl(&config),
        SettingSource::decl(&config),
        SettingInfo::decl(&config),
        Store::decl(&config),
        ToHost::decl(&config),
        Configured::decl(&config),
        ExporterState::decl(&config),
        TestContext::decl(&config),
        ToExtension::decl(&config),
    ];
    let mut text = String::from(
        "// Generated from src/channel/message/ and src/observe/observation.rs;\n\
         // `NAVTRACE_BLESS=1 cargo test protocol_types` regenerates it.\n\
         // Every message also carries `v`, the version of the protocol (PROTOCOL.md).\n",
    );
    for declaration in declarations {
        text.push_str("\nexport ");
        // One line per comment.
        text.push_str(&declaration.replace("/**\n * ", "/** ").replace("\n */\n", " */\n"));
        text.push('\n');
    }
    let path: PathBuf = project().join("extension/protocol.d.ts");
    if std::env::var_os("NAVTRACE_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        text,
        "extension/protocol.d.ts is stale: run `NAVTRACE_BLESS=1 cargo test protocol_types`"
    );
}

#[test]
fn a_problem_becomes_one_short_line() {
    let body = format!(r#"{{"v":1,"type":"problem","message":"a\nb{}"}}"#, "x".repeat(1000));
    let ToHost::Problem(Problem { message }) = ToHost::decode(body.as_bytes()).unwrap() else { panic!("no problem") };
    assert!(message.starts_with("a bx") && message.chars().count() == 301, "{message}");
}
