//! Runs a browser without a test client, and asks it over HTTP on its debugging port.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::browser_test::{BrowserTest, is_root};
use crate::navtrace::is_in_use;
use crate::support::site::Recorded;

/// Limit of every wait for a browser.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Origin of the unpacked extension.
const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";

/// The debugging port of a browser.
#[derive(Default)]
pub(crate) struct DevTools {
    /// Host and port.
    endpoint: String,
}

impl DevTools {
    /// Finds the port of the browser that a client has started in the test's environment, if it is open by now.
    pub(crate) fn of_client(test: &BrowserTest) -> Option<Self> {
        let profiles = fs::read_dir(test.environment.temporary()).unwrap();
        let port = profiles.flatten().find_map(|profile| {
            let file = fs::read_to_string(profile.path().join("DevToolsActivePort")).ok()?;
            // Without the line end, the file may be incomplete.
            file.split_once('\n')?.0.parse::<u16>().ok()
        })?;
        Some(Self { endpoint: format!("127.0.0.1:{port}") })
    }

    /// Returns the browser's targets as JSON.
    pub(crate) fn targets(&self) -> io::Result<String> {
        self.ask("GET", "/json/list")
    }

    /// Returns the target id of the extension's worker if it runs, or an error if the browser does not answer.
    pub(crate) fn worker(&self) -> io::Result<Option<String>> {
        let targets: Vec<serde_json::Value> = serde_json::from_str(&self.targets()?)?;
        let is_worker = |target: &&serde_json::Value| {
            target["type"] == "service_worker" && target["url"].as_str().is_some_and(|url| url.starts_with(ORIGIN))
        };
        Ok(targets.iter().find(is_worker).map(|worker| worker["id"].as_str().unwrap().to_owned()))
    }

    /// Waits for the extension's worker and returns its target id.
    pub(crate) fn until_worker(&self) -> String {
        let mut worker = None;
        wait_until("the worker runs", || {
            worker = self.worker().unwrap_or_default();
            worker.is_some()
        });
        worker.unwrap()
    }

    /// Ends a worker. The browser refuses if the target is gone.
    pub(crate) fn close(&self, worker: &str) -> io::Result<()> {
        self.ask("GET", &format!("/json/close/{worker}")).map(drop)
    }

    /// Sends a request and returns the body. Any status but 200 is an error.
    fn ask(&self, method: &str, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.endpoint)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.endpoint)?;
        // Chromium keeps the connection open all the same, so read as many bytes as the header says.
        let mut reader = BufReader::new(stream);
        let mut line = || -> io::Result<String> {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            // A line without an end means that the connection was closed. It must not count as the empty line.
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

/// A running Chromium, which is killed when this is dropped.
pub(crate) struct Browser<'a> {
    test: &'a BrowserTest,
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
    /// Starts Chromium on a profile in the test's environment, by a command that accepts Chromium's arguments.
    pub(crate) fn start(command: Command, test: &'a BrowserTest) -> Self {
        Self::start_on(profile(test), command, test)
    }

    /// Starts Chromium on the given profile, which must be in the test's environment.
    pub(crate) fn start_on(profile: PathBuf, mut command: Command, test: &'a BrowserTest) -> Self {
        command
            .args(["--headless", "--remote-debugging-port=0", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (sender, received) = mpsc::channel();
        // Reads to the end, since a browser blocks if nobody reads. After this function the lines are dropped.
        std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        let mut browser = Self { test, child, devtools: DevTools::default(), profile };
        let deadline = Instant::now() + TIMEOUT;
        let mut before = Vec::new();
        while let Ok(line) = received.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            let address = line.strip_prefix("DevTools listening on ws://").and_then(|rest| rest.split('/').next());
            if let Some(address) = address {
                browser.devtools = DevTools { endpoint: address.to_owned() };
                return browser;
            }
            before.push(line);
        }
        panic!("no browser came of {command:?} within {TIMEOUT:?}:\n{}", before.join("\n"));
    }

    /// Opens a page of the test's site in a new tab.
    pub(crate) fn open(&self, page: &str, nav: &str) {
        // Only one parameter, since Chromium cuts the URL at an ampersand.
        let address = self.test.site.url(&format!("{page}?nav={nav}"));
        self.ask("PUT", &format!("/json/new?{address}")).unwrap();
    }

    /// Loads two plain pages and returns the requests that arrived.
    pub(crate) fn load_two_pages(&self) -> Vec<Recorded> {
        for nav in ["first", "second"] {
            self.load(nav);
        }
        let requests = self.test.site.settled(Duration::from_millis(300), Duration::from_secs(5));
        assert!(requests.len() >= 14, "two pages with all that they load: {requests:?}");
        requests
    }

    /// Loads a plain page of the test's site in a new tab, and waits for the last request of the page.
    pub(crate) fn load(&self, nav: &str) {
        self.load_page("/page", nav);
    }

    /// Loads `/page` or `/settled` as [`Self::load`] does.
    pub(crate) fn load_page(&self, page: &str, nav: &str) {
        let site = &self.test.site;
        self.open(page, nav);
        wait_until("the page is loaded", || {
            let requests = site.requests();
            requests.iter().any(|request| request.nav.as_deref() == Some(nav) && request.label() == "fetch-late")
        });
    }

    /// Loads pages until all requests of one carry headers, and clears the record of the site. An extension without a host starts alone only
    /// after a moment.
    pub(crate) fn until_armed(&self) {
        let site = &self.test.site;
        wait_until("requests carry headers", || {
            site.clear();
            self.load("armed");
            site.requests().iter().all(|request| !request.traceparent.is_empty())
        });
        site.clear();
    }
}

impl Browser<'_> {
    /// Returns the process id of the browser.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the browser's exit.
    pub(crate) fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The other processes of the browser exit a moment later. Until then they may write to folders that are deleted with the environment.
        let ended = Instant::now();
        while is_in_use(&self.profile) && ended.elapsed() < TIMEOUT {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Returns the process ids of the hosts that run in this environment.
pub(crate) fn hosts(test: &BrowserTest) -> BTreeSet<u32> {
    let processes = test.environment.processes();
    let ids = processes.iter().filter_map(|process| process.split(' ').next()?.parse::<u32>().ok());
    let is_host = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(ORIGIN.as_bytes())
    };
    ids.filter(is_host).collect()
}

/// Returns a command of Chromium with the extension and without any host. `granted` lets the extension block requests.
pub(crate) fn without_host(test: &BrowserTest, granted: bool) -> Command {
    let mut command = test.without_navtrace("chromium");
    command.arg("--disable-background-networking").args(is_root().then_some("--no-sandbox"));
    command.arg(format!("--load-extension={}/extension", env!("CARGO_MANIFEST_DIR")));
    command.args(granted.then_some("--allowlisted-extension-id=aalhdoofknlgjgclnnkjbegphicaohme"));
    command
}

fn profile(test: &BrowserTest) -> PathBuf {
    test.environment.home().join("profile")
}

/// Waits until `holds` returns true. `what` describes it in the failure.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
