//! The spool, and `navtrace flush`, which sends it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::bench::{Bench, Session, said};
use crate::collector::{Behaviour, Collector, read_line, spans};
use crate::observations::{page, page_ids};

/// A session of one page load and so many requests, whose spans are all in the spool: one more for the navigation, and the root.
fn spooled(requests: u64) -> (Bench, Session) {
    let bench = Bench::with(Collector::down()).set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4");
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, requests));
    host.end();
    assert_eq!(bench.spooled_ids().len(), usize::try_from(requests).unwrap() + 2);
    (bench, session)
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_kept_is_the_users_alone() {
    // The hosts of these tests run with a mask that forbids nothing.
    let (bench, _) = spooled(3);
    let mut host = bench.host_of_browser();
    host.greet();
    host.observe(&page(2, 1));
    let (journals, spooled) = (bench.journals(), bench.spooled());
    assert_eq!((journals.len(), spooled.len()), (1, 2));
    for path in journals.iter().chain(&spooled) {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for dir in [bench.state(), bench.state().join("sessions"), bench.state().join("spool")] {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
    }
    assert_eq!(bench.environment.left_behind(), [""; 0]);
}

#[test]
fn nothing_to_send_is_no_failure() {
    let bench = Bench::with(Collector::down());
    assert_eq!(bench.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
}

#[test]
fn everything_is_sent_once_in_batches_as_they_were() {
    let (mut bench, session) = spooled(5);
    let batches: Vec<_> = bench.spooled().iter().map(|path| read_line(&fs::read_to_string(path).unwrap())).collect();
    assert_eq!(batches.iter().map(|batch| spans(batch).len()).collect::<Vec<_>>(), [4, 3]);
    bench.collector.up();
    assert_eq!(bench.flush(), (0, format!("navtrace: 7 spans sent to {}\n", bench.target())));
    let arrived: Vec<_> = bench.collector.arrived().into_iter().map(|arrived| arrived.request).collect();
    assert_eq!(arrived, batches);
    bench.assert_tree(&session, &page_ids(1, 5));
    assert_eq!(bench.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    assert_eq!(bench.spooled().len(), 0);
}

#[test]
fn a_collector_that_is_down_is_named_with_the_reason() {
    let (bench, _) = spooled(3);
    let before = bench.spooled();
    let (code, words) = bench.flush();
    let start = format!("navtrace: 5 spans can't be sent to {} now and will be kept: ", bench.target());
    assert!(code == 1 && words.starts_with(&start) && words.lines().count() == 1, "{code} {words}");
    assert!(words.ends_with("Connection refused (os error 111)\n"), "{words}");
    assert_eq!(bench.spooled(), before);
}

#[test]
fn a_collector_that_fails_in_the_middle_gets_the_rest_later() {
    let (mut bench, session) = spooled(10);
    bench.collector.up();
    bench.collector.behave_in_turn([Behaviour::Accepts, Behaviour::Accepts, Behaviour::Refuses(503, Some("1"))]);
    let (code, words) = bench.flush();
    let target = bench.target();
    assert_eq!(
        (code, words),
        (
            1,
            format!(
                "navtrace: 8 spans sent to {target}\n\
                 navtrace: 4 spans can't be sent to {target} now and will be kept: 503 Service Unavailable: not now\n"
            )
        )
    );
    bench.collector.behave(Behaviour::Accepts);
    assert_eq!(bench.flush(), (0, format!("navtrace: 4 spans sent to {target}\n")));
    bench.assert_tree(&session, &page_ids(1, 10));
}

#[test]
fn what_is_refused_or_rejected_is_dropped_and_told() {
    let (mut bench, _) = spooled(3);
    bench.collector.up();
    bench.collector.behave(Behaviour::Refuses(400, None));
    let sentence = format!("navtrace: 5 spans refused by {} and dropped: 400 Bad Request: not now\n", bench.target());
    assert_eq!(bench.flush(), (1, sentence));
    assert_eq!(bench.spooled().len(), 0);

    let (mut bench, _) = spooled(2);
    bench.collector.up();
    bench.collector.behave(Behaviour::Rejects(1));
    let target = bench.target();
    let words =
        format!("navtrace: 3 spans sent to {target}\nnavtrace: 1 span refused by {target} and dropped: too old\n");
    assert_eq!(bench.flush(), (1, words));
    assert_eq!(bench.spooled().len(), 0);
}

#[test]
fn nothing_is_sent_while_the_export_is_switched_off() {
    for (name, value) in [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true")] {
        let bench = Bench::new().set(name, value);
        let sentence =
            "nothing can be sent while the export is switched off: unset OTEL_TRACES_EXPORTER and OTEL_SDK_DISABLED";
        assert_eq!(bench.flush(), (2, format!("navtrace: {sentence}\n")));
    }
}

#[test]
fn settings_that_can_not_be_used_are_named() {
    let (bench, _) = spooled(2);
    let bench = bench.set("OTEL_EXPORTER_OTLP_HEADERS", "a b=c");
    assert_eq!(bench.flush(), (1, "navtrace: the header a b can't be sent\n".to_owned()));
    let bench =
        bench.set("OTEL_EXPORTER_OTLP_HEADERS", "secret").set("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file.pem");
    let ignored = "OTEL_EXPORTER_OTLP_HEADERS is ignored: expected key=value,key=value, percent-encoded";
    let unread = "/no/such/file.pem can't be read: No such file or directory (os error 2)";
    assert_eq!(bench.flush(), (1, format!("navtrace: {ignored}\nnavtrace: {unread}\n")));
    assert_eq!(bench.spooled().len(), 1);
}

#[test]
fn a_state_directory_that_can_not_be_used_is_named() {
    let bench = Bench::new().set("XDG_STATE_HOME", "/proc/none");
    let sentence = "the state directory can't be used: No such file or directory (os error 2)";
    assert_eq!(bench.flush(), (1, format!("navtrace: {sentence}\n")));
}

#[test]
fn several_at_once_send_each_batch_once() {
    let (mut bench, session) = spooled(30);
    bench.collector.up();
    bench.collector.behave(Behaviour::Slow(Duration::from_millis(50)));
    let flushes: Vec<_> = (0..4)
        .map(|_| {
            bench
                .command(&["flush"])
                .stderr(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for flush in flushes {
        let (code, words) = said(&flush.wait_with_output().unwrap());
        // What another one is sending is that one's to tell.
        assert!(code == 0 && words.lines().count() == 1, "{code} {words}");
        assert!(words.contains("spans sent to") || words.contains("nothing to send"), "{words}");
    }
    assert_eq!(bench.collector.arrived().len(), 8);
    bench.assert_tree(&session, &page_ids(1, 30));
}

#[test]
fn a_batch_that_can_not_be_read_is_put_aside() {
    let (mut bench, session) = spooled(2);
    bench.collector.up();
    let spool = bench.state().join("spool");
    for (name, text) in [("0-1-5", "{\"resourceSpans\":["), ("1-1-5", ""), ("2-1-5", "\u{0}\u{0}\u{0}")] {
        fs::write(spool.join(name).with_extension("jsonl"), text).unwrap();
    }
    let (code, words) = bench.flush();
    assert_eq!(code, 0, "{words}");
    assert!(words.ends_with(&format!("navtrace: 4 spans sent to {}\n", bench.target())), "{words}");
    assert_eq!(words.matches("is no batch of spans").count(), 3, "{words}");
    bench.assert_tree(&session, &page_ids(1, 2));
    let names: Vec<_> = bench.spooled().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["0-1-5.unreadable", "1-1-5.unreadable", "2-1-5.unreadable"]);
    // Once is enough.
    assert_eq!(bench.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
}

#[test]
fn a_journal_that_can_not_be_read_is_no_obstacle() {
    let (mut bench, session) = spooled(2);
    bench.collector.up();
    let sessions = bench.state().join("sessions");
    fs::write(sessions.join("empty.jsonl"), "").unwrap();
    fs::write(sessions.join("broken.jsonl"), "{\"entry\":\"beg\n").unwrap();
    fs::create_dir(sessions.join("folder.jsonl")).unwrap();
    let (code, words) = bench.flush();
    assert_eq!(code, 0, "{words}");
    assert!(words.ends_with(&format!("navtrace: 4 spans sent to {}\n", bench.target())), "{words}");
    bench.assert_tree(&session, &page_ids(1, 2));
    assert_eq!(bench.journals(), [sessions.join("broken.unreadable"), sessions.join("folder.jsonl")]);
}

#[test]
fn a_host_and_a_flush_at_once_send_each_batch_once() {
    let (mut bench, session) = spooled(30);
    bench.collector.up();
    bench.collector.behave(Behaviour::Slow(Duration::from_millis(50)));
    let mut host = bench.host();
    host.greet();
    let (code, words) = bench.flush();
    assert_eq!(code, 0, "{words}");
    bench.wait_for(32);
    assert!(host.leave().success());
    bench.assert_tree(&session, &page_ids(1, 30));
}
