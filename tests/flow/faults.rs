//! A host that dies, and a browser that never had one: headers go on.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::k6::{Bench, traceparent, turn};
use crate::support::site::Site;

/// The hosts of this environment's browsers.
fn hosts(bench: &Bench) -> Vec<u32> {
    let processes = bench.environment.processes();
    let ids = processes.iter().filter_map(|process| process.split(' ').next()?.parse::<u32>().ok());
    let is_host = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1).is_some_and(|first| first.starts_with(b"chrome-extension://"))
    };
    ids.filter(is_host).collect()
}

/// Kills a host of this test's own browser; one that has ended meanwhile is not there to be killed.
fn kill(id: u32) -> bool {
    Command::new("kill").args(["-KILL", &id.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn a_host_that_is_killed_is_started_again_and_continues_the_trace() {
    let _turn = turn();
    let bench = Bench::new();
    let mut command = bench.traced_command("pages.js", &[("ITERATIONS", "1"), ("PAGES", "12")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut killed = Vec::new();
    while child.try_wait().unwrap().is_none() {
        // Not before the first page: the gate waits for the first host.
        for host in hosts(&bench).into_iter().filter(|_| !bench.site.requests().is_empty()) {
            if killed.len() < 3 && !killed.contains(&host) && kill(host) {
                killed.push(host);
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let run = bench.finished(&child.wait_with_output().unwrap());
    println!("{} hosts were killed while {} requests were made", killed.len(), run.requests.len());
    assert!(killed.len() >= 2, "a killed host is replaced while the browser lives");
    assert_eq!(run.trace_ids().len(), 1);
    assert_eq!(run.summary(), run.trace_ids(), "{}", run.log);
    bench.assert_nothing_left();
}

/// A Chromium with the extension and no host anywhere, ended with this value.
struct WithoutHost {
    child: Child,
    endpoint: String,
}

impl WithoutHost {
    fn start(bench: &Bench, profile: &Path) -> Self {
        let extension = format!("{}/extension", env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("chromium")
            .args(["--headless", "--remote-debugging-port=0", "--no-first-run", "--disable-background-networking"])
            .args(crate::k6::is_root().then_some("--no-sandbox"))
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--load-extension={extension}"))
            .env("HOME", bench.environment.home())
            .env("TMPDIR", profile)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let endpoint = lines.find_map(|line| {
            let address = line.ok()?.strip_prefix("DevTools listening on ws://")?.split('/').next()?.to_owned();
            Some(address)
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, endpoint: endpoint.unwrap() }
    }

    fn get(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.endpoint).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.endpoint).unwrap();
        // The connection stays open whatever the request says, so the length decides.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap();
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }
}

impl Drop for WithoutHost {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn load(browser: &WithoutHost, site: &Site, nav: &str) {
    browser.get("PUT", &format!("/json/new?{}", site.url(&format!("/page?nav={nav}&run=x&subs=3"))));
    wait_until("the page is loaded", || {
        site.requests().iter().any(|request| request.nav.as_deref() == Some(nav) && request.label() == "fetch-late")
    });
}

#[test]
fn without_a_host_the_extension_issues_contexts_of_its_own() {
    let _turn = turn();
    let bench = Bench::new();
    let profile = tempfile::tempdir().unwrap();
    let browser = WithoutHost::start(&bench, profile.path());
    wait_until("the worker runs", || browser.get("GET", "/json/list").contains("service_worker"));
    // The extension gives a host a second to answer before it goes on alone.
    std::thread::sleep(Duration::from_secs(2));
    for nav in ["first", "second"] {
        load(&browser, &bench.site, nav);
    }
    let requests = bench.site.requests();
    let headers: Vec<_> = requests.iter().map(traceparent).collect();
    assert!(headers.len() >= 8);
    assert!(headers.iter().all(|header| header.trace_id == headers[0].trace_id && header.sampled()));
    let spans: std::collections::BTreeSet<_> = headers.iter().map(|header| &header.span_id).collect();
    assert_eq!(spans.len(), 2, "a span id per navigation");
}
