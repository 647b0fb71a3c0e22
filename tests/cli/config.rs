//! Tests `navtrace config`: values of settings, their sources, and invalid ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::Value;

use crate::navtrace::{Environment, stderr, stdout};

/// Writes the user's config.toml and returns its path.
fn config_file(environment: &Environment, text: &str) -> PathBuf {
    let folder = environment.home().join(".config/navtrace");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("config.toml");
    fs::write(&path, text).unwrap();
    path
}

/// Returns `navtrace config` without the variables that the tests' environment sets.
fn config(environment: &Environment, args: &[&str]) -> Command {
    let mut command = environment.navtrace([&["config"], args].concat());
    command.env_remove("NAVTRACE_ARM_TIMEOUT").env_remove("OTEL_TRACES_EXPORTER");
    command
}

/// Returns the value and the source of a setting.
fn line(shown: &str, name: &str) -> (String, String) {
    let line = shown.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    let rest = line[name.len()..].trim_start();
    let (value, source) = rest.split_once("  ").unwrap();
    (value.to_owned(), source.trim_start().to_owned())
}

fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    stderr(&output)
}

#[test]
fn defaults_are_shown_when_nothing_is_set() {
    let environment = Environment::new();
    let output = config(&environment, &[]).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let shown = stdout(&output);
    let begin: Vec<&str> = shown.lines().take(8).collect();
    let end = shown.lines().last().unwrap().replace(environment.home().to_str().unwrap(), "~");
    assert_snapshot!(format!("{}\n{end}", begin.join("\n")), @"
    NAVTRACE_BROWSER                              the first that is found  default
    NAVTRACE_MODE                                 auto                     default
    NAVTRACE_WEB_VITALS                           off                      default
    NAVTRACE_LINK                                 none                     default
    NAVTRACE_RUN_ID                               that of TRACEPARENT      default
    NAVTRACE_RUN_ATTEMPT                          none                     default
    NAVTRACE_ARM_TIMEOUT                          5s                       default
    NAVTRACE_EXTENSION                            the built-in one         default
    config file: none (would be read from ~/.config/navtrace/config.toml)
    ");
    assert!(!shown.lines().any(|line| line.ends_with(' ')), "{shown}");
}

#[test]
fn options_win_over_the_environment_and_that_over_the_file() {
    let environment = Environment::new();
    let file = config_file(
        &environment,
        "mode = \"lightweight\"\nlog = \"info\"\narm_timeout = \"2s\"\n\n[otel]\nservice_name = \"shop-test\"\ntraces_sampler = \"sometimes\"\n",
    );
    let mut command = config(&environment, &["--arm-timeout", "4s", "--link=http://jaeger.test/{trace_id}"]);
    let output = command.env("NAVTRACE_ARM_TIMEOUT", "3s").env("NAVTRACE_LOG", "error").output().unwrap();
    let warning = "traces_sampler = \"sometimes\" is ignored: expected always_on, always_off, traceidratio, parentbased_always_on, \
                   parentbased_always_off, parentbased_traceidratio";
    assert_eq!(stderr(&output), format!("navtrace: {}:7:1: {warning}\n", file.display()));
    let shown = stdout(&output);
    let path = file.to_str().unwrap();
    for (name, value, source) in [
        ("NAVTRACE_MODE", "lightweight", path),
        ("NAVTRACE_LOG", "error", "environment"),
        ("NAVTRACE_ARM_TIMEOUT", "4s", "flag --arm-timeout"),
        ("NAVTRACE_LINK", "http://jaeger.test/{trace_id}", "flag --link"),
        ("OTEL_SERVICE_NAME", "shop-test", path),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_on", "default"),
    ] {
        assert_eq!(line(&shown, name), (value.to_owned(), source.to_owned()), "{shown}");
    }
    assert!(shown.ends_with(&format!("\nconfig file: {path}\n")), "{shown}");
}

#[test]
fn json_shows_the_same_settings() {
    let environment = Environment::new();
    let file = environment.home().join("mine.toml");
    fs::write(&file, "web_vitals = true").unwrap();
    // The path may be relative.
    let mut command = config(&environment, &["--json"]);
    let output = command.env("NAVTRACE_CONFIG", "mine.toml").current_dir(environment.home()).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = fs::canonicalize(file).unwrap();
    assert_eq!(Path::new(document["file"].as_str().unwrap()).canonicalize().unwrap(), file);
    assert_eq!(document["file_exists"], true);
    let settings = document["settings"].as_array().unwrap();
    let of = |name: &str| settings.iter().find(|setting| setting["name"] == name).unwrap();
    assert_eq!(of("NAVTRACE_WEB_VITALS")["value"], "on");
    assert_eq!(of("NAVTRACE_WEB_VITALS")["source"], document["file"]);
    assert_eq!(of("NAVTRACE_BROWSER")["value"], Value::Null);
    assert_eq!(of("NAVTRACE_MODE")["source"], "default");
}

#[test]
fn secrets_are_not_shown() {
    let environment = Environment::new();
    config_file(&environment, "[otel]\nexporter_otlp_traces_headers = [\"api-key=S3CRET\"]\n");
    for args in [&[][..], &["--json"]] {
        let mut command = config(&environment, args);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:S3CRET@c.test/?token=S3CRET");
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20S3CRET");
        command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "S3CRET@c.test");
        let output = command.output().unwrap();
        let shown = stdout(&output) + &stderr(&output);
        assert!(shown.contains("https://REDACTED:REDACTED@c.test/?token=REDACTED"), "{shown}");
        assert!(shown.contains("authorization=REDACTED") && shown.contains("api-key=REDACTED"), "{shown}");
        assert!(shown.contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT can't be used: expected an address"), "{shown}");
        assert!(!shown.contains("S3CRET"), "{shown}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let environment = Environment::new();
    assert_eq!(
        refused(config(&environment, &[]).env("NAVTRACE_MDOE", "auto")),
        "navtrace: NAVTRACE_MDOE is not a setting: did you mean NAVTRACE_MODE?\n"
    );
    assert_eq!(
        refused(&mut environment.navtrace(["run", "--mode", "detail", "--", "true"])),
        "navtrace: --mode detail can't be used: did you mean detailed? (auto, lightweight, detailed, static)\n"
    );
    let shown = refused(&mut config(&environment, &["--mdoe", "auto"]));
    assert!(shown.contains("a similar argument exists: '--mode'"), "{shown}");

    let file = config_file(&environment, "\nmdoe = \"auto\"\n");
    let sentence = format!("navtrace: {}:2:1: mdoe is not a setting: did you mean mode?\n", file.display());
    let run: &[&str] = &["run", "--", "true"];
    for args in [run, &["launch"], &["doctor"], &["host"], &["flush"], &["collect"], &["view"], &["config"]] {
        assert_eq!(refused(&mut environment.navtrace(args)), sentence);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let environment = Environment::new();
    let missing = environment.home().join("missing.toml");
    assert_eq!(
        refused(config(&environment, &[]).env("NAVTRACE_CONFIG", &missing)),
        format!(
            "navtrace: NAVTRACE_CONFIG={}: No such file or directory (os error 2); name a file that you may read, or unset it\n",
            missing.display()
        )
    );
    fs::create_dir_all(environment.home().join(".config/navtrace/config.toml")).unwrap();
    let sentence = format!(
        "navtrace: {}/.config/navtrace/config.toml can't be read: Is a directory (os error 21); fix that, or name another file with \
         NAVTRACE_CONFIG\n",
        environment.home().display()
    );
    assert_eq!(refused(&mut config(&environment, &[])), sentence);
    let output = config(&environment, &[]).env("NAVTRACE_CONFIG", "/dev/null").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn options_of_a_run_reach_its_command() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "exit 9");
    fs::write(environment.home().join("mine.toml"), "log = \"error\"").unwrap();
    let options = ["--mode", "lightweight", "--traces-sampler", "always_off", "--browser"];
    let mut command = environment.navtrace(["run"]);
    command.args(options).arg(&browser).args(["--", "env"]);
    command.env("NAVTRACE_CONFIG", "mine.toml").env("NAVTRACE_MODE", "auto").current_dir(environment.home());
    let shown = stdout(&command.output().unwrap());
    let browser = format!("NAVTRACE_BROWSER={}", browser.display());
    for variable in ["NAVTRACE_MODE=lightweight", "OTEL_TRACES_SAMPLER=always_off", &browser] {
        assert!(shown.lines().any(|line| line == variable), "{variable} is not in {shown}");
    }
    let file = shown.lines().find_map(|line| line.strip_prefix("NAVTRACE_CONFIG=")).unwrap();
    assert!(Path::new(file).is_absolute() && file.ends_with("/mine.toml"), "{file}");
    assert!(!shown.contains("NAVTRACE_LOG="), "{shown}");
}

#[test]
fn an_endpoint_in_the_file_replaces_the_own_collector() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "exit 9");
    config_file(&environment, "[otel]\nexporter_otlp_endpoint = \"http://collector.test:4318\"\n");
    let mut command = environment.navtrace(["run", "--listen", "127.0.0.1:0", "--", "true"]);
    command.env("NAVTRACE_BROWSER", browser).env_remove("OTEL_TRACES_EXPORTER");
    let shown = refused(&mut command);
    assert!(shown.contains("--listen can't be used while spans go to http://collector.test:4318"), "{shown}");
}

#[test]
fn a_run_with_its_own_collector_overrides_exporter_settings() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "exit 9");
    config_file(&environment, "[otel]\nexporter_otlp_traces_protocol = \"grpc\"\nbsp_schedule_delay = 900\n");
    let mut command = environment.navtrace(["run", "--listen", "127.0.0.1:0", "--wait", "1ms", "--", "env"]);
    command.env("NAVTRACE_BROWSER", browser).env_remove("OTEL_TRACES_EXPORTER");
    let shown = stdout(&command.output().unwrap());
    assert!(shown.contains("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf\n"), "{shown}");
    assert!(!shown.contains("OTEL_BSP_SCHEDULE_DELAY="), "{shown}");
}

#[test]
fn a_closed_standard_output_is_no_failure() {
    let environment = Environment::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = config(&environment, &[]).stdout(Stdio::from(writer)).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn long_help_explains_settings() {
    let environment = Environment::new();
    let help = |args: &[&str]| stdout(&environment.navtrace(args).output().unwrap());
    let short = help(&["run", "-h"]);
    assert!(short.contains("--output") && !short.contains("--arm-timeout"), "{short}");
    for command in ["run", "doctor", "config", "collect", "view", "flush"] {
        let long = help(&[command, "--help"]);
        assert!(long.contains("Settings:\n") && long.contains("--arm-timeout <VALUE>"), "{long}");
        assert!(long.contains("[NAVTRACE_ARM_TIMEOUT, default: 5s]"), "{long}");
    }
    assert!(help(&["config", "--help"]).contains("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"));
}
