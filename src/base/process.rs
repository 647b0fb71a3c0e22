//! Identifies a process by id and start time, because ids are reused.

use std::fs;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Interval between polls of `/proc`.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The most processes above one that are looked at.
const MAX_ANCESTORS: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Start time in the kernel's clock ticks since boot; 0 when unknown.
    pub(crate) started: u64,
}

impl Process {
    /// Returns the calling process.
    pub(crate) fn this() -> Self {
        let pid = std::process::id();
        Self { pid, started: start_of(pid) }
    }

    /// Returns the parent process. Of a host that is the browser.
    pub(crate) fn parent() -> Self {
        let pid = std::os::unix::process::parent_id();
        Self { pid, started: start_of(pid) }
    }

    /// Returns the ids of the processes above the calling one, the nearest first.
    pub(crate) fn ancestors() -> Vec<u32> {
        // Field 4 of the line; the name is field 2.
        let parent_of = |pid: &u32| stat(*pid)?.get(1)?.parse().ok().filter(|parent| *parent > 0);
        std::iter::successors(Some(std::os::unix::process::parent_id()), parent_of).take(MAX_ANCESTORS).collect()
    }

    /// Returns the first 15 bytes of the name of an ancestor, by its place in [`Self::ancestors`].
    pub(crate) fn name_of_ancestor(place: usize) -> Option<String> {
        let pid = *Self::ancestors().get(place)?;
        fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
    }

    /// Returns whether the process still runs. A zombie does not.
    pub(crate) fn is_alive(&self) -> bool {
        exists(self.pid) && start_of(self.pid) == self.started && !is_zombie(self.pid)
    }

    /// Waits up to `timeout` for the process to end, and returns whether it has ended.
    pub(crate) fn wait_gone(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        true
    }
}

/// Returns whether a process has this id. It may belong to another user, or be a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Returns the fields of `/proc/PID/stat` behind the process's name, which may itself contain blanks and brackets (proc(5)).
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn start_of(pid: u32) -> u64 {
    // Field 22 of the line; the name is field 2.
    stat(pid).and_then(|fields| fields.get(19)?.parse().ok()).unwrap_or(0)
}

fn is_zombie(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| matches!(fields.first().map(String::as_str), Some("Z" | "X")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_begin_with_the_parent() {
        let ancestors = Process::ancestors();
        assert_eq!(ancestors[0], Process::parent().pid);
        assert!(ancestors.len() > 1 && !ancestors.contains(&std::process::id()), "{ancestors:?}");
    }

    #[test]
    fn a_process_is_alive_until_it_ends() {
        assert!(Process::parent().is_alive());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process { pid: child.id(), started: start_of(child.id()) };
        assert!(process.is_alive());
        assert!(!Process { started: process.started + 1, ..process }.is_alive());
        assert!(!process.wait_gone(Duration::from_millis(20)));
        child.kill().unwrap();
        assert!(process.wait_gone(Duration::from_secs(10)), "a zombie counts as ended");
        child.wait().unwrap();
        assert!(!process.is_alive());
    }
}
