use super::*;

fn entries(journal: &mut Journal) -> Vec<String> {
    let mut entries = Vec::new();
    journal.read(|entry| entries.push(entry)).unwrap();
    entries
}

#[test]
fn entries_are_read_back_and_an_incomplete_line_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path, Duration::ZERO).unwrap();
    assert!(entries(&mut journal).is_empty());
    journal.append(&"1").unwrap();
    journal.append(&"2").unwrap();
    drop(journal);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\"sett").unwrap();
    let mut journal = Journal::open_existing(&path).unwrap();
    assert_eq!(entries(&mut journal), ["1", "2"]);
    journal.append(&"3").unwrap();
    drop(journal);
    let mut journal = Journal::open_existing(&path).unwrap();
    assert_eq!(entries(&mut journal), ["1", "2", "3"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    journal.remove();
    assert!(!path.exists());
}

#[test]
fn the_lock_survives_a_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path, Duration::ZERO).unwrap();
    for _ in 0..2 {
        let refused = Journal::open(&path, Duration::from_millis(30)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        journal.replace(&"6", &"7").unwrap();
    }
    journal.append(&"8").unwrap();
    drop(journal);
    // A child process that another test starts at this moment may still hold the lock.
    let mut journal = Journal::open(&path, Duration::from_secs(5)).unwrap();
    assert_eq!(entries(&mut journal), ["6", "7", "8"]);
}

#[test]
fn a_process_that_waits_for_a_removed_journal_starts_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path, Duration::ZERO).unwrap();
    journal.append(&"1").unwrap();
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || entries(&mut Journal::open(&path, Duration::from_secs(10)).unwrap())
    });
    std::thread::sleep(Duration::from_millis(50));
    journal.remove();
    assert!(waiting.join().unwrap().is_empty());
    assert!(path.exists());
}

#[test]
fn a_journal_is_awaited_until_the_last_process_stops_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (first, second) = (Wait::begin(&path), Wait::begin(&path));
    drop(first);
    assert!(is_awaited(&path));
    drop(second);
    // A child process that another test starts at this moment may still hold the lock.
    let deadline = Instant::now() + Duration::from_secs(5);
    while awaited(&path).exists() && Instant::now() < deadline {
        drop(Wait::begin(&path));
    }
    assert!(!awaited(&path).exists());
}

#[test]
fn a_wait_that_begins_while_the_file_is_removed_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    for _ in 0..200 {
        let file = File::create(awaited(&path)).unwrap();
        assert!(file_lock::try_lock(&file).unwrap());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Wait::begin(&path));
            std::thread::sleep(Duration::from_millis(1));
            std::fs::remove_file(awaited(&path)).unwrap();
            drop(file);
            let wait = waiting.join().unwrap();
            assert!(is_awaited(&path));
            drop(wait);
        });
        let _ = std::fs::remove_file(awaited(&path));
    }
}
