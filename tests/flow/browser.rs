//! A browser without a test client, or beside one: it is asked by plain HTTP, on its debugging port.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::k6::{Bench, is_root};

/// How long a browser may take for whatever it is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The debugging port of a browser.
pub(crate) struct DevTools {
    /// Host and port.
    endpoint: String,
}

impl DevTools {
    /// The port of the browser that a client has started in the bench's environment, if it has one by now.
    pub(crate) fn of_client(bench: &Bench) -> Option<Self> {
        let profiles = fs::read_dir(bench.environment.temporary()).unwrap();
        let port = profiles.flatten().find_map(|profile| {
            let file = fs::read_to_string(profile.path().join("DevToolsActivePort")).ok()?;
            file.lines().next()?.parse::<u16>().ok()
        })?;
        Some(Self { endpoint: format!("127.0.0.1:{port}") })
    }

    /// What the browser has open, as JSON.
    pub(crate) fn targets(&self) -> String {
        self.ask("GET", "/json/list").unwrap()
    }

    /// Whether the extension's worker runs.
    pub(crate) fn has_worker(&self) -> bool {
        self.worker().is_some()
    }

    /// Ends the extension's worker, if it runs.
    pub(crate) fn close_worker(&self) -> bool {
        self.worker().is_some_and(|id| self.ask("GET", &format!("/json/close/{id}")).is_ok())
    }

    fn worker(&self) -> Option<String> {
        let targets: Vec<serde_json::Value> = serde_json::from_str(&self.ask("GET", "/json/list").ok()?).ok()?;
        let is_worker = |target: &&serde_json::Value| target["type"] == "service_worker";
        Some(targets.iter().find(is_worker)?["id"].as_str()?.to_owned())
    }

    fn ask(&self, method: &str, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.endpoint)?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.endpoint)?;
        // The connection stays open whatever the request says, so the length decides.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap();
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(String::from_utf8(body).unwrap())
    }
}

/// A running Chromium, which is ended with this value.
pub(crate) struct Browser<'a> {
    bench: &'a Bench,
    child: Child,
    devtools: DevTools,
}

impl Deref for Browser<'_> {
    type Target = DevTools;

    fn deref(&self) -> &DevTools {
        &self.devtools
    }
}

impl<'a> Browser<'a> {
    /// Starts Chromium, on a profile in the bench's environment, by a command that takes its arguments and becomes it.
    pub(crate) fn start(mut command: Command, bench: &'a Bench) -> Self {
        command
            .args(["--headless", "--remote-debugging-port=0", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile(bench).display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let endpoint = lines.by_ref().find_map(|line| {
            let address = line.strip_prefix("DevTools listening on ws://").and_then(|rest| rest.split('/').next());
            let address = address.map(ToOwned::to_owned);
            said.push(line);
            address
        });
        std::thread::spawn(move || lines.for_each(drop));
        let endpoint = endpoint.unwrap_or_else(|| panic!("no browser came of {command:?}:\n{}", said.join("\n")));
        Self { bench, child, devtools: DevTools { endpoint } }
    }

    /// Loads a plain page of the bench's site in a new tab, up to the last request that the page makes.
    pub(crate) fn load(&self, nav: &str) {
        let site = &self.bench.site;
        // One parameter only: an ampersand would end the address here.
        self.ask("PUT", &format!("/json/new?{}", site.url(&format!("/page?nav={nav}")))).unwrap();
        wait_until("the page is loaded", || {
            let requests = site.requests();
            requests.iter().any(|request| request.nav.as_deref() == Some(nav) && request.label() == "fetch-late")
        });
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its other processes end a moment later, and until then may write into the folders that go away with the environment.
        let ended = Instant::now();
        while is_in_use(&profile(self.bench)) && ended.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The command of a Chromium with the extension and no host anywhere, with or without the grant that lets the extension change requests.
pub(crate) fn without_host(bench: &Bench, granted: bool) -> Command {
    let mut command = bench.without_navtrace("chromium");
    command.arg("--disable-background-networking").args(is_root().then_some("--no-sandbox"));
    command.arg(format!("--load-extension={}/extension", env!("CARGO_MANIFEST_DIR")));
    command.args(granted.then_some("--allowlisted-extension-id=aalhdoofknlgjgclnnkjbegphicaohme"));
    command
}

/// The folder of the profile of a bench's browser.
fn profile(bench: &Bench) -> PathBuf {
    bench.environment.home().join("profile")
}

/// Whether a process was started with this path in its arguments, as all processes of a browser are with its profile's: Chromium's renderers
/// and the like can't be told by their environment, which they overwrite.
fn is_in_use(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    fs::read_dir("/proc").unwrap().any(|entry| {
        let arguments = entry.and_then(|entry| fs::read(entry.path().join("cmdline"))).unwrap_or_default();
        arguments.windows(path.len()).any(|part| part == path)
    })
}

/// Waits until something holds, or fails with what it is.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain for {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
