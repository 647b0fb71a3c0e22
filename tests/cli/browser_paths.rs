//! Tests by which variables and names the clients of a run find navtrace as their browser, and which browser it then starts.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::launch::assert_gone;
use crate::navtrace::{Environment, stderr, stdout};

/// Every variable with the path of a client's browser.
const VARIABLES: [&str; 7] = [
    "K6_BROWSER_EXECUTABLE_PATH",
    "PUPPETEER_EXECUTABLE_PATH",
    "CHROME_BIN",
    "CHROME_PATH",
    "CHROMIUM_BIN",
    "SE_BROWSER_PATH",
    "TAIKO_BROWSER_PATH",
];

/// Names under which programs look for a browser on `PATH`.
const NAMES: [&str; 4] = ["google-chrome", "google-chrome-stable", "chromium", "chromium-browser"];

/// Returns `navtrace run` with a shell script, the home being the first folder of `PATH`.
fn script(environment: &Environment, script: &str) -> Command {
    let mut run = environment.navtrace(["run", "--", "sh", "-c", script]);
    run.env("PATH", format!("{}:{}", environment.home().display(), std::env::var("PATH").unwrap()));
    run
}

/// Returns what a script prints in a run with these variables, and what navtrace says.
fn printed(environment: &Environment, text: &str, variables: &[(&str, &str)]) -> (String, String) {
    let output = script(environment, text).envs(variables.iter().copied()).output().unwrap();
    assert_gone(environment);
    (stdout(&output), stderr(&output))
}

#[test]
fn clients_find_the_browser_in_variables_and_on_path() {
    let environment = Environment::new();
    environment.program("chromium", "echo real");
    let places: Vec<String> = VARIABLES.map(|name| format!(r#""${name}""#)).into();
    let found = format!(
        r#"for place in {}; do echo "$place"; done; for name in {}; do command -v $name; done"#,
        places.join(" "),
        NAMES.join(" ")
    );
    let (output, messages) = printed(&environment, &found, &[]);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), VARIABLES.len() + NAMES.len(), "{output}{messages}");
    let (of_variables, on_path) = lines.split_at(VARIABLES.len());
    let dir = of_variables[0].strip_suffix("/navtrace-chromium").unwrap();
    assert!(of_variables.iter().all(|browser| *browser == of_variables[0]), "{output}");
    assert_eq!(on_path, NAMES.map(|name| format!("{dir}/bin/{name}")));

    // Each of them starts the real one, also for a client that hides all but PATH.
    let names = NAMES.join(" ");
    let start = format!(
        r#"for name in "$CHROME_PATH" {names}; do $name --version; env -i PATH="$PATH" TMPDIR="$TMPDIR" $name --version; done"#
    );
    let (output, messages) = printed(&environment, &start, &[]);
    assert_eq!(output, "real\n".repeat(10), "{messages}");
    let mut command = script(&environment, "chromium --version");
    let output =
        command.env_remove("PATH").env("NAVTRACE_BROWSER", environment.home().join("chromium")).output().unwrap();
    assert_eq!(stdout(&output), "real\n", "{}", stderr(&output));
}

