//! The latch: how a profile holds its client back by itself, where no launcher stands between the two.
//!
//! Chromium writes its `DevTools` port into the file `DevToolsActivePort` of the user data directory before it answers anybody there. In a latched
//! profile that file is a FIFO. Opening one for writing waits until somebody reads, so a client's connection waits too, in the system's queue,
//! while everything else in the browser goes on. The host reads once headers are in place.
//!
//! The host learns of the profile by a variable in the environment of client and browser. Where it never starts, the client waits until its
//! own patience ends (k6: one minute): nobody else is there who could let it go.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::base::environment::{self, GATE_SOCKET, LATCHED_PROFILE};

/// The file that Chromium writes when its `DevTools` listen.
const PORT_FILE: &str = "DevToolsActivePort";

/// How long the browser may take to come to its port file. Usually it waits there already.
const PATIENCE: Duration = Duration::from_secs(10);

/// Latches a profile, or leaves it so. No browser may be using it.
pub(crate) fn set(dir: &Path) -> io::Result<()> {
    let path = dir.join(PORT_FILE);
    match fs::symlink_metadata(&path) {
        Ok(data) if data.file_type().is_fifo() => return Ok(()),
        // What an earlier browser has left, which has no meaning any more.
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    make_fifo(&path)
}

/// Makes a profile an ordinary one again, whose browser waits for nobody.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    let path = dir.join(PORT_FILE);
    if is_fifo(&path) { fs::remove_file(&path) } else { Ok(()) }
}

/// The file by which the profile is latched.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join(PORT_FILE)
}

/// How long the extension takes to go on alone when no host answers, and some more.
const GOES_ON_ALONE: Duration = Duration::from_millis(1500);

/// Lets go of the browser of a host that can't serve, once the extension has gone on without one.
pub(crate) fn let_go() {
    if let Some(path) = of_this_host() {
        std::thread::sleep(GOES_ON_ALONE);
        if let Err(error) = read(&path, GOES_ON_ALONE) {
            tracing::debug!("{} can't be read: {error}", path.display());
        }
    }
}

/// The FIFO of the profile that this host's browser uses. A launcher's browser has a gate instead.
fn of_this_host() -> Option<PathBuf> {
    if environment::path(GATE_SOCKET).is_some() {
        return None;
    }
    Some(file(&environment::path(LATCHED_PROFILE)?)).filter(|path| is_fifo(path))
}

/// Lets go of the browser that this host belongs to, if its profile is latched. Dropping it lets go too.
#[derive(Debug)]
pub(crate) struct Latch(Sender<()>);

impl Latch {
    /// Finds the latch of this host's browser, which is let go of after `timeout` at the latest.
    pub(crate) fn of_browser(timeout: Duration) -> Option<Self> {
        of_this_host().map(|path| Self::at(path, timeout))
    }

    fn at(path: PathBuf, timeout: Duration) -> Self {
        let (sender, armed) = mpsc::channel();
        std::thread::spawn(move || {
            if armed.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!(
                    "the browser was not armed within {timeout:?}, so requests may go without trace context"
                );
            }
            if let Err(error) = read(&path, PATIENCE) {
                tracing::warn!("{} can't be read, so the client waits in vain: {error}", path.display());
            }
        });
        Self(sender)
    }

    /// Lets the client through: headers are in place.
    pub(crate) fn release(&self) {
        // The thread is gone when this has been done before.
        let _ = self.0.send(());
    }
}

/// Reads the FIFO from its writer's begin to its end. A browser that does not come there has no `DevTools`, or has been let go of before.
fn read(path: &Path, patience: Duration) -> io::Result<()> {
    // It must not wait for the writer: a reader that stays would let go of the next browser in this profile.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let mut fifo = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_ready = wait(&fifo, left)?;
        if is_ready && fifo.read(&mut [0; 256])? == 0 || !is_ready && left.is_zero() {
            return Ok(());
        }
    }
}

/// Waits until there is something to read, or an end.
fn wait(fifo: &File, patience: Duration) -> io::Result<bool> {
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(fifo, PollFlags::IN)], Some(&patience)) {
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
    // SAFETY: the path is a string that ends with a zero, and nothing of it is kept.
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

    /// What Chromium does, from a thread that must not be kept for ever.
    fn browser(dir: &Path) -> JoinHandle<io::Result<()>> {
        let path = file(dir);
        std::thread::spawn(move || fs::write(path, "9222\n/devtools/browser/x"))
    }

    fn is_let_go(browser: &JoinHandle<io::Result<()>>, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while !browser.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        browser.is_finished()
    }

    const SOON: Duration = Duration::from_millis(200);
    const PATIENT: Duration = Duration::from_secs(20);

    #[test]
    fn a_browser_waits_until_it_is_let_go_and_the_next_one_waits_again() {
        let dir = latched();
        for _ in 0..2 {
            let browser = browser(dir.path());
            let latch = Latch::at(file(dir.path()), PATIENT);
            assert!(!is_let_go(&browser, SOON));
            latch.release();
            assert!(is_let_go(&browser, PATIENT));
            browser.join().unwrap().unwrap();
        }
    }

    #[test]
    fn a_browser_that_comes_late_is_let_go_too() {
        let dir = latched();
        Latch::at(file(dir.path()), PATIENT).release();
        std::thread::sleep(SOON);
        assert!(is_let_go(&browser(dir.path()), PATIENT));
    }

    #[test]
    fn a_browser_that_is_never_armed_is_let_go_in_the_end() {
        let dir = latched();
        let browser = browser(dir.path());
        let _latch = Latch::at(file(dir.path()), SOON);
        assert!(is_let_go(&browser, PATIENT));
    }

    #[test]
    fn setting_replaces_what_a_browser_left_and_removing_spares_it() {
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
