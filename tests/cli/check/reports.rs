//! Tests the reports of `navtrace check` and `run --check`: what they say, and where they are written.

use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{SHOP, checked_files, run};
use crate::navtrace::{Environment, copy_binary, stderr, stdout};

#[test]
fn reports_have_every_condition() {
    let environment = Environment::new();
    fs::write(
        environment.home().join("conditions"),
        "\u{feff}# of the shop\nerrors == 0\n\np50(navigation duration)<1ms\n",
    )
    .unwrap();
    let link = ["--link", "http://jaeger.test/trace/{trace_id}"];
    let conditions = ["@conditions", "max(duration where name='<&\">') < 1s"];
    let more = [&["--json", "--report", "junit.xml"], &link[..]].concat();
    let output = checked_files(&environment, &[SHOP], &conditions, &more);
    assert_eq!(output.status.code(), Some(99));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&report["passed"], &report["spans"], &report["traces"]), (&false.into(), &180.into(), &3.into()));
    let facts = |condition: &Value| {
        format!("{} {} {} {}", condition["condition"], condition["status"], condition["value"], condition["unit"])
    };
    let facts: Vec<String> = report["conditions"].as_array().unwrap().iter().map(facts).collect();
    assert_eq!(
        facts,
        [
            r#""errors == 0" "passed" 0.0 "errors""#,
            r#""p50(navigation duration)<1ms" "failed" 233.025 "ms""#,
            r#""max(duration where name='<&\">') < 1s" "no-span" null "ms""#
        ]
    );
    let worst = &report["conditions"][1]["worst"][0];
    let id = worst["traceId"].as_str().unwrap();
    assert_eq!(worst["link"], format!("http://jaeger.test/trace/{id}"));
    assert!(worst["value"].as_f64().unwrap() > 400.0 && worst["spanId"].as_str().unwrap().len() == 16, "{worst}");

    let junit = fs::read_to_string(environment.home().join("junit.xml")).unwrap();
    assert!(junit.contains(r#"<testsuites name="navtrace" tests="3" skipped="0" failures="2" errors="0">"#), "{junit}");
    assert!(junit.contains(r#"<testcase name="errors == 0" classname="navtrace.check">"#), "{junit}");
    assert!(
        junit.contains(r#"<testcase name="max(duration where name=&apos;&lt;&amp;&quot;&gt;&apos;) &lt; 1s""#),
        "{junit}"
    );
    assert!(junit.contains(r#"<failure message="no span matched" type="no-span""#), "{junit}");
    assert!(junit.contains(id), "{junit}");
}

#[test]
fn reports_follow_links_and_keep_pipes() {
    let environment = Environment::new();
    let home = environment.home();
    for name in ["pipe.json", "other.xml"] {
        assert!(Command::new("mkfifo").arg(home.join(name)).status().unwrap().success());
    }
    fs::write(home.join("target"), "before").unwrap();
    symlink("target", home.join("link.XML")).unwrap();
    symlink("made", home.join("dangling.json")).unwrap();
    // Pipes that are open for reading take what is written without a wait.
    let opened = |name| OpenOptions::new().read(true).write(true).open(home.join(name)).unwrap();
    let (mut pipe, _other) = (opened("pipe.json"), opened("other.xml"));
    for (json, junit) in [("pipe.json", "link.XML"), ("dangling.json", "other.xml")] {
        let output = checked_files(&environment, &[SHOP], &["errors == 0"], &["--report", json, "--report", junit]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    }
    let is = |name: &str| fs::symlink_metadata(home.join(name)).unwrap().file_type();
    assert!(is("pipe.json").is_fifo() && is("other.xml").is_fifo());
    assert!(is("link.XML").is_symlink() && is("dangling.json").is_symlink());
    let mut start = [0; 2];
    pipe.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"{\n");
    assert!(fs::read_to_string(home.join("target")).unwrap().starts_with("<?xml"));
    assert!(fs::read_to_string(home.join("made")).unwrap().contains("\"passed\": true"));
}

#[test]
fn reports_replace_neither_traces_nor_each_other() {
    let environment = Environment::new();
    let home = environment.home();
    fs::create_dir(home.join("run")).unwrap();
    fs::copy(SHOP, home.join("run/in.json")).unwrap();
    fs::write(home.join("run/report.json"), "{}").unwrap();
    for (files, report, message) in [
        (
            "run/in.json",
            ["--report", "./run/in.json"],
            "./run/in.json has the traces, which would be lost; name another file",
        ),
        ("run", ["--report", "run/in.json"], "run/in.json has the traces, which would be lost; name another file"),
        ("run", ["--report=new.json", "--report=./new.json"], "./new.json can't be two reports; name another file"),
    ] {
        let output = checked_files(&environment, &[files], &["errors == 0"], &report);
        assert_eq!(output.status.code(), Some(2), "{report:?}");
        assert_eq!(stderr(&output).lines().last(), Some(format!("navtrace: {message}").as_str()));
    }
    assert_eq!(fs::read(home.join("run/in.json")).unwrap(), fs::read(SHOP).unwrap());
    // An earlier report beside the traces is none of them.
    let output = checked_files(&environment, &["run"], &["errors == 0"], &["--report", "run/report.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_verdict_stays_if_it_cannot_be_printed() {
    let environment = Environment::new();
    let mut command = environment.navtrace(["check", SHOP, "-c", "errors > 0", "--report", "j.xml"]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.current_dir(environment.home()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(99), "{}", stderr(&output));
    assert!(fs::read_to_string(environment.home().join("j.xml")).unwrap().contains("<failure "));
    // No report can be made there.
    let (code, text) = run(&environment, &["--check", "errors == 0", "--report", "/proc/r.json"], "true");
    assert_eq!(code, 99, "{text}");
    assert!(text.contains("navtrace: /proc/r.json can't be written: "), "{text}");
}

/// The file and the folder are those of another user, who lets everybody write the file.
#[test]
fn a_report_goes_to_a_file_in_a_folder_that_cannot_be_written() {
    let environment = Environment::new();
    let home = environment.home();
    let program = home.join("navtrace");
    copy_binary(&program);
    fs::copy(SHOP, home.join("shop.jsonl")).unwrap();
    let folder = home.join("closed");
    fs::create_dir(&folder).unwrap();
    let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (name, mode) in [("open.xml", 0o666), ("closed.xml", 0o444)] {
        fs::write(folder.join(name), "before").unwrap();
        allow(&folder.join(name), mode);
    }
    allow(&folder, 0o555);
    let is_root = rustix::process::geteuid().is_root();
    let user = if is_root { 1_000_000 + std::process::id() } else { rustix::process::geteuid().as_raw() };
    chown(home, Some(user), Some(user)).unwrap();
    let written = |report: &str| {
        let described = environment.navtrace(["check", "shop.jsonl", "-c", "errors == 0", "--report", report]);
        let mut command = Command::new(&program);
        command.args(described.get_args()).current_dir(home);
        command.env_clear().envs(described.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if is_root {
            command.uid(user).gid(user);
        }
        let output = command.output().unwrap();
        (output.status.code(), stderr(&output))
    };
    assert_eq!(written("closed/open.xml"), (Some(0), String::new()));
    assert!(fs::read_to_string(folder.join("open.xml")).unwrap().starts_with("<?xml"));
    for name in ["closed.xml", "new.xml"] {
        let message = format!("navtrace: closed/{name} can't be written: Permission denied (os error 13)\n");
        assert_eq!(written(&format!("closed/{name}")), (Some(1), message));
    }
    // So that the folder can be deleted.
    allow(&folder, 0o755);
}

/// No file can be renamed to the name of a mounted one. To mount it the test needs root or user namespaces.
#[test]
fn a_report_goes_to_a_mounted_file() {
    let environment = Environment::new();
    let home = environment.home();
    for name in ["outside.xml", "mounted.xml"] {
        fs::write(home.join(name), "before").unwrap();
    }
    let mount = r#"mount --bind outside.xml mounted.xml && exec "$@""#;
    let check = environment.navtrace(["check", SHOP, "-c", "errors == 0", "--report", "mounted.xml"]);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "--", "sh", "-c", mount, "sh"]).arg(check.get_program());
    command.args(check.get_args()).env("HOME", home).env("TMPDIR", environment.temporary());
    let output = command.current_dir(home).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    assert!(fs::read_to_string(home.join("outside.xml")).unwrap().starts_with("<?xml"));
    let mut names = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.any(|name| name.starts_with(".navtrace-")), "a temporary file is left");
}

/// That the first can't be written shows only when it is.
#[test]
fn a_report_that_cannot_be_written_does_not_stop_the_others() {
    let environment = Environment::new();
    let reports = ["--report", "/proc/r.json", "--report", "r.xml"];
    let output = checked_files(&environment, &[SHOP], &["errors == 0"], &reports);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("navtrace: /proc/r.json can't be written: "), "{}", stderr(&output));
    assert!(fs::read_to_string(environment.home().join("r.xml")).unwrap().starts_with("<?xml"));
}
