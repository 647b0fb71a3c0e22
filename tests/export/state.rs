//! Tests an unusable state directory and a full disk: there is one message, and spans are still exported.

use std::time::{Duration, Instant};

use navtrace::testing::Observation;

use crate::collector::Collector;
use crate::observations::{all_ids, completed, page, page_ids, span_id, started};
use crate::reports::Reports;
use crate::setup::{ExportTest, ORIGIN, wait_until};

const NOTHING_KEPT: &str = "nothing can be kept for later (No such file or directory (os error 2)): set XDG_STATE_HOME to a folder that \
                            you may write to\n";

#[test]
fn spans_are_exported_without_a_state_directory() {
    for name in ["XDG_STATE_HOME", "HOME"] {
        let test = ExportTest::new().set(name, "/proc/none");
        let mut host = test.host_with_browser();
        let session = host.start_session();
        host.observe(&page(1, 3));
        host.observe(&page(2, 3));
        host.end();
        test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 3)]));
        assert_eq!(host.stderr(), format!(" WARN navtrace::channel::host: {NOTHING_KEPT}"));
    }
}

#[test]
fn a_file_instead_of_the_state_directory_is_reported() {
    let test = ExportTest::new();
    std::fs::create_dir_all(test.state_dir().parent().unwrap()).unwrap();
    std::fs::write(test.state_dir(), "").unwrap();
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    host.end();
    test.assert_tree(&session, &page_ids(1, 3));
    assert_eq!(host.count_in_stderr("nothing can be kept for later"), 1, "{}", host.stderr());
}

#[test]
fn the_loss_of_spans_is_reported() {
    let test = ExportTest::with(Collector::down()).set("XDG_STATE_HOME", "/proc/none");
    let reports = Reports::listen();
    let mut host = test.host_with_reports(&reports);
    host.start_session();
    host.observe(&page(1, 3));
    host.end();
    let trace = reports.trace();
    let exported = trace.exported.unwrap();
    assert_eq!((exported.exported, exported.spooled, exported.lost), (0, 0, 5));
    let problems = reports.problems();
    assert!(problems.contains(&NOTHING_KEPT.trim_end().to_owned()), "{problems:?}");
    let lost = "they are lost when the browser ends, since nothing can be kept";
    assert!(problems.iter().any(|problem| problem.ends_with(lost)), "{problems:?}");
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn no_state_directory_is_needed_without_an_export() {
    let test = ExportTest::new().set("XDG_STATE_HOME", "/proc/none").set("OTEL_TRACES_EXPORTER", "none");
    let mut host = test.host_with_browser();
    host.start_session();
    host.observe(&page(1, 3));
    host.end();
    assert_eq!(host.stderr(), "");
}

/// Returns a host whose files can't grow beyond `bytes`, as on a full disk.
fn limited(test: &ExportTest, bytes: u32) -> std::process::Command {
    limited_command(&test.command(&[ORIGIN]), bytes)
}

/// Returns a command whose files can't grow beyond `bytes`.
fn limited_command(host: &std::process::Command, bytes: u32) -> std::process::Command {
    let mut shell = std::process::Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", bytes / 512);
    shell.args(["-c", &script, "sh"]).arg(host.get_program()).args(host.get_args());
    for (name, value) in host.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[test]
fn a_full_disk_stops_the_journal_but_not_the_export() {
    let test = ExportTest::new();
    let mut host = test.host_below_browser(&limited(&test, 4096));
    let session = host.start_session();
    for number in 1..=20 {
        host.observe(&page(number, 3));
    }
    test.wait_for_spans(20 * 4);
    host.end();
    let all = all_ids((1..=20).map(|number| page_ids(number, 3)));
    test.assert_tree(&session, &all);
    let sentence = "the session's journal can't be used (File too large (os error 27)): spans are kept in memory alone, and a host that \
                    dies loses them";
    assert_eq!(host.stderr(), format!(" WARN navtrace::channel::host: {sentence}\n"));
    assert_eq!(test.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    test.assert_tree(&session, &all);
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}

#[test]
fn a_full_disk_loses_spans_of_the_spool() {
    let mut test = ExportTest::with(Collector::down());
    let reports = Reports::listen();
    let mut command = limited(&test, 4096);
    reports.attach(&mut command);
    let mut host = test.host_below_browser(&command);
    host.start_session();
    for number in 1..=20 {
        host.observe(&page(number, 3));
    }
    host.end();
    let trace = reports.trace();
    let exported = trace.exported.unwrap();
    assert_eq!((exported.exported, exported.spooled, exported.lost), (0, 0, 20 * 4 + 1));
    let problems = reports.problems();
    let lost =
        |problem: &&String| problem.starts_with("spans can't be kept in the spool (File too large (os error 27)");
    assert_eq!(problems.iter().filter(lost).count(), 1, "{problems:?}");
    test.collector.up();
    assert_eq!(test.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}

#[test]
fn a_full_disk_does_not_multiply_spans() {
    let mut test = ExportTest::with(Collector::down()).set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4");
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    let mut long = started(0.0, "long", 0xa1, None);
    if let Observation::RequestStarted { url, .. } = &mut long {
        url.push_str(&"x".repeat(20_000));
    }
    host.observe(&[long, completed(1.0, "long", 200)]);
    host.kill_both();
    // There is room for the first batch, and none for the second.
    for _ in 0..3 {
        let output = limited_command(&test.command(&["flush"]), 16_384).output().unwrap();
        let message = crate::navtrace::stderr(&output);
        assert!(output.status.code() == Some(1) && message.contains("File too large (os error 27)"), "{message}");
    }
    test.collector.up();
    let (code, message) = test.flush();
    assert_eq!((code, message), (0, format!("navtrace: 6 spans sent to {}\n", test.target())));
    test.assert_tree(&session, &all_ids([page_ids(1, 3), vec![span_id(0xa1).to_string()]]));
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}

#[test]
fn an_idle_host_does_not_wake_up() {
    // One has nothing to send, the other one only what its collector does not accept.
    let (idle, failing) = (ExportTest::new(), ExportTest::with(Collector::down()));
    let mut host = failing.host_with_browser();
    host.start_session();
    host.observe(&page(1, 3));
    host.end();
    let mut hosts = [idle.host_with_browser(), failing.host_with_browser()];
    for host in &mut hosts {
        host.start_session();
    }
    hosts[1].wait_for_stderr("spans can't be sent to ");
    // Longer than any pause of a host that still has something to do.
    let quiet = Duration::from_secs(11);
    let mut seen = [0, 0];
    let mut since = Instant::now();
    wait_until("all hosts sleep", || {
        let now = [hosts[0].sleeps(), hosts[1].sleeps()];
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        since.elapsed() >= quiet
    });
}
