//! The browser's process, told from a later one with the same id.

use std::fs;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How often is looked.
const PAUSE: Duration = Duration::from_millis(10);

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: u32,
    /// When it started, in the system's own count; 0 where that is not known.
    pub(crate) started: u64,
}

impl Process {
    /// The process that started this one: Chromium starts its hosts itself.
    pub(crate) fn parent() -> Self {
        let pid = std::os::unix::process::parent_id();
        Self { pid, started: start_of(pid) }
    }

    /// Whether it is there.
    pub(crate) fn is_alive(&self) -> bool {
        let there = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let there = there.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
        there && start_of(self.pid) == self.started && !is_zombie(self.pid)
    }

    /// Waits until the process is gone, and tells whether it is.
    pub(crate) fn wait_gone(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        true
    }
}

/// What `/proc` says of a process behind its name, which may have blanks and brackets in it (proc(5)).
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// The 22nd field; the third is the first behind the name.
fn start_of(pid: u32) -> u64 {
    stat(pid).and_then(|fields| fields.get(19)?.parse().ok()).unwrap_or(0)
}

/// A process that has ended, and that nobody has asked about yet.
fn is_zombie(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| matches!(fields.first().map(String::as_str), Some("Z" | "X")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends_and_no_other_is_taken_for_it() {
        assert!(Process::parent().is_alive());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process { pid: child.id(), started: start_of(child.id()) };
        assert!(process.is_alive());
        assert!(!Process { started: process.started + 1, ..process }.is_alive());
        assert!(!process.wait_gone(Duration::from_millis(20)));
        child.kill().unwrap();
        assert!(process.wait_gone(Duration::from_secs(10)), "one that was not waited for yet has gone as well");
        child.wait().unwrap();
        assert!(!process.is_alive());
    }
}
