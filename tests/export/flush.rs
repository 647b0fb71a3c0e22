//! Tests the spool and `navtrace flush`, which sends it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::collector::{Behaviour, Collector, read_line, spans};
use crate::observations::{page, page_ids};
use crate::setup::{ExportTest, exit_and_stderr, wait_until};
use crate::tree::Session;

/// Ends a session whose spans are all in the spool: one page load with `requests` requests, its navigation and the root.
fn spooled(requests: u64) -> (ExportTest, Session) {
    let test = ExportTest::with(Collector::down()).set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4");
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, requests));
    host.end();
    assert_eq!(test.spooled_ids().len(), usize::try_from(requests).unwrap() + 2);
    (test, session)
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn files_are_private() {
    // The hosts of these tests have the umask 0.
    let (test, _) = spooled(3);
    let mut host = test.host_with_browser();
    host.start_session();
    host.observe(&page(2, 1));
    let (journals, spooled) = (test.journals(), test.spooled());
    assert_eq!((journals.len(), spooled.len()), (1, 2));
    for path in journals.iter().chain(&spooled) {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for dir in [test.state_dir(), test.state_dir().join("sessions"), test.state_dir().join("spool")] {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
    }
    assert_eq!(test.environment.left_behind(), [""; 0]);
}

#[test]
fn nothing_to_send_is_no_failure() {
    let test = ExportTest::with(Collector::down());
    assert_eq!(test.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
}

#[test]
fn batches_are_sent_once_and_unchanged() {
    let (mut test, session) = spooled(5);
    let batches: Vec<_> = test.spooled().iter().map(|path| read_line(&fs::read_to_string(path).unwrap())).collect();
    assert_eq!(batches.iter().map(|batch| spans(batch).len()).collect::<Vec<_>>(), [4, 3]);
    test.collector.up();
    assert_eq!(test.flush(), (0, format!("navtrace: 7 spans sent to {}\n", test.target())));
    let arrived: Vec<_> = test.collector.arrived().into_iter().map(|arrived| arrived.request).collect();
    assert_eq!(arrived, batches);
    test.assert_tree(&session, &page_ids(1, 5));
    assert_eq!(test.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    assert_eq!(test.spooled().len(), 0);
}

#[test]
fn a_collector_that_is_down_is_reported() {
    let (test, _) = spooled(3);
    let before = test.spooled();
    let (code, message) = test.flush();
    let start = format!("navtrace: 5 spans can't be sent to {} now and will be kept: ", test.target());
    assert!(code == 1 && message.starts_with(&start) && message.lines().count() == 1, "{code} {message}");
    assert!(message.ends_with("Connection refused (os error 111)\n"), "{message}");
    assert_eq!(test.spooled(), before);
}

#[test]
fn a_collector_that_fails_halfway_gets_the_rest_later() {
    let (mut test, session) = spooled(10);
    test.collector.up();
    test.collector.behave_in_turn([Behaviour::Accepts, Behaviour::Accepts, Behaviour::Refuses(503, Some("1"))]);
    let (code, message) = test.flush();
    let target = test.target();
    assert_eq!(
        (code, message),
        (
            1,
            format!(
                "navtrace: 8 spans sent to {target}\n\
                 navtrace: 4 spans can't be sent to {target} now and will be kept: 503 Service Unavailable: not now\n"
            )
        )
    );
    test.collector.behave(Behaviour::Accepts);
    assert_eq!(test.flush(), (0, format!("navtrace: 4 spans sent to {target}\n")));
    test.assert_tree(&session, &page_ids(1, 10));
}

#[test]
fn refused_and_rejected_spans_are_dropped_and_reported() {
    let (mut test, _) = spooled(3);
    test.collector.up();
    test.collector.behave(Behaviour::Refuses(400, None));
    let sentence = format!("navtrace: 5 spans refused by {} and dropped: 400 Bad Request: not now\n", test.target());
    assert_eq!(test.flush(), (1, sentence));
    assert_eq!(test.spooled().len(), 0);

    let (mut test, _) = spooled(2);
    test.collector.up();
    test.collector.behave(Behaviour::Rejects(1));
    let target = test.target();
    let message =
        format!("navtrace: 3 spans sent to {target}\nnavtrace: 1 span refused by {target} and dropped: too old\n");
    assert_eq!(test.flush(), (1, message));
    assert_eq!(test.spooled().len(), 0);
}

#[test]
fn nothing_is_sent_while_the_export_is_off() {
    for (name, value) in [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true")] {
        let test = ExportTest::new().set(name, value);
        let sentence =
            "nothing can be sent while the export is switched off: unset OTEL_TRACES_EXPORTER and OTEL_SDK_DISABLED";
        assert_eq!(test.flush(), (2, format!("navtrace: {sentence}\n")));
    }
}

#[test]
fn unusable_settings_are_named() {
    let (test, _) = spooled(2);
    let test = test.set("OTEL_EXPORTER_OTLP_HEADERS", "a b=c");
    let name = "OTEL_EXPORTER_OTLP_HEADERS can't be used: the key of item 1 can't be the name of a header";
    assert_eq!(test.flush(), (1, format!("navtrace: {name}\n")));
    let test = test.set("OTEL_EXPORTER_OTLP_HEADERS", "a=1,secret");
    let pair = "OTEL_EXPORTER_OTLP_HEADERS can't be used: item 2 is not key=value, percent-encoded";
    assert_eq!(test.flush(), (1, format!("navtrace: {pair}\n")));
    let test = test.set("OTEL_EXPORTER_OTLP_HEADERS", "").set("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file.pem");
    let unread = "/no/such/file.pem can't be read: No such file or directory (os error 2)";
    assert_eq!(test.flush(), (1, format!("navtrace: {unread}\n")));
    assert_eq!(test.spooled().len(), 1);
}

#[test]
fn an_unusable_state_directory_is_named() {
    let test = ExportTest::new().set("XDG_STATE_HOME", "/proc/none");
    let sentence = "the state directory can't be used: No such file or directory (os error 2)";
    assert_eq!(test.flush(), (1, format!("navtrace: {sentence}\n")));
}

#[test]
fn parallel_flushes_send_each_batch_once() {
    let (mut test, session) = spooled(30);
    test.collector.up();
    test.collector.behave(Behaviour::Slow(Duration::from_millis(50)));
    let flushes: Vec<_> = (0..4)
        .map(|_| {
            test.command(&["flush"])
                .stderr(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for flush in flushes {
        let (code, message) = exit_and_stderr(&flush.wait_with_output().unwrap());
        // A flush reports only the spans that it sent itself.
        assert!(code == 0 && message.lines().count() == 1, "{code} {message}");
        assert!(message.contains("spans sent to") || message.contains("nothing to send"), "{message}");
    }
    assert_eq!(test.collector.arrived().len(), 8);
    test.assert_tree(&session, &page_ids(1, 30));
}

#[test]
fn an_unreadable_batch_is_renamed() {
    let (mut test, session) = spooled(2);
    test.collector.up();
    let spool = test.state_dir().join("spool");
    for (name, message) in [("0-1-5", "{\"resourceSpans\":["), ("1-1-5", ""), ("2-1-5", "\u{0}\u{0}\u{0}")] {
        fs::write(spool.join(name).with_extension("jsonl"), message).unwrap();
    }
    let (code, message) = test.flush();
    assert_eq!(code, 0, "{message}");
    assert!(message.ends_with(&format!("navtrace: 4 spans sent to {}\n", test.target())), "{message}");
    assert_eq!(message.matches("is not a batch of spans").count(), 3, "{message}");
    test.assert_tree(&session, &page_ids(1, 2));
    let names: Vec<_> = test.spooled().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["0-1-5.unreadable", "1-1-5.unreadable", "2-1-5.unreadable"]);
    // It is reported only once.
    assert_eq!(test.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
}

#[test]
fn an_unreadable_journal_stops_nothing() {
    let (mut test, session) = spooled(2);
    test.collector.up();
    let sessions = test.state_dir().join("sessions");
    fs::write(sessions.join("empty.jsonl"), "").unwrap();
    fs::write(sessions.join("broken.jsonl"), "{\"entry\":\"beg\n").unwrap();
    fs::create_dir(sessions.join("folder.jsonl")).unwrap();
    let (code, message) = test.flush();
    assert_eq!(code, 0, "{message}");
    assert!(message.ends_with(&format!("navtrace: 4 spans sent to {}\n", test.target())), "{message}");
    test.assert_tree(&session, &page_ids(1, 2));
    assert_eq!(test.journals(), [sessions.join("broken.unreadable"), sessions.join("folder.jsonl")]);
}

#[test]
fn a_host_and_a_flush_send_each_batch_once() {
    let (mut test, session) = spooled(30);
    test.collector.up();
    test.collector.behave(Behaviour::Slow(Duration::from_millis(50)));
    let mut host = test.host();
    host.start_session();
    let (code, message) = test.flush();
    assert_eq!(code, 0, "{message}");
    test.wait_for_spans(32);
    assert!(host.close_and_wait().success());
    test.assert_tree(&session, &page_ids(1, 30));
}

#[test]
fn spans_wait_for_their_own_collector() {
    let (mut test, session) = spooled(2);
    let other = Collector::start();
    let elsewhere = |args: &[&str]| {
        let mut command = test.command(args);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", other.endpoint());
        command
    };
    // Another browser, whose host exports elsewhere.
    let mut host = test.host_below_browser(&elsewhere(&[crate::setup::ORIGIN]));
    host.start_session();
    host.observe(&page(2, 1));
    host.end();
    assert_eq!(other.spans().len(), 3);
    // A run with a collector of its own.
    let file = test.environment.home().join("traces.jsonl");
    let mut run = test.command(&["run", "--output"]);
    run.arg(&file).args(["--", "true"]).env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    assert_eq!(run.output().unwrap().status.code(), Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), "");
    let (code, message) = exit_and_stderr(&elsewhere(&["flush"]).output().unwrap());
    let host = test.collector.endpoint().replace("http://", "");
    let expected = format!(
        "navtrace: 4 spans kept for the collector at {host}: set OTEL_EXPORTER_OTLP_ENDPOINT to it to send them\n"
    );
    assert_eq!((code, message), (0, expected));
    // At another path of the same address the address alone would not help.
    let mut flush = test.command(&["flush"]);
    flush.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/elsewhere", test.collector.endpoint()));
    let (code, message) = exit_and_stderr(&flush.output().unwrap());
    let words = format!(
        "4 spans kept for the collector at {host}, at another path or by another protocol: set \
         OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL to it"
    );
    assert!(code == 0 && message.contains(&words), "{message}");
    assert_eq!((other.spans().len(), test.spooled_ids().len()), (3, 4));
    test.collector.up();
    assert_eq!(test.flush(), (0, format!("navtrace: 4 spans sent to {}\n", test.target())));
    test.assert_tree(&session, &page_ids(1, 2));
}

#[test]
fn spans_of_a_killed_browser_wait_for_their_own_collector() {
    let test = ExportTest::with(Collector::down());
    let mut host = test.host_with_browser();
    host.start_session();
    host.observe(&page(1, 2));
    host.kill_both();
    let other = Collector::start();
    let mut flush = test.command(&["flush"]);
    let (code, message) =
        exit_and_stderr(&flush.env("OTEL_EXPORTER_OTLP_ENDPOINT", other.endpoint()).output().unwrap());
    assert!(code == 0 && message.contains("4 spans kept for the collector at "), "{message}");
    assert_eq!((other.spans().len(), test.journals().len(), test.spooled_ids().len()), (0, 0, 4));
}

#[test]
fn batches_of_earlier_versions_are_for_any_collector() {
    let (test, _) = spooled(2);
    for path in test.spooled() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let parts: Vec<_> = name.split('-').collect();
        fs::rename(&path, path.with_file_name([parts[0], parts[1], parts[parts.len() - 1]].join("-"))).unwrap();
    }
    let other = Collector::start();
    let mut flush = test.command(&["flush"]);
    let (code, message) =
        exit_and_stderr(&flush.env("OTEL_EXPORTER_OTLP_ENDPOINT", other.endpoint()).output().unwrap());
    assert_eq!((code, other.spans().len()), (0, 4), "{message}");
}

#[test]
fn doctor_starts_no_exporter() {
    let test = ExportTest::new();
    let output = test.command(&["doctor"]).env("NAVTRACE_BROWSER", "/no/such/browser").output().unwrap();
    let report = crate::navtrace::stdout(&output);
    assert!(report.contains("starts and answers"), "{report}");
    // An exporter creates it, and would send what is there until doctor kills it.
    assert!(!test.state_dir().exists(), "{report}");
}

/// Makes a file look as if it was written that long ago.
fn age(path: &Path, age: Duration) {
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn what_killed_hosts_leave_is_removed_and_what_is_unreadable_has_a_bound() {
    let test = ExportTest::new();
    // A host that waits for the journal of another one is killed.
    let mut first = test.host_with_browser();
    let session = first.start_session();
    first.observe(&page(1, 1));
    let mut second = test.host_with_browser();
    second.resume(&session);
    let waits = || test.journals().into_iter().find(|path| path.extension().is_some_and(|name| name == "awaited"));
    wait_until("the second host waits", || waits().is_some());
    second.kill_both();
    let left = waits().unwrap();
    first.end();
    age(&left, Duration::from_secs(120));

    let [sessions, spool] = ["sessions", "spool"].map(|name| test.state_dir().join(name));
    let waiting = sessions.join("other.awaited");
    let locked = fs::File::create(&waiting).unwrap();
    rustix::fs::flock(&locked, rustix::fs::FlockOperation::LockShared).unwrap();
    age(&waiting, Duration::from_secs(120));
    let mut kept = vec![waiting];
    for dir in [&sessions, &spool] {
        for number in 0..20 {
            let path = dir.join(format!("{number:02}.unreadable"));
            // The newest is the largest: 12 MiB, and with the next four that is 16.
            fs::File::create(&path).unwrap().set_len(if number == 0 { 12 << 20 } else { 1 << 20 }).unwrap();
            age(&path, Duration::from_secs(number));
            if number <= 4 {
                kept.push(path);
            }
        }
    }
    assert_eq!(test.flush().0, 0);
    assert_eq!([test.journals(), test.spooled()].concat(), {
        kept.sort();
        kept
    });
}
