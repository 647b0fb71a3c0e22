//! The latch: makes a client wait for the extension in a profile that is used without the launcher.
//!
//! Chromium writes its `DevTools` port into the file `DevToolsActivePort` of the user data directory before it answers the first client. In a
//! latched profile that file is a FIFO. Opening it for writing blocks until a reader opens it, so the client's connection waits in the
//! system's queue while the rest of the browser goes on. The host reads the FIFO once headers are in place.
//!
//! The host learns of the profile by a variable in the environment of client and browser. If the host never starts, the client waits until
//! its own timeout (k6: one minute).

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::base::environment::{self, GATE_SOCKET, LATCHED_PROFILE, RUN_SOCKET};
use crate::base::threads;
use crate::launch::devtools::PORT_FILE;
use crate::launch::in_use;

/// Time that the browser may take to open its port file. Usually it already waits there.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Time after which the extension, without a host, certainly has headers of its own in place.
const FALLBACK_DELAY: Duration = Duration::from_millis(1500);

/// Latches a profile that no browser is using. Does nothing if it is latched already.
pub(crate) fn set(dir: &Path) -> io::Result<()> {
    let path = file(dir);
    match fs::symlink_metadata(&path) {
        Ok(data) if data.file_type().is_fifo() => return Ok(()),
        // The port of an earlier browser, which means nothing any more.
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    make_fifo(&path)
}

/// Removes the latch from a profile, if there is one.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    let path = file(dir);
    if is_fifo(&path) { fs::remove_file(&path) } else { Ok(()) }
}

/// Returns the path of the FIFO in a latched profile.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join(PORT_FILE)
}

/// Releases the browser of a host that cannot serve, once the extension works without a host.
pub(crate) fn release_without_host() {
    if let Some(path) = fifo_of_this_host() {
        std::thread::sleep(FALLBACK_DELAY);
        if let Err(error) = read(&path, FALLBACK_DELAY) {
            tracing::debug!("{} can't be read: {error}", path.display());
        }
    }
}

/// Returns the FIFO of the profile that this host's browser uses. A browser of the launcher has a gate instead.
fn fifo_of_this_host() -> Option<PathBuf> {
    if environment::path(GATE_SOCKET).is_some() {
        return None;
    }
    Some(file(&profile_of_this_host()?)).filter(|path| is_fifo(path))
}

/// Returns the prepared profile that this host's browser uses.
pub(super) fn profile_of_this_host() -> Option<PathBuf> {
    environment::path(LATCHED_PROFILE).filter(|dir| in_use::is_of_this_host(dir))
}

/// Returns whether a person has started this host's browser: neither navtrace nor a client whose profile navtrace prepared.
pub(crate) fn is_own_browser() -> bool {
    [GATE_SOCKET, RUN_SOCKET].into_iter().all(|name| environment::path(name).is_none())
        && profile_of_this_host().is_none()
}

/// The latch of this host's browser. Dropping it releases the browser too.
#[derive(Debug)]
pub(crate) struct Latch(Sender<()>);

impl Latch {
    /// Finds the latch of this host's browser. It releases the browser after `timeout` at the latest.
    pub(crate) fn of_browser(timeout: Duration) -> Option<Self> {
        fifo_of_this_host().map(|path| Self::at(&path, timeout))
    }

    fn at(path: &Path, timeout: Duration) -> Self {
        let (sender, armed) = mpsc::channel();
        let for_thread = path.to_owned();
        let started = threads::start("latch", move || {
            if armed.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!(
                    "the browser was not armed within {timeout:?}, so requests may go without trace context"
                );
            }
            if let Err(error) = read(&for_thread, OPEN_TIMEOUT) {
                tracing::warn!(
                    "{} can't be read, so the client waits until its own timeout: {error}",
                    for_thread.display()
                );
            }
        });
        if let Err(failure) = started {
            tracing::warn!("{failure}; requests may go without trace context");
            let _ = read(path, FALLBACK_DELAY);
        }
        Self(sender)
    }

    /// Lets the client through, now that headers are in place.
    pub(crate) fn release(&self) {
        // After the first call the thread may be gone.
        let _ = self.0.send(());
    }
}

/// Reads all that a writer puts into the FIFO. Without `DevTools`, or after an earlier release, no writer comes before `timeout`.
fn read(path: &Path, timeout: Duration) -> io::Result<()> {
    // Opening must not wait for a writer: a reader that stays would release the next browser in this profile.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let mut fifo = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_ready = wait_readable(&fifo, left)?;
        if is_ready && fifo.read(&mut [0; 256])? == 0 || !is_ready && left.is_zero() {
            return Ok(());
        }
    }
}

/// Waits for data or the end of the file. Returns whether either came within the timeout.
fn wait_readable(fifo: &File, timeout: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(fifo, PollFlags::IN)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_fifo(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_fifo())
}

fn make_fifo(path: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(OsStr::as_bytes(path.as_os_str()))?;
    // SAFETY: `path` is a string that ends with a zero byte and outlives the call, which keeps no pointer to it.
    match unsafe { libc::mkfifo(path.as_ptr(), 0o600) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::thread::JoinHandle;

    use super::*;

    fn latched() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        set(dir.path()).unwrap();
        dir
    }

    /// Writes the port file as Chromium does, in a thread of its own because that may block.
    fn browser(dir: &Path) -> JoinHandle<io::Result<()>> {
        let path = file(dir);
        std::thread::spawn(move || fs::write(path, "9222\n/devtools/browser/x"))
    }

    fn is_released(browser: &JoinHandle<io::Result<()>>, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while !browser.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        browser.is_finished()
    }

    const SOON: Duration = Duration::from_millis(200);
    const PATIENT: Duration = Duration::from_secs(20);

    #[test]
    fn every_browser_waits_until_it_is_released() {
        let dir = latched();
        for _ in 0..2 {
            let browser = browser(dir.path());
            let latch = Latch::at(&file(dir.path()), PATIENT);
            assert!(!is_released(&browser, SOON));
            latch.release();
            assert!(is_released(&browser, PATIENT));
            browser.join().unwrap().unwrap();
        }
    }

    #[test]
    fn a_late_browser_is_released_too() {
        let dir = latched();
        Latch::at(&file(dir.path()), PATIENT).release();
        std::thread::sleep(SOON);
        assert!(is_released(&browser(dir.path()), PATIENT));
    }

    #[test]
    fn a_browser_that_is_never_armed_is_released_at_last() {
        let dir = latched();
        let browser = browser(dir.path());
        let _latch = Latch::at(&file(dir.path()), SOON);
        assert!(is_released(&browser, PATIENT));
    }

    #[test]
    fn only_setting_replaces_an_old_port_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        fs::write(&path, "9222").unwrap();
        remove(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "9222");
        for _ in 0..2 {
            set(dir.path()).unwrap();
            assert!(is_fifo(&path));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for _ in 0..2 {
            remove(dir.path()).unwrap();
            assert!(!path.exists());
        }
        fs::create_dir(&path).unwrap();
        assert!(set(dir.path()).is_err());
    }
}
