//! Checks the start of a browser by navtrace: the browser, the extension's files, the host, and a page load.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::base::environment;
use crate::base::failure::Failure;
use crate::base::threads;
use crate::channel::frame;
use crate::channel::message::to_host::{Hello, ToHost};
use crate::context::mode::ModeSetting;
use crate::doctor::{CheckStatus, DoctorOptions, Finding, page_load};
use crate::launch::find::{self, FoundBrowser};
use crate::launch::{extension, machine, start};

/// Time for the host's answer.
const HOST_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the checks in order. Also returns the failure, if any, that kept the page load from being tried.
pub(crate) fn check(options: &DoctorOptions) -> (Vec<Finding>, Option<Failure>) {
    let browser = find::find(options.browser.as_deref()).map_err(|failure| failure.to_string());
    let described = browser.as_ref().map_err(Clone::clone).and_then(describe);
    let is_usable = described.is_ok();
    let mut findings = vec![Finding::of("browser", described)];
    let warnings = browser.iter().flat_map(|browser| browser.warnings.iter().cloned()).chain(find::remote_browsers());
    findings.extend(warnings.map(|sentence| Finding::new(CheckStatus::Warn, "browser", sentence)));
    findings.push(match machine::missing_sandbox() {
        Some(reason) => {
            Finding::new(CheckStatus::Warn, "sandbox", format!("{reason}: navtrace starts it with --no-sandbox"))
        }
        None => Finding::new(CheckStatus::Ok, "sandbox", "navtrace leaves it on"),
    });
    let results = match options.mode {
        ModeSetting::Worker(_) => [("extension", extension_files(options)), ("host", host(options))],
        ModeSetting::Static => [
            ("extension", Ok("written for each start: static mode".to_owned())),
            ("host", Ok("not checked: static mode has no worker and needs no host".to_owned())),
        ],
    };
    let is_ready = is_usable && results.iter().all(|(_, result)| result.is_ok());
    findings.extend(results.into_iter().map(|(subject, result)| Finding::of(subject, result)));
    let (Ok(browser), true) = (browser, is_ready) else {
        let not_tried = || Err("not tried: fix the problems above first".to_owned());
        findings.extend(page_load::SUBJECTS.map(|subject| Finding::of(subject, not_tried())));
        return (findings, None);
    };
    match page_load::check(options, &browser.path) {
        Ok(found) => {
            findings.extend(found);
            (findings, None)
        }
        Err(failure) => (findings, Some(failure)),
    }
}

/// Describes a browser by its version and path, and says why it is this one.
fn describe(browser: &FoundBrowser) -> Result<String, String> {
    let FoundBrowser { path, reason, .. } = browser;
    let version = find::version(path).ok_or_else(|| {
        format!("{} printed no version: is it a Chromium? Set NAVTRACE_BROWSER to the path of one", path.display())
    })?;
    Ok(format!("{version} at {}, {reason}", path.display()))
}

fn extension_files(options: &DoctorOptions) -> Result<String, String> {
    let folder = extension::provide(options.extension.as_deref()).map_err(|failure| failure.to_string())?;
    Ok(format!("{} in {}", extension::ID, folder.display()))
}

fn host(options: &DoctorOptions) -> Result<String, String> {
    let binary = start::this_binary().map_err(|failure| failure.to_string())?;
    let version = ask_host(&binary, options)
        .map_err(|error| format!("{} did not answer as the host: {error}; install navtrace again", binary.display()))?;
    Ok(format!("navtrace {version} starts and answers"))
}

/// Starts the host as Chromium does, says hello, and returns the version in the answer.
fn ask_host(binary: &Path, options: &DoctorOptions) -> Result<String, String> {
    let mut command = Command::new(binary);
    // The shell may have these, for example from `navtrace env`.
    for variable in environment::INTERNAL {
        command.env_remove(variable);
    }
    let mut child = command
        .arg(extension::ORIGIN)
        // Among them is the one that switches the export off, so that the host can be killed.
        .envs(options.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let answer = say_hello(&mut child);
    // The child is not yet reaped, so its id is still its own. After the answer it has nothing left to do.
    let _ = child.kill();
    let _ = child.wait();
    let answer: Value = serde_json::from_slice(&answer?).map_err(|error| error.to_string())?;
    let version = answer["host"].as_str().ok_or_else(|| format!("it sent {answer}"))?;
    Ok(version.to_owned())
}

/// Sends a hello message and returns the body of the answer.
fn say_hello(child: &mut Child) -> Result<Vec<u8>, String> {
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("it has no standard streams".to_owned());
    };
    let hello = ToHost::Hello(Hello {
        extension: env!("CARGO_PKG_VERSION").to_owned(),
        off_the_record: true,
        session: None,
        browser: None,
    });
    frame::write(&mut input, &hello.encode()).map_err(|error| error.to_string())?;
    let (sender, receiver) = mpsc::channel();
    threads::start("host", move || {
        let mut body = Vec::new();
        let answer = match frame::read(&mut output, &mut body) {
            Ok(true) => Ok(body),
            Ok(false) => Err("it ended without an answer".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        // After the timeout there is no receiver.
        let _ = sender.send(answer);
    })
    .map_err(|failure| failure.to_string())?;
    receiver.recv_timeout(HOST_TIMEOUT).map_err(|_| format!("it was silent for {HOST_TIMEOUT:?}"))?
}
