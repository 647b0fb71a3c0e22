//! `navtrace doctor`: tries every link of the chain and says of each how to mend it, then looks at what is installed for browsers that navtrace
//! does not start.

mod installed;
mod line;
mod page_load;

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode as ProcessExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::channel::frame;
use crate::channel::message::to_host::{Hello, ToHost};
use crate::cli::doctor::line::{Line, Mark};
use crate::cli::setting_flags::SettingFlags;
use crate::launch::{extension, find, start};
use crate::settings::Config;

/// Check every link from the browser to the header, and say how to mend what is broken
///
/// Loads a real page on loopback in the browser that `navtrace run` would use. Then looks at what is installed for the browsers that you start
/// yourself: which host is registered, whether the extension is loaded, what else may set the same headers, and which policies are in the way.
/// Exits with 0 only if nothing is broken: a hint or a warning is no failure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Look at this user data directory alone, such as one from `navtrace profile`, and load no page
    #[arg(long, value_name = "DIR")]
    user_data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// How long the host may take to answer.
const HOST_TIMEOUT: Duration = Duration::from_secs(5);

/// What one link's check found: what holds, or what is wrong and how to mend it.
type Finding = Result<String, String>;

/// Checks everything, or the user data directory that was named, and prints a line for each finding.
pub(super) fn doctor(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    let (mut lines, failure) = match &args.user_data_dir {
        Some(_) => (Vec::new(), None),
        None => chain(config),
    };
    lines.extend(installed::check(config, args.user_data_dir.as_deref()));
    super::print(&line::render(&lines))?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let whole = lines.iter().all(|line| line.mark != Mark::Fail);
    Ok(if whole { ExitCode::Success } else { ExitCode::Failure }.into())
}

/// Checks every link of the chain that the launcher makes, and says what kept the last ones from being checked.
fn chain(config: &Config) -> (Vec<Line>, Option<Failure>) {
    let mut findings = vec![("browser", browser(config)), ("extension", extension_files(config)), ("host", host())];
    let mut failure = None;
    if findings.iter().all(|(_, finding)| finding.is_ok()) {
        match page_load::check(config) {
            Ok(found) => findings.extend(found),
            Err(error) => failure = Some(error),
        }
    } else {
        let not_tried = || Err("not tried: mend what stands above first".to_owned());
        findings.extend(page_load::LINKS.map(|link| (link, not_tried())));
    }
    let line = |(link, finding): (&'static str, Finding)| match finding {
        Ok(sentence) => Line::new(Mark::Ok, link, sentence),
        Err(sentence) => Line::new(Mark::Fail, link, sentence),
    };
    (findings.into_iter().map(line).collect(), failure)
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
    let binary = start::this_binary().map_err(|failure| failure.to_string())?;
    let version = ask_host(&binary)
        .map_err(|error| format!("{} did not answer as the host: {error}; install navtrace again", binary.display()))?;
    Ok(format!("navtrace {version} starts and answers"))
}

/// Starts the host as Chromium does, says hello, and returns the version in its answer.
fn ask_host(binary: &PathBuf) -> Result<String, String> {
    let mut child = Command::new(binary)
        .arg(extension::ORIGIN)
        // The shell may have one of them from `navtrace env`.
        .env_remove(environment::GATE_SOCKET)
        .env_remove(environment::LATCHED_PROFILE)
        .env_remove(environment::RUN_SOCKET)
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
