//! Notices browsers that clients start at a fixed path (`channel: 'chrome'` in Playwright and Puppeteer), where nothing can put navtrace in their
//! place.

use std::os::fd::OwnedFd;
use std::path::Path;

/// Paths of browsers on Linux, and the channels by which clients choose them.
const BROWSERS: [(&str, &str); 7] = [
    ("/opt/google/chrome/chrome", "chrome"),
    ("/opt/google/chrome-beta/chrome", "chrome-beta"),
    ("/opt/google/chrome-unstable/chrome", "chrome-dev"),
    ("/opt/google/chrome-canary/chrome", "chrome-canary"),
    ("/opt/microsoft/msedge/msedge", "msedge"),
    ("/opt/microsoft/msedge-beta/msedge", "msedge-beta"),
    ("/opt/microsoft/msedge-dev/msedge", "msedge-dev"),
];

/// Watches the browsers that are installed there.
#[derive(Debug)]
pub(super) struct FixedBrowsers {
    events: OwnedFd,
    /// Each browser with the number of its watch.
    watched: Vec<(i32, &'static str, &'static str)>,
}

impl FixedBrowsers {
    /// Begins to watch all but the one that navtrace itself starts. `None` if there is nothing to watch, or no way to.
    pub(super) fn watch(traced: &Path) -> Option<Self> {
        Self::watch_each(others(traced))
    }

    #[cfg(target_os = "linux")]
    fn watch_each(browsers: impl Iterator<Item = (&'static str, &'static str)>) -> Option<Self> {
        use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        let watch = |path| inotify::add_watch(&events, path, WatchFlags::OPEN | WatchFlags::ONESHOT).ok();
        let watched: Vec<_> = browsers.filter_map(|(path, channel)| Some((watch(path)?, path, channel))).collect();
        (!watched.is_empty()).then_some(Self { events, watched })
    }

    #[cfg(not(target_os = "linux"))]
    fn watch_each(_: impl Iterator<Item = (&'static str, &'static str)>) -> Option<Self> {
        None
    }

    /// Returns a sentence for each browser that was opened. That somebody has started it is likely, but not certain.
    #[cfg(target_os = "linux")]
    pub(super) fn sentences(&self) -> Vec<String> {
        use rustix::fs::inotify::{ReadFlags, Reader};

        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut reader = Reader::new(&self.events, &mut buffer);
        let mut sentences = Vec::new();
        while let Ok(event) = reader.next() {
            let opened = self.watched.iter().find(|(watch, ..)| *watch == event.wd());
            if let Some((_, path, channel)) = opened.filter(|_| event.events().contains(ReadFlags::OPEN)) {
                sentences.push(format!(
                    "{path} was opened or started during this run, and navtrace can't trace it; if the test chose it by channel: '{channel}', \
                     leave the channel out"
                ));
            }
        }
        sentences
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn sentences(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Returns the browsers that are not the one of this path.
fn others(traced: &Path) -> impl Iterator<Item = (&'static str, &'static str)> {
    let traced = std::fs::canonicalize(traced).unwrap_or_else(|_| traced.into());
    // On `PATH` there may be a script, which starts the program beside itself.
    BROWSERS.into_iter().filter(move |(path, _)| Path::new(path).parent() != traced.parent())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_browser_that_is_traced_is_not_watched() {
        let channels = |traced| others(Path::new(traced)).map(|(_, channel)| channel).collect::<Vec<_>>().join(" ");
        let all = "chrome chrome-beta chrome-dev chrome-canary msedge msedge-beta msedge-dev";
        for (traced, left_out) in [
            ("/nowhere/chromium", ""),
            ("/opt/google/chrome/chrome", "chrome "),
            ("/opt/google/chrome-beta/google-chrome-beta", "chrome-beta "),
            ("/opt/microsoft/msedge/microsoft-edge", "msedge "),
        ] {
            assert_eq!(channels(traced), all.replacen(left_out, "", 1), "{traced}");
        }
    }

    #[test]
    fn a_browser_that_is_opened_is_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let copy = |name: &str| -> &'static str {
            let path = dir.path().join(name);
            // Another process writes it, since a file that is open for writing can't be executed.
            assert!(Command::new("cp").args(["/bin/true".as_ref(), path.as_os_str()]).status().unwrap().success());
            path.to_str().unwrap().to_owned().leak()
        };
        let (chrome, edge, other) = (copy("chrome"), copy("msedge"), copy("other"));
        let missing = dir.path().join("missing").to_str().unwrap().to_owned().leak();
        assert!(FixedBrowsers::watch_each([(&*missing, "missing")].into_iter()).is_none());
        let browsers = [(chrome, "chrome"), (edge, "msedge"), (&*missing, "missing"), (other, "other")];
        let browsers = FixedBrowsers::watch_each(browsers.into_iter()).unwrap();
        assert_eq!(browsers.sentences(), [""; 0]);
        fs::metadata(other).unwrap();
        for _ in 0..3 {
            assert!(Command::new(edge).status().unwrap().success());
        }
        fs::remove_file(chrome).unwrap();
        let sentence = format!(
            "{edge} was opened or started during this run, and navtrace can't trace it; if the test chose it by channel: 'msedge', leave the \
             channel out"
        );
        assert_eq!(browsers.sentences(), [sentence]);
        assert_eq!(browsers.sentences(), [""; 0]);
    }
}
