//! `navtrace doctor`: tries every link of the chain and says of each how to mend it.

mod page_load;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode as ProcessExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::settings::Flags;
use crate::browser::{extension, find, process};
use crate::channel::frame;
use crate::channel::message::{Hello, ToHost};
use crate::config::Config;
use crate::failure::{ExitCode, Failure};

/// Check every link from the browser to the header, and say how to mend what is broken
///
/// Loads a real page on loopback in the browser that `navtrace run` would use. Exits with 0 only if every link holds.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) flags: Flags,
}

/// How long the host may take to answer.
const HOST_TIMEOUT: Duration = Duration::from_secs(5);

/// What one link's check found: what holds, or what is wrong and how to mend it.
type Finding = Result<String, String>;

/// Checks every link and prints a line for each.
pub(super) fn doctor(config: &Config) -> Result<ProcessExitCode, Failure> {
    let mut findings = vec![("browser", browser(config)), ("extension", extension_files(config)), ("host", host())];
    if findings.iter().all(|(_, finding)| finding.is_ok()) {
        findings.extend(page_load::check(config)?);
    } else {
        let not_tried = || Err("not tried: mend what stands above first".to_owned());
        findings.extend(page_load::LINKS.map(|link| (link, not_tried())));
    }
    let whole = findings.iter().all(|(_, finding)| finding.is_ok());
    print(&findings)
        .map_err(|error| Failure::new(ExitCode::Failure, format!("the findings can't be printed: {error}")))?;
    Ok(if whole { ExitCode::Success } else { ExitCode::Failure }.into())
}

fn print(findings: &[(&str, Finding)]) -> io::Result<()> {
    let mut text = String::new();
    for (link, finding) in findings {
        let (mark, sentence) = match finding {
            Ok(sentence) => ("ok  ", sentence),
            Err(sentence) => ("FAIL", sentence),
        };
        let _ = writeln!(text, "{mark}  {link:<15}  {sentence}");
    }
    io::stdout().write_all(text.as_bytes())
}

fn browser(config: &Config) -> Finding {
    let path = find::find(config.browser.as_deref()).map_err(|error| error.to_string())?;
    let version = find::version(&path).ok_or_else(|| {
        format!(
            "{} does not tell its version: is it a Chromium? Set NAVTRACE_BROWSER to the path of one",
            path.display()
        )
    })?;
    Ok(format!("{version} at {}", path.display()))
}

fn extension_files(config: &Config) -> Finding {
    let folder = extension::provide(config.extension.as_deref()).map_err(|error| error.to_string())?;
    Ok(format!("{} in {}", extension::ID, folder.display()))
}

fn host() -> Finding {
    let binary = process::this_binary().map_err(|failure| failure.message)?;
    let version = ask_host(&binary)
        .map_err(|error| format!("{} did not answer as the host: {error}; install navtrace again", binary.display()))?;
    Ok(format!("navtrace {version} starts and answers"))
}

/// Starts the host as Chromium does, says hello, and returns the version in its answer.
fn ask_host(binary: &PathBuf) -> Result<String, String> {
    let mut child = Command::new(binary)
        .arg(extension::ORIGIN)
        .env_remove(crate::browser::gate::VARIABLE)
        .env_remove(crate::report::VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let answer = converse(&mut child);
    // It is our own child and not yet reaped. After its answer it has nothing left to do.
    let _ = child.kill();
    let _ = child.wait();
    let answer: Value = serde_json::from_slice(&answer?).map_err(|error| error.to_string())?;
    let version = answer["host"].as_str().ok_or_else(|| format!("it sent {answer}"))?;
    Ok(version.to_owned())
}

fn converse(child: &mut Child) -> Result<Vec<u8>, String> {
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
    std::thread::spawn(move || {
        let mut body = Vec::new();
        let read = match frame::read(&mut output, &mut body) {
            Ok(true) => Ok(body),
            Ok(false) => Err("it ended without an answer".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        // Nobody waits any more once the time was up.
        let _ = sender.send(read);
    });
    let timed_out = |_| format!("it was silent for {HOST_TIMEOUT:?}");
    receiver.recv_timeout(HOST_TIMEOUT).map_err(timed_out)?
}
