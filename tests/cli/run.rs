//! Tests `navtrace run` with commands that start no browser: environment, exit status, signals.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::navtrace::{Environment, stderr, stdout};

/// Returns a `navtrace run` whose browser is never started.
fn run(environment: &Environment, command: &[&str]) -> Command {
    let browser = environment.program("chromium", "exit 9");
    let mut run = environment.navtrace([&["run", "--"], command].concat());
    run.env("NAVTRACE_BROWSER", browser);
    run
}

fn ran(command: &[&str]) -> Output {
    let environment = Environment::new();
    let output = run(&environment, command).output().unwrap();
    assert_eq!(environment.left_behind(), [""; 0]);
    output
}

#[test]
fn the_commands_exit_status_is_passed_on() {
    for (script, code) in [("exit 0", 0), ("exit 99", 99), ("kill -KILL $$", 137), ("kill -TERM $$", 143)] {
        assert_eq!(ran(&["sh", "-c", script]).status.code(), Some(code), "{script}");
    }
}

#[test]
fn a_command_that_cannot_be_run_is_named() {
    let output = ran(&["no-such-program"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(
        stderr(&output).ends_with("navtrace: no-such-program: no such program; check its name, or give its path\n")
    );
    let output = ran(&["/etc/passwd"]);
    assert_eq!(output.status.code(), Some(126));
    assert!(stderr(&output).ends_with("navtrace: /etc/passwd can't be run: Permission denied (os error 13)\n"));
}

#[test]
fn standard_output_and_input_belong_to_the_command() {
    let environment = Environment::new();
    let mut child = run(&environment, &["cat"])
        .stdin(Stdio::from(std::fs::File::open(env!("CARGO_MANIFEST_DIR").to_owned() + "/LICENSE").unwrap()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text, std::fs::read_to_string(env!("CARGO_MANIFEST_DIR").to_owned() + "/LICENSE").unwrap());
}

#[test]
fn a_browser_that_is_gone_is_passed_over_unless_its_client_needs_it() {
    let environment = Environment::new();
    let text = environment.home().join("notes");
    std::fs::write(&text, "").unwrap();
    let bin = environment.home().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/bin/sh", bin.join("sh")).unwrap();
    let run = |variable: &str, value: &str| {
        let mut run = environment.navtrace(["run", "--", "sh", "-c", r#""$CHROME_BIN" --version"#]);
        let output = run.env("PATH", &bin).env(variable, value).output().unwrap();
        (output.status.code().unwrap(), stdout(&output), stderr(&output))
    };
    let (code, _, messages) = run("CHROME_BIN", "/no/browser");
    let sentence = "navtrace: CHROME_BIN=/no/browser: no such program; set it to the path of a Chromium, or unset it\n";
    assert_eq!((code, messages.as_str()), (127, sentence), "there is no other browser");

    let browser = environment.program("bin/chromium", "echo on PATH");
    let text = text.to_str().unwrap();
    for variable in ["CHROME_BIN", "CHROME_PATH"] {
        for (value, problem) in
            [("/no/browser", "no such program"), ("gone", "no such program"), (text, "not an executable file")]
        {
            let (code, output, messages) = run(variable, value);
            let sentence = format!(
                "navtrace: {variable}={value} is not used: {problem}; navtrace starts {} (the first on PATH); set NAVTRACE_BROWSER to choose another\n",
                browser.display()
            );
            assert_eq!((code, output.as_str()), (0, "on PATH\n"), "{messages}");
            assert!(messages.contains(&sentence), "{messages}");
        }
    }
    for variable in ["K6_BROWSER_EXECUTABLE_PATH", "PUPPETEER_EXECUTABLE_PATH"] {
        let (code, _, messages) = run(variable, "/no/browser");
        assert!(code == 127 && messages.contains(": no such program; "), "its client would fail too: {messages}");
    }
}

#[test]
fn settings_of_an_endpoint_that_is_not_set_stop_no_run() {
    let environment = Environment::new();
    let browser = environment.program("brave", "echo started $OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let run = |script: &str, variables: &[(&str, &str)]| {
        let mut run = environment.navtrace(["run", "--listen", "127.0.0.1:0", "--", "sh", "-c", script]);
        run.env_remove("OTEL_TRACES_EXPORTER").env("NAVTRACE_BROWSER", &browser).envs(variables.iter().copied());
        let output = run.output().unwrap();
        (output.status.code().unwrap(), stdout(&output), stderr(&output))
    };
    let start = r#""$CHROME_BIN" --no-sandbox"#;
    let hidden = r#"env -i PATH="$PATH" HOME="$HOME" TMPDIR="$TMPDIR" "$CHROME_BIN" --no-sandbox"#;
    let unusable = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "tenant=m\u{fc}nchen"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "tenant"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/client.pem"),
    ];
    for (index, setting) in unusable.into_iter().enumerate() {
        for script in [start, hidden].into_iter().take(if index == 0 { 2 } else { 1 }) {
            let (code, output, messages) = run(script, &[setting]);
            assert_eq!((code, output.as_str()), (0, "started\n"), "{setting:?}: {messages}");
            let (name, warnings) = (setting.0, messages.matches(" can't be used").count());
            assert!(messages.contains(&format!("navtrace: {name} can't be used")) && warnings == 1, "{messages}");
            assert!(messages.contains("navtrace: spans are collected at "), "{messages}");
        }
    }
    // In config.toml they are read by the browser's host too.
    let folder = environment.home().join(".config/navtrace");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    std::fs::write(&file, "[otel]\nexporter_otlp_headers = \"tenant\"\n").unwrap();
    let (code, output, messages) = run(start, &[]);
    assert_eq!((code, output.as_str()), (0, "started\n"), "{messages}");
    std::fs::remove_file(file).unwrap();

    // They matter for an endpoint that is named, by the user or by the client.
    for endpoint in [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.test:1"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "c.test")] {
        let (code, _, messages) = run("true", &[unusable[0], endpoint]);
        assert!(code == 2 && messages.contains(" can't be used"), "{endpoint:?}: {messages}");
    }
    for endpoint in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        let (code, _, messages) = run(&format!("export {endpoint}=http://c.test:1; {start}"), &[unusable[0]]);
        assert_eq!(code, 2, "{endpoint}: {messages}");
    }
}

#[test]
fn a_browser_without_the_environment_has_that_of_the_run() {
    let environment = Environment::new();
    let browser = environment.program("brave", "env");
    let seen = |hiding: &str| {
        let script = format!(r#"exec env {hiding} "$CHROME_BIN" --version"#);
        let options = ["run", "--mode", "lightweight", "--listen", "127.0.0.1:0", "--", "sh", "-c", &script];
        let mut run = environment.navtrace(options);
        run.env_remove("OTEL_TRACES_EXPORTER").env("NAVTRACE_BROWSER", &browser);
        run.env("OTEL_SERVICE_NAME", "shop, the \u{e9}").env("OTEL_EXPORTER_OTLP_HEADERS", "k=v");
        let output = run.output().unwrap();
        let text = stdout(&output);
        let lines = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        (lines.collect::<BTreeMap<_, _>>(), stderr(&output))
    };
    let places = r#"PATH="$PATH" HOME="$HOME" TMPDIR="$TMPDIR""#;
    let (passed_on, _) = seen("");
    let (hidden, messages) = seen(&format!("-i {places}"));
    for name in [
        "NAVTRACE_MODE",
        "NAVTRACE_BROWSER",
        "OTEL_SERVICE_NAME",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_BSP_SCHEDULE_DELAY",
    ] {
        assert!(
            passed_on.contains_key(name) && hidden.get(name) == passed_on.get(name),
            "{name}: {hidden:?} {messages}"
        );
    }
    assert!(messages.contains(&format!("collected at {}", hidden["OTEL_EXPORTER_OTLP_ENDPOINT"])), "{messages}");
    assert_eq!(hidden["XDG_STATE_HOME"], format!("{}/.local/state", environment.home().display()));
    assert!(hidden["NAVTRACE_RUN"].ends_with("/run"), "{hidden:?}");

    // What a client sets itself wins, and what it takes out of a whole environment stays out.
    let (own, _) = seen(&format!("-i {places} OTEL_SERVICE_NAME=own OTEL_EXPORTER_OTLP_ENDPOINT=http://c.test:1"));
    assert_eq!((own["OTEL_SERVICE_NAME"].as_str(), own["NAVTRACE_MODE"].as_str()), ("own", "lightweight"));
    assert!(!own.contains_key("OTEL_EXPORTER_OTLP_HEADERS"), "they are the other endpoint's: {own:?}");
    let (taken_out, _) = seen("-u OTEL_SERVICE_NAME");
    assert!(!taken_out.contains_key("OTEL_SERVICE_NAME") && taken_out.contains_key("NAVTRACE_MODE"));
    assert_eq!(environment.left_behind(), [""; 0]);
}

#[test]
fn a_browser_elsewhere_is_reported() {
    let environment = Environment::new();
    for (variable, client) in [("K6_BROWSER_WS_URL", "k6"), ("PW_TEST_CONNECT_WS_ENDPOINT", "Playwright's test runner")]
    {
        let output = run(&environment, &["true"]).env(variable, "ws://browser.test:9222").output().unwrap();
        let sentence = format!(
            "navtrace: {variable} is set, so {client} uses the browser there and starts none that could be traced; unset it to trace\n"
        );
        assert!(stderr(&output).contains(&sentence), "{}", stderr(&output));
    }
}

#[test]
fn a_relative_extension_folder_becomes_absolute() {
    let environment = Environment::new();
    let mut command = run(&environment, &["sh", "-c", "cd / && echo $NAVTRACE_EXTENSION"]);
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = command.env("NAVTRACE_EXTENSION", "extension").current_dir(project).output().unwrap();
    assert_eq!(PathBuf::from(stdout(&output).trim_end()), std::fs::canonicalize(project.join("extension")).unwrap());
}

#[test]
fn an_unwritable_standard_error_stops_nothing() {
    let environment = Environment::new();
    let mut command = run(&environment, &["sh", "-c", "echo ran; exit 7"]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command.stderr(full).output().unwrap();
    assert_eq!((stdout(&output).as_str(), output.status.code()), ("ran\n", Some(7)));
}

#[test]
fn ignored_signals_stay_ignored_in_the_command() {
    let environment = Environment::new();
    let navtrace = run(&environment, &["grep", "SigIgn", "/proc/self/status"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP INT; exec \"$@\"", "sh"]).arg(navtrace.get_program()).args(navtrace.get_args());
    for (name, value) in navtrace.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let messages = stdout(&shell.output().unwrap());
    let mask = u64::from_str_radix(messages.split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert_eq!(mask & 0b11, 0b11, "SIGHUP and SIGINT are ignored: {messages}");
}

#[test]
fn a_missing_interpreter_is_reported_as_such() {
    let environment = Environment::new();
    let script = environment.executable("script", "#!/no/such/interpreter\n");
    let output = run(&environment, &[script.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(126));
    let sentence = format!("{} can't be run: the interpreter in its first line is missing\n", script.display());
    assert!(stderr(&output).ends_with(&sentence), "{}", stderr(&output));
}

#[test]
fn a_run_without_a_browser_is_reported() {
    let output = ran(&["true"]);
    assert!(output.status.success());
    let messages = stderr(&output);
    let sentence = "navtrace: no browser was traced: did the command start one? A client that does not find navtrace by itself needs the \
                    path in CHROME_BIN\n";
    assert!(messages.contains(sentence), "{messages}");
}

#[test]
fn repeated_problems_are_reported_once() {
    let environment = Environment::new();
    let script = r#""$CHROME_BIN" --user-data-dir=/proc/none; "$CHROME_BIN" --user-data-dir=/proc/none; exit 5"#;
    let output = run(&environment, &["sh", "-c", script]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let messages = stderr(&output);
    let sentence = "the profile /proc/none can't be prepared: can't create /proc/none/NativeMessagingHosts: No such file or directory (os \
                    error 2); name a profile that you may write to";
    assert!(messages.contains(&format!("navtrace: 2 times: {sentence}\n")), "{messages}");
}

#[test]
fn a_signal_is_passed_on_to_the_command() {
    let environment = Environment::new();
    let script = "trap 'echo got it; exit 42' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child =
        run(&environment, &["sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(lines.next().unwrap().unwrap(), "got it");
    assert_eq!(child.wait().unwrap().code(), Some(42));
    assert_eq!(environment.left_behind(), [""; 0]);
}

#[test]
fn k6_sends_its_spans_to_the_run_unless_the_user_has_chosen() {
    let environment = Environment::new();
    let browser = environment.program("brave", "");
    let run = |options: &[&str], argument: &str, exporter: &str, chosen: &str| {
        let script = r#"echo "$K6_TRACES_OUTPUT""#;
        let mut run = environment.navtrace([""; 0]);
        run.args(["run"]).args(options).args(["--", "sh", "-c", script, "k6", argument]);
        run.env("NAVTRACE_BROWSER", &browser).env("OTEL_TRACES_EXPORTER", exporter).env("K6_TRACES_OUTPUT", chosen);
        let output = run.output().unwrap();
        let is_said = stderr(&output).contains("k6's own spans go where ");
        (stdout(&output).trim().to_owned(), is_said)
    };
    let collecting = ["--listen", "127.0.0.1:0"];
    let (output, is_said) = run(&collecting, "run", "otlp", "");
    assert!(output.starts_with("otel=http://127.0.0.1:") && output.ends_with("/v1/traces,proto=http"), "{output}");
    assert!(!is_said);
    let chosen = |value: &str, is_said| (value.to_owned(), is_said);
    assert_eq!(run(&collecting, "run", "otlp", "otel=http://k6.test"), chosen("otel=http://k6.test", true));
    assert_eq!(run(&collecting, "run", "otlp", "none"), chosen("none", false));
    assert_eq!(run(&collecting, "--traces-output=otel", "otlp", ""), chosen("", true));
    assert_eq!(run(&collecting, "--traces-output=none", "otlp", "otel"), chosen("otel", false));
    assert_eq!(run(&["--mode", "static"], "run", "otlp", ""), chosen("", false));
    assert_eq!(run(&[], "run", "none", ""), chosen("", false));
}

#[test]
fn a_ratio_is_for_the_browsers_and_not_for_the_spans_of_k6() {
    let environment = Environment::new();
    let browser = environment.program("brave", "");
    let script = format!(
        r"echo $OTEL_TRACES_SAMPLER $('{}' config | grep '^OTEL_TRACES_SAMPLER ') ${{K6_TRACES_OUTPUT:+joined}}",
        env!("CARGO_BIN_EXE_navtrace")
    );
    let k6 = environment.program("k6", &script);
    let run = |options: &[&str], ratio: &str, command: &[&str]| {
        let mut run = environment.navtrace([""; 0]);
        run.args(["run"]).args(options).arg("--").args(command).arg(&k6);
        run.env("NAVTRACE_BROWSER", &browser).env("OTEL_TRACES_SAMPLER", "traceidratio");
        run.env("OTEL_TRACES_SAMPLER_ARG", ratio).env("OTEL_TRACES_EXPORTER", "otlp").env_remove("K6_TRACES_OUTPUT");
        stdout(&run.output().unwrap()).trim().to_owned()
    };
    assert_eq!(run(&[], "0.5", &[]), "always_on OTEL_TRACES_SAMPLER traceidratio environment joined");
    let flag = ["--traces-sampler", "always_off"];
    assert_eq!(run(&flag, "", &[]), "always_on OTEL_TRACES_SAMPLER always_off environment joined");
    let unchanged = "traceidratio OTEL_TRACES_SAMPLER traceidratio environment";
    assert_eq!(run(&[], "1", &[]), format!("{unchanged} joined"));
    assert_eq!(run(&[], "0.5", &["sh"]), unchanged, "the variable may be for services of the command");
    assert_eq!(run(&["--mode", "static"], "0.5", &[]), unchanged);
}
