//! Finds out whether a browser is using a profile now.
//!
//! Chromium has two links in a user data directory while it runs there: `SingletonLock` to `host-pid`, and `SingletonSocket` to the socket
//! where it listens for others that are started there. A browser that was killed leaves both.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

use crate::base::failure::{ExitCode, Failure};

/// Who is using a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InUse {
    /// A browser that runs here.
    #[error("the profile {} is in use by the browser of process {pid}, and serves one at a time: end that one first, or name another profile", .dir.display())]
    Here {
        /// The user data directory.
        dir: PathBuf,
        /// The browser's process.
        pid: u32,
    },
    /// A browser of another computer, or one that was killed there: nobody here can tell, and Chromium refuses to start.
    #[error("the profile {} is in use by a browser on {host} (process {pid}), or was left so: end that one, or remove {}", .dir.display(), .dir.join(LOCK).display())]
    Elsewhere {
        /// The user data directory.
        dir: PathBuf,
        /// The other computer.
        host: String,
        /// The browser's process there.
        pid: u32,
    },
}

impl From<InUse> for Failure {
    fn from(in_use: InUse) -> Self {
        Self::new(ExitCode::Failure, in_use)
    }
}

const LOCK: &str = "SingletonLock";
const SOCKET: &str = "SingletonSocket";

/// Makes sure that no browser is using the user data directory `dir`.
///
/// # Errors
///
/// Who is using it.
pub(crate) fn check(dir: &Path) -> Result<(), InUse> {
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let lock = fs::read_link(dir.join(LOCK)).ok();
    let Some((host, pid)) = lock.as_deref().and_then(Path::to_str).and_then(owner) else {
        return Ok(());
    };
    let dir = dir.to_owned();
    if host != own {
        return Err(InUse::Elsewhere { dir, host: host.to_owned(), pid });
    }
    // The id may be another process's by now; only a browser listens.
    if is_alive(pid) && listens(&dir) { Err(InUse::Here { dir, pid }) } else { Ok(()) }
}

/// Takes the lock's target apart. A host's name may have dashes.
fn owner(target: &str) -> Option<(&str, u32)> {
    let (host, pid) = target.rsplit_once('-')?;
    Some((host, pid.parse().ok()?))
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // Somebody else's process can't be signalled, but is there.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

fn listens(dir: &Path) -> bool {
    // The link's own path may be too long for a socket's.
    let socket = dir.join(SOCKET);
    fs::read_link(&socket).and_then(|target| UnixStream::connect(dir.join(target))).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_locks_target_is_taken_apart() {
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
        assert_eq!(check(dir), Err(InUse::Here { dir: dir.into(), pid }));
        drop(listener);
        assert_eq!(check(dir), Ok(()), "it was killed");
    }

    #[test]
    fn a_lock_of_another_computer_is_told() {
        let dir = tempfile::tempdir().unwrap();
        symlink("other-host-4", dir.path().join(LOCK)).unwrap();
        let dir = dir.path();
        assert_eq!(
            check(dir).unwrap_err().to_string(),
            format!(
                "the profile {0} is in use by a browser on other-host (process 4), or was left so: end that one, or remove {0}/SingletonLock",
                dir.display()
            )
        );
    }
}
