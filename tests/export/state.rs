//! A state directory that can't be used, and a disk that is full: one sentence, and whatever the collector takes is exported all the same.

use crate::bench::{Bench, Heard, ORIGIN, expected};
use crate::collector::Collector;
use crate::observations::{page, page_ids};

const NOTHING_KEPT: &str = "nothing can be kept for later (No such file or directory (os error 2)): set XDG_STATE_HOME to a folder that \
                            you may write to\n";

#[test]
fn without_a_state_directory_spans_are_exported_all_the_same() {
    for name in ["XDG_STATE_HOME", "HOME"] {
        let bench = Bench::new().set(name, "/proc/none");
        let mut host = bench.host_of_browser();
        let session = host.greet();
        host.observe(&page(1, 3));
        host.observe(&page(2, 3));
        host.end();
        bench.assert_tree(&session, &expected([page_ids(1, 3), page_ids(2, 3)]));
        assert_eq!(host.said(), format!(" WARN navtrace::channel::host: {NOTHING_KEPT}"));
    }
}

#[test]
fn a_file_in_the_place_of_the_state_directory_is_named() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.state().parent().unwrap()).unwrap();
    std::fs::write(bench.state(), "").unwrap();
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    host.end();
    bench.assert_tree(&session, &page_ids(1, 3));
    assert_eq!(host.count_said("nothing can be kept for later"), 1, "{}", host.said());
}

#[test]
fn without_a_state_directory_and_a_collector_spans_are_lost_and_that_is_told() {
    let bench = Bench::with(Collector::down()).set("XDG_STATE_HOME", "/proc/none");
    let heard = Heard::listen();
    let mut host = bench.host_heard_by(&heard);
    host.greet();
    host.observe(&page(1, 3));
    host.end();
    let trace = heard.trace();
    let exported = trace.exported.unwrap();
    assert_eq!((exported.exported, exported.spooled, exported.lost), (0, 0, 5));
    let problems = heard.problems();
    assert!(problems.contains(&NOTHING_KEPT.trim_end().to_owned()), "{problems:?}");
    let lost = "they are lost when the browser ends, since nothing can be kept";
    assert!(problems.iter().any(|problem| problem.ends_with(lost)), "{problems:?}");
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn without_an_export_nobody_asks_for_a_state_directory() {
    let bench = Bench::new().set("XDG_STATE_HOME", "/proc/none").set("OTEL_TRACES_EXPORTER", "none");
    let mut host = bench.host_of_browser();
    host.greet();
    host.observe(&page(1, 3));
    host.end();
    assert_eq!(host.said(), "");
}

/// A host that may write files of this many bytes at most, as on a disk that is full.
fn limited(bench: &Bench, bytes: u32) -> std::process::Command {
    let host = bench.command(&[ORIGIN]);
    let mut shell = std::process::Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", bytes / 512);
    shell.args(["-c", &script, "sh"]).arg(host.get_program()).arg(ORIGIN);
    for (name, value) in host.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[test]
fn a_journal_that_can_not_be_written_any_more_is_told_and_nothing_is_sent_twice() {
    let bench = Bench::new();
    let mut host = bench.host_below(&limited(&bench, 4096));
    let session = host.greet();
    for number in 1..=20 {
        host.observe(&page(number, 3));
    }
    bench.wait_for(20 * 4);
    host.end();
    let all = expected((1..=20).map(|number| page_ids(number, 3)));
    bench.assert_tree(&session, &all);
    let sentence = "the session's journal can't be used (File too large (os error 27)): spans are kept in memory alone, and a host that \
                    dies loses them";
    assert_eq!(host.said(), format!(" WARN navtrace::channel::host: {sentence}\n"));
    assert_eq!(bench.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    bench.assert_tree(&session, &all);
    assert_eq!((bench.journals().len(), bench.spooled().len()), (0, 0));
}

#[test]
fn a_spool_that_can_not_be_written_loses_spans_and_tells() {
    let mut bench = Bench::with(Collector::down());
    let heard = Heard::listen();
    let mut command = limited(&bench, 4096);
    heard.listens_to(&mut command);
    let mut host = bench.host_below(&command);
    host.greet();
    for number in 1..=20 {
        host.observe(&page(number, 3));
    }
    host.end();
    let trace = heard.trace();
    let exported = trace.exported.unwrap();
    assert_eq!((exported.exported, exported.spooled, exported.lost), (0, 0, 20 * 4 + 1));
    let problems = heard.problems();
    let lost =
        |problem: &&String| problem.starts_with("spans can't be kept in the spool (File too large (os error 27)");
    assert_eq!(problems.iter().filter(lost).count(), 1, "{problems:?}");
    bench.collector.up();
    assert_eq!(bench.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    assert_eq!((bench.journals().len(), bench.spooled().len()), (0, 0));
}
