//! Finds out whether a browser is using a user data directory.
//!
//! Chromium keeps two links in the directory while it runs: `SingletonLock` points to `host-pid`, and `SingletonSocket` to the socket where
//! it listens for browsers that are started there later. A browser that was killed leaves both behind.

use std::fs;
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::path::Path;

use crate::base::failure::{ExitCode, Failure};
use crate::base::process;

const LOCK: &str = "SingletonLock";
const SOCKET: &str = "SingletonSocket";

/// Fails if a browser is using the user data directory, or may be using it from another computer.
pub(crate) fn check(dir: &Path) -> Result<(), Failure> {
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let lock = fs::read_link(dir.join(LOCK)).ok();
    let Some((host, pid)) = lock.as_deref().and_then(Path::to_str).and_then(owner) else {
        return Ok(());
    };
    let profile = dir.display();
    let message = if host != own {
        // Whether that browser still runs cannot be found out here, and Chromium refuses to start.
        let lock = dir.join(LOCK);
        format!(
            "the profile {profile} is in use by a browser on {host} (process {pid}), or was left locked when that browser was killed: end the browser, or remove {}",
            lock.display()
        )
    } else if process::exists(pid) && listens(dir) {
        format!("the profile {profile} is in use by the browser with process id {pid}: end it, or name another profile")
    } else {
        // Another process may have the id by now. Only a browser listens.
        return Ok(());
    };
    Err(Failure::new(ExitCode::Failure, message))
}

/// Returns whether the browser that started this host is using the user data directory.
pub(super) fn is_of_this_host(dir: &Path) -> bool {
    let lock = fs::read_link(dir.join(LOCK)).ok();
    lock.as_deref().and_then(Path::to_str).and_then(owner).is_some_and(|(_, pid)| pid == parent_id())
}

/// Splits the lock's target into host name and process id. A host name may contain dashes.
fn owner(target: &str) -> Option<(&str, u32)> {
    let (host, pid) = target.rsplit_once('-')?;
    Some((host, pid.parse().ok()?))
}

fn listens(dir: &Path) -> bool {
    // The link's own path may be too long for a socket address.
    let socket = dir.join(SOCKET);
    fs::read_link(&socket).and_then(|target| UnixStream::connect(dir.join(target))).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_locks_target_is_split() {
        assert_eq!(owner("vm-17"), Some(("vm", 17)));
        assert_eq!(owner("my-host.example-17"), Some(("my-host.example", 17)));
        for other in ["", "vm", "vm-", "vm-x", "vm-99999999999"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn a_profile_is_in_use_while_its_browser_lives_and_listens() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(check(dir), Ok(()));
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let pid = std::process::id();
        symlink(format!("{own}-{pid}"), dir.join(LOCK)).unwrap();
        assert_eq!(check(dir), Ok(()), "the id was another process's");

        let listener = UnixListener::bind(dir.join("socket")).unwrap();
        symlink(dir.join("socket"), dir.join(SOCKET)).unwrap();
        let message = check(dir).unwrap_err().to_string();
        let in_use = format!("the profile {} is in use by the browser with process id {pid}: end it", dir.display());
        assert!(message.starts_with(&in_use), "{message}");
        drop(listener);
        assert_eq!(check(dir), Ok(()), "it was killed");
    }

    #[test]
    fn a_lock_of_another_computer_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        symlink("other-host-4", dir.path().join(LOCK)).unwrap();
        let dir = dir.path();
        assert_eq!(
            check(dir).unwrap_err().to_string(),
            format!(
                "the profile {0} is in use by a browser on other-host (process 4), or was left locked when that browser was killed: end the browser, or remove {0}/SingletonLock",
                dir.display()
            )
        );
    }
}