#[test]
fn a_browser_that_is_a_script_finds_no_link_of_the_run() {
    let environment = Environment::new();
    fs::create_dir(environment.home().join("real")).unwrap();
    let real = environment.program("real/chromium", r#"echo "real $PATH""#);
    let wrapper = environment.program("google-chrome", r#"exec chromium "$@""#);
    let path = format!("{}:/usr/bin:/bin", real.parent().unwrap().display());
    for mode in ["detailed", "static"] {
        for chosen in [wrapper.to_str().unwrap(), ""] {
            // A run within a run finds the same.
            for run in ["", r#""$NAVTRACE" run -- "#] {
                let start = format!(r#"{run}sh -c 'google-chrome --version; "$CHROME_BIN" --version'"#);
                let mut command = script(&environment, &start);
                command.env("PATH", &path).env("NAVTRACE_BROWSER", chosen).env("NAVTRACE_MODE", mode);
                let output = command.env("NAVTRACE", env!("CARGO_BIN_EXE_navtrace")).output().unwrap();
                assert_eq!(stdout(&output), format!("real {path}\n").repeat(2), "{}", stderr(&output));
            }
        }
    }
}

#[test]
fn the_browser_of_a_clients_variable_is_started() {
    let environment = Environment::new();
    environment.program("chromium", "echo on PATH");
    let browser = environment.program("brave", "echo chosen");
    let started = |variables: &[(&str, &str)]| {
        printed(
            &environment,
            r#""$CHROME_BIN" --version; "$CHROME_PATH" --version; google-chrome --version"#,
            variables,
        )
    };
    let browser = browser.to_str().unwrap();
    for variable in VARIABLES {
        assert_eq!(started(&[(variable, browser)]).0, "chosen\nchosen\nchosen\n", "{variable}");
    }
    let (output, messages) = started(&[("CHROME_BIN", browser), ("NAVTRACE_BROWSER", "chromium")]);
    assert_eq!(output, "on PATH\non PATH\non PATH\n", "{messages}");
    let (output, messages) = started(&[("CHROME_BIN", browser), ("CHROME_PATH", "chromium")]);
    let sentence = format!(
        "navtrace: CHROME_PATH={}/chromium is not used; navtrace starts {browser} (named by CHROME_BIN); set NAVTRACE_BROWSER to choose another\n",
        environment.home().display()
    );
    assert!(output.starts_with("chosen\n") && messages.contains(&sentence), "{output}{messages}");
}

#[test]
fn a_variable_that_names_firefox_stays() {
    let environment = Environment::new();
    environment.program("chromium", "echo on PATH");
    let firefox = environment.program("firefox", "echo fox");
    let firefox = firefox.to_str().unwrap();
    let start = r#"echo "$SE_BROWSER_PATH"; "$CHROME_BIN" --version"#;
    for kind in ["firefox", ""] {
        let (output, messages) = printed(&environment, start, &[("SE_BROWSER_PATH", firefox), ("SE_BROWSER", kind)]);
        assert_eq!(output, format!("{firefox}\non PATH\n"), "{messages}");
    }
    let (output, messages) = printed(&environment, start, &[("SE_BROWSER", "firefox")]);
    assert_eq!(output, "\non PATH\n", "{messages}");
}

#[test]
fn a_driver_of_firefox_is_told_what_it_has_started() {
    let environment = Environment::new();
    environment.program("chromium", "echo on PATH");
    // geckodriver is known by its flags, or, when it only asks for the version, by its name.
    let driver = environment.home().join("geckodriver");
    fs::copy("/bin/sh", &driver).unwrap();
    let driver = format!(r#"{} -c '"$SE_BROWSER_PATH" --version; :'"#, driver.display());
    let sentence = "navtrace: geckodriver has started navtrace, which is no Firefox; set SE_BROWSER=firefox, so that `navtrace run` leaves \
                    SE_BROWSER_PATH alone\n";
    for start in [r#""$SE_BROWSER_PATH" --marionette -foreground; :"#, &driver] {
        let (output, messages) = printed(&environment, start, &[]);
        assert!(output.is_empty() && messages.contains(sentence), "{start}: {output}{messages}");
    }
}

/// Chromium can't be replaced there, so the test has a folder of its own in its place, in a mount namespace. That needs root or user namespaces.
#[test]
fn a_browser_at_a_fixed_path_is_named() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "exit 0");
    let fixed = "/opt/google/chrome/chrome";
    let mount = format!(
        r#"mount -t tmpfs none /opt && mkdir -p {} && cp "$NAVTRACE_BROWSER" {fixed} && exec "$@""#,
        fixed.rsplit_once('/').unwrap().0
    );
    let said = |command: &str| {
        let run = environment.navtrace(["run", "--", "sh", "-c", command]);
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "--", "sh", "-c", &mount, "sh"]).arg(run.get_program());
        unshare.args(run.get_args()).env("NAVTRACE_BROWSER", &browser).env("OTEL_TRACES_EXPORTER", "none");
        unshare.env("HOME", environment.home()).env("TMPDIR", environment.temporary());
        let output = unshare.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let sentence = format!(
        "navtrace: {fixed} was opened or started during this run, and navtrace can't trace it; if the test chose it by channel: 'chrome', leave the channel out\n"
    );
    assert_eq!(said(&format!("{fixed} --headless; {fixed}")).matches(&sentence).count(), 1);
    assert!(!said(&format!("test -x {fixed}")).contains(fixed));
}

#[test]
fn the_browsers_of_clients_caches_are_found() {
    let environment = Environment::new();
    let folder = ".cache/puppeteer/chrome/linux-131.0.6778.204/chrome-linux64";
    fs::create_dir_all(environment.home().join(folder)).unwrap();
    let browser = environment.program(&format!("{folder}/chrome"), "echo of a cache");
    fs::create_dir(environment.home().join("bin")).unwrap();
    symlink("/bin/sh", environment.home().join("bin/sh")).unwrap();
    let navtrace = |args: &[&str]| {
        let mut command = environment.navtrace(args);
        command.env("PATH", environment.home().join("bin")).env("NAVTRACE_ARM_TIMEOUT", "1ms").output().unwrap()
    };
    let ran = navtrace(&["run", "--", "sh", "-c", r#""$CHROME_BIN" --version"#]);
    assert_eq!(stdout(&ran), "of a cache\n", "{}", stderr(&ran));
    let report = stdout(&navtrace(&["doctor"]));
    let line = format!(
        "ok    browser          of a cache at {}, from Puppeteer's cache, since PATH has none\n",
        browser.display()
    );
    assert!(report.starts_with(&line), "{report}");
}
