//! Tests invalid arguments and settings, and help.

use insta::assert_snapshot;

use crate::navtrace::{Environment, stderr, stdout};

/// Runs navtrace, which must print nothing, and returns its exit code and standard error.
fn refused(args: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let output = Environment::new().navtrace(args).envs(variables.iter().copied()).output().unwrap();
    assert_eq!(stdout(&output), "");
    (output.status.code().unwrap(), stderr(&output))
}

#[test]
fn an_unknown_subcommand_names_the_nearest() {
    let (code, message) = refused(&["docter"], &[]);
    assert_eq!(code, 2);
    assert_snapshot!(message, @"
    error: unrecognized subcommand 'docter'

      tip: a similar subcommand exists: 'doctor'

    Usage: navtrace <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn run_without_a_command_says_what_it_expects() {
    let (code, message) = refused(&["run"], &[]);
    assert_eq!(code, 2);
    assert_snapshot!(message, @"
    error: the following required arguments were not provided:
      <CMD>...

    Usage: navtrace run [OPTIONS] -- <CMD>...

    For more information, try '--help'.
    ");
}

#[test]
fn every_subcommand_names_an_unknown_value() {
    let run: &[&str] = &["run", "--", "true"];
    let plain = ["launch", "doctor", "host", "flush", "collect", "view", "config", "install", "uninstall"];
    for args in plain.iter().map(std::slice::from_ref).chain([run]) {
        assert_eq!(
            refused(args, &[("NAVTRACE_LOG", "verbose")]),
            (
                2,
                "navtrace: NAVTRACE_LOG=verbose can't be used: expected off, error, warn, info, debug, trace\n"
                    .to_owned()
            )
        );
    }
}

#[test]
fn an_unknown_opentelemetry_value_is_ignored_with_a_warning() {
    let ignored = "OTEL_EXPORTER_OTLP_TIMEOUT=1s is ignored: expected a whole number";
    let off = "nothing can be sent while the export is switched off: unset OTEL_TRACES_EXPORTER and OTEL_SDK_DISABLED";
    let variables = [("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s")];
    assert_eq!(
        refused(&["flush"], &variables),
        (0, format!("navtrace: {ignored}\nnavtrace: there is nothing to send\n"))
    );
    assert_eq!(refused(&["flush"], &[]), (2, format!("navtrace: {off}\n")));
    let (code, text) = refused(&["flush", "now"], &[]);
    assert!(code == 2 && text.starts_with("error: unexpected argument 'now' found"), "{text}");
}

#[test]
fn settings_without_which_spans_or_secrets_would_be_lost_are_errors() {
    let environment = Environment::new();
    let marker = environment.home().join("started");
    let browser = environment.program("chromium", "exit 0");
    let cases = [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "S3CRET:4318",
            "it needs http:// or https://, unless OTEL_EXPORTER_OTLP_PROTOCOL is grpc",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,S3CRET", "item 2 is not key=value, percent-encoded"),
    ]
    .map(|(name, value, reason)| (name, value, format!("{name} can't be used: {reason}")));
    let key = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
    let half = (key, "/S3CRET.pem", format!("{key} can't be used without OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"));
    for (name, value, sentence) in cases.into_iter().chain([half]) {
        let said = |args: &[&str]| {
            let mut command = environment.navtrace(args);
            command.env("OTEL_TRACES_EXPORTER", "otlp").env("NAVTRACE_BROWSER", &browser);
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.test").env(name, value);
            let output = command.output().unwrap();
            (output.status.code().unwrap(), stdout(&output), stderr(&output))
        };
        let stopped = |code| (code, String::new(), format!("navtrace: {sentence}\n"));
        let touch = ["run", "--", "touch", marker.to_str().unwrap()];
        assert_eq!(said(&touch), stopped(2));
        assert!(!marker.exists(), "the command was started");
        assert_eq!(said(&["launch"]), stopped(2));
        assert_eq!(said(&["flush"]), stopped(1));
        assert_eq!(said(&["env", "--k6"]), (2, "false\n".to_owned(), format!("navtrace: {sentence}\n")));
        let (code, report, _) = said(&["doctor"]);
        assert!(code == 1 && report.contains(&format!("FAIL  export           {sentence}\n")), "{report}");
        let (code, _, warning) = said(&["config"]);
        assert_eq!((code, warning), (0, format!("navtrace: {sentence}\n")));
        // Without an export nothing is lost.
        let mut off = environment.navtrace(["run", "--", "true"]);
        let output = off.env("NAVTRACE_BROWSER", &browser).env(name, value).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn help_is_on_standard_output_and_names_the_main_use() {
    let environment = Environment::new();
    let output = environment.navtrace(["--help"]).output().unwrap();
    assert!(output.status.success());
    assert!(stdout(&output).contains("navtrace run -- k6 run script.js"));
    for subcommand in [
        "run",
        "launch",
        "install",
        "uninstall",
        "profile",
        "env",
        "host",
        "doctor",
        "flush",
        "collect",
        "view",
        "config",
        "completions",
        "man",
    ] {
        let output = environment.navtrace([subcommand, "--help"]).output().unwrap();
        assert!(output.status.success(), "{subcommand}");
        assert!(stdout(&output).contains(&format!("Usage: navtrace {subcommand}")), "{subcommand}");
    }
}

#[test]
fn without_a_browser_nothing_is_started() {
    let environment = Environment::new();
    for args in [&["run", "--", "/bin/echo", "started"][..], &["launch"], &["doctor"]] {
        let output = environment.navtrace(args).env("PATH", environment.home()).output().unwrap();
        let sentence = "no Chromium was found on PATH or in the caches of Playwright and Puppeteer: install it (on Debian: apt-get install chromium) \
                        or set NAVTRACE_BROWSER to its path";
        if args == ["doctor"] {
            assert_eq!(output.status.code(), Some(1));
            assert!(stdout(&output).starts_with(&format!("FAIL  browser          {sentence}\n")));
            assert!(stdout(&output).contains("FAIL  page load        not tried: fix the problems above first\n"));
        } else {
            assert_eq!(output.status.code(), Some(127));
            assert_eq!(stderr(&output), format!("navtrace: {sentence}\n"));
            assert_eq!(stdout(&output), "");
        }
    }
}

#[test]
fn a_browser_without_extensions_is_refused() {
    let environment = Environment::new();
    let shell = environment.program("headless_shell", "echo started");
    for args in [&["run", "--", "/bin/echo", "started"][..], &["launch"]] {
        let output = environment.navtrace(args).env("NAVTRACE_BROWSER", &shell).output().unwrap();
        assert_eq!(output.status.code(), Some(126));
        assert_eq!(
            stderr(&output),
            format!(
                "navtrace: {} is headless_shell, which loads no extensions, so nothing could be traced: use Chromium or Chrome for \
                 Testing (set NAVTRACE_BROWSER to its path)\n",
                shell.display()
            )
        );
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn a_missing_or_broken_extension_folder_is_refused() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "echo started");
    let missing = environment.home().join("missing");
    for (folder, reason) in
        [(missing.as_path(), "No such file or directory (os error 2)"), (environment.home(), "it has no manifest.json")]
    {
        for args in [&["run", "--", "/bin/echo", "started"][..], &["launch"]] {
            let output = environment
                .navtrace(args)
                .env("NAVTRACE_BROWSER", &browser)
                .env("NAVTRACE_EXTENSION", folder)
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(
                stderr(&output),
                format!(
                    "navtrace: NAVTRACE_EXTENSION={}: {reason}; name a folder that holds the extension, or unset it to use the one \
                     that navtrace carries\n",
                    folder.display()
                )
            );
            assert_eq!(stdout(&output), "");
        }
    }
}
