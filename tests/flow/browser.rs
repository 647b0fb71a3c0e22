//! A browser without a test client, or beside one: it is asked by plain HTTP, on its debugging port.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::bench::{Bench, is_root};
use crate::navtrace::is_in_use;
use crate::support::site::Recorded;

/// How long a browser may take for whatever it is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The extension as Chromium names it where it was loaded, not installed as a package.
const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";

/// The debugging port of a browser.
#[derive(Default)]
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
    pub(crate) fn targets(&self) -> io::Result<String> {
        self.ask("GET", "/json/list")
    }

    /// What the extension's worker is called, if it runs. A browser that does not answer is not one without a worker.
    pub(crate) fn worker(&self) -> io::Result<Option<String>> {
        let targets: Vec<serde_json::Value> = serde_json::from_str(&self.targets()?)?;
        let is_worker = |target: &&serde_json::Value| {
            target["type"] == "service_worker" && target["url"].as_str().is_some_and(|url| url.starts_with(ORIGIN))
        };
        Ok(targets.iter().find(is_worker).map(|worker| worker["id"].as_str().unwrap().to_owned()))
    }

    /// Waits for the extension's worker and tells what it is called.
    pub(crate) fn until_worker(&self) -> String {
        let mut worker = None;
        wait_until("the worker runs", || {
            worker = self.worker().unwrap_or_default();
            worker.is_some()
        });
        worker.unwrap()
    }

    /// Ends a worker. The browser refuses when there is none of that name any more.
    pub(crate) fn close(&self, worker: &str) -> io::Result<()> {
        self.ask("GET", &format!("/json/close/{worker}")).map(drop)
    }

    /// The body of an answer whose status is 200: any other is an error.
    fn ask(&self, method: &str, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.endpoint)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.endpoint)?;
        // The connection stays open whatever the request says, so the length decides.
        let mut reader = BufReader::new(stream);
        let mut line = || -> io::Result<String> {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            // A line without its end is where the connection ended, which must not pass for the empty line.
            let whole = line.strip_suffix('\n').ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok(whole.trim_end().to_owned())
        };
        let status = line()?;
        let mut length = 0;
        loop {
            match line()?.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap();
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8(body).unwrap();
        match status.split_whitespace().nth(1) {
            Some("200") => Ok(body),
            _ => Err(io::Error::other(format!("{method} {path}: {status}: {body}"))),
        }
    }
}

/// A running Chromium, which is ended with this value.
pub(crate) struct Browser<'a> {
    bench: &'a Bench,
    child: Child,
    devtools: DevTools,
    profile: PathBuf,
}

impl Deref for Browser<'_> {
    type Target = DevTools;

    fn deref(&self) -> &DevTools {
        &self.devtools
    }
}

impl<'a> Browser<'a> {
    /// Starts Chromium, on a profile in the bench's environment, by a command that takes its arguments and becomes it.
    pub(crate) fn start(command: Command, bench: &'a Bench) -> Self {
        Self::start_on(profile(bench), command, bench)
    }

    /// [`Browser::start`] on a profile of the test's choice, which is in the bench's environment too.
    pub(crate) fn start_on(profile: PathBuf, mut command: Command, bench: &'a Bench) -> Self {
        command
            .args(["--headless", "--remote-debugging-port=0", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (sender, said) = mpsc::channel();
        // To the end, since a browser that nobody reads stops. After this function nobody receives, which is no matter.
        std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        let mut browser = Self { bench, child, devtools: DevTools::default(), profile };
        let deadline = Instant::now() + PATIENCE;
        let mut before = Vec::new();
        while let Ok(line) = said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            let address = line.strip_prefix("DevTools listening on ws://").and_then(|rest| rest.split('/').next());
            if let Some(address) = address {
                browser.devtools = DevTools { endpoint: address.to_owned() };
                return browser;
            }
            before.push(line);
        }
        panic!("no browser came of {command:?} within {PATIENCE:?}:\n{}", before.join("\n"));
    }

    /// Opens a page of the bench's site in a new tab.
    pub(crate) fn open(&self, page: &str, nav: &str) {
        // One parameter only: an ampersand would end the address here.
        let address = self.bench.site.url(&format!("{page}?nav={nav}"));
        self.ask("PUT", &format!("/json/new?{address}")).unwrap();
    }

    /// Loads two plain pages, and gives what the site got.
    pub(crate) fn load_two_pages(&self) -> Vec<Recorded> {
        for nav in ["first", "second"] {
            self.load(nav);
        }
        let requests = self.bench.site.settled(Duration::from_millis(300), Duration::from_secs(5));
        assert!(requests.len() >= 14, "two pages with all that they load: {requests:?}");
        requests
    }

    /// Loads a plain page of the bench's site in a new tab, up to the last request that the page makes.
    pub(crate) fn load(&self, nav: &str) {
        let site = &self.bench.site;
        self.open("/page", nav);
        wait_until("the page is loaded", || {
            let requests = site.requests();
            requests.iter().any(|request| request.nav.as_deref() == Some(nav) && request.label() == "fetch-late")
        });
    }

    /// Loads pages until all requests of one carry headers, and has the site forget them: an extension without a host
    /// goes on alone only after a moment.
    pub(crate) fn until_armed(&self) {
        let site = &self.bench.site;
        wait_until("requests carry headers", || {
            site.clear();
            self.load("armed");
            site.requests().iter().all(|request| !request.traceparent.is_empty())
        });
        site.clear();
    }
}

impl Browser<'_> {
    /// The process that the client started, which leads a group of its own where the command said so.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Takes note of the browser's end, as the client does that started it.
    pub(crate) fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its other processes end a moment later, and until then may write into the folders that go away with the
        // environment.
        let ended = Instant::now();
        while is_in_use(&self.profile) && ended.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The hosts that the browsers in this environment have now.
pub(crate) fn hosts(bench: &Bench) -> BTreeSet<u32> {
    let processes = bench.environment.processes();
    let ids = processes.iter().filter_map(|process| process.split(' ').next()?.parse::<u32>().ok());
    let is_host = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(ORIGIN.as_bytes())
    };
    ids.filter(is_host).collect()
}

/// The command of a Chromium with the extension and no host anywhere, with or without the grant that lets the extension
/// change requests.
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

/// Waits until something holds, or fails with what it is.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain for {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
