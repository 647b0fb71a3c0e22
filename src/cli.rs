//! The command line, one file per subcommand. Only this file prints the failure that ends the process, and picks its exit code.

#![allow(clippy::doc_markdown, reason = "doc comments of arguments are help texts, which show backticks as they are")]

mod check;
mod collect;
mod compare;
mod completions;
mod config;
mod doctor;
mod env;
mod flush;
mod host;
mod install;
mod install_args;
mod launch;
mod man;
mod profile;
mod run;
mod setting_flags;
mod uninstall;
mod view;

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode as ProcessExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use serde::Serialize;

use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::launch::{flags, latch, names};
use crate::run::browser_variables;
use crate::settings::Config;
use crate::settings::setting::Setting;

/// Trace context on every request of a browser test, with no change to the test.
///
/// `navtrace run -- k6 run script.js` is the main job: every browser that k6 starts carries a W3C `traceparent` on every request it
/// makes, one trace per iteration.
#[derive(Debug, Parser)]
#[command(
    name = "navtrace",
    version,
    after_help = "Settings come from config.toml, the environment and options, of which the last wins: `navtrace config` shows them, and \
                  `navtrace config --help` what each means."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Launch(launch::Args),
    Profile(profile::Args),
    Env(env::Args),
    Host(host::Args),
    Doctor(doctor::Args),
    Flush(flush::Args),
    Collect(collect::Args),
    View(view::Args),
    Check(check::Args),
    Compare(compare::Args),
    Config(config::Args),
    Install(install::Args),
    Uninstall(uninstall::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// The settings that the command line sets. Some commands take none: `launch` passes its arguments to Chromium, which starts `host`.
    fn flags(&self) -> &[(&'static Setting, OsString)] {
        match self {
            Self::Launch(_)
            | Self::Host(_)
            | Self::Profile(_)
            | Self::Install(_)
            | Self::Uninstall(_)
            | Self::Compare(_)
            | Self::Completions(_)
            | Self::Man(_) => &[],
            Self::Env(args) => args.flags.given(),
            Self::Run(args) => args.flags.given(),
            Self::Doctor(args) => args.flags.given(),
            Self::Flush(args) => args.flags.given(),
            Self::Collect(args) => args.flags.given(),
            Self::View(args) => args.flags.given(),
            Self::Check(args) => args.flags.given(),
            Self::Config(args) => args.flags.given(),
        }
    }
}

/// How this program was called.
#[derive(Debug, PartialEq, Eq)]
enum Invocation {
    /// As the browser, with Chromium's arguments.
    Browser(Vec<OsString>),
    /// By Chromium as the native messaging host, with the extension's origin.
    Host(OsString),
    /// As the command line.
    CommandLine,
}

impl Invocation {
    fn with(args: &[OsString]) -> Self {
        // The origin counts more than the name: some systems start a host that was registered through the link by the link's name.
        if let Some(first) = args.get(1)
            && first.as_encoded_bytes().starts_with(b"chrome-extension://")
        {
            return Self::Host(first.clone());
        }
        match args.split_first() {
            Some((name, args)) if names::is_browser(Path::new(name)) => {
                let is_shell = names::is_headless_shell(Path::new(name).file_name());
                Self::Browser(if is_shell { flags::headless(args) } else { args.to_vec() })
            }
            _ => Self::CommandLine,
        }
    }
}

/// Runs navtrace with the arguments of a process, the program's name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ProcessExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let invocation = Invocation::with(&args);
    if matches!(invocation, Invocation::Browser(_)) {
        browser_variables::restore(&args[0]);
    }
    let command = match invocation {
        Invocation::Browser(args) => Command::Launch(launch::Args { args }),
        Invocation::Host(origin) => Command::Host(host::Args { origin: Some(origin) }),
        Invocation::CommandLine => match Cli::try_parse_from(args) {
            Ok(cli) => cli.command,
            Err(error) => {
                // An error while printing can't be reported anywhere.
                let _ = error.print();
                return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Success }.into();
            }
        },
    };
    let is_host = matches!(command, Command::Host(_));
    execute(command).unwrap_or_else(|failure| {
        say(&failure.to_string());
        if is_host {
            // A latched browser's client must not wait for a host that has failed.
            latch::release_without_host();
        }
        failure.exit.into()
    })
}

/// Returns the definition of the command line, of which completions and man pages are made.
fn definition() -> clap::Command {
    Cli::command()
}

/// Writes to standard output, with colours if standard output shows them. A reader that stops reading is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(ExitCode::Failure, "standard output can't be written").because(error))
        }
        _ => Ok(()),
    }
}

/// Returns a document of texts and numbers as JSON for people and programs.
fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap_or_else(|_| unreachable!("texts and numbers are JSON")) + "\n"
}

fn execute(command: Command) -> Result<ProcessExitCode, Failure> {
    let config = Config::load(command.flags())?;
    start_log(&config);
    match command {
        Command::Run(args) => run::run(&config, &args),
        Command::Launch(args) => Err(launch::launch(&config, &args)),
        Command::Profile(args) => profile::profile(&args),
        Command::Env(args) => env::env(&config, &args),
        Command::Host(args) => host::host(&config, &args),
        Command::Doctor(args) => doctor::doctor(&config, &args),
        Command::Flush(_) => flush::flush(&config),
        Command::Collect(args) => collect::collect(&config, &args),
        Command::View(args) => view::view(&config, &args),
        Command::Check(args) => check::check(&config, &args),
        Command::Compare(args) => compare::compare(&args),
        Command::Config(args) => config::config(&config, &args),
        Command::Install(args) => install::install(&config, &args),
        Command::Uninstall(args) => uninstall::uninstall(&config, &args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
    }
}

/// Sends the log to standard error, since standard output belongs to commands and frames.
fn start_log(config: &Config) {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(config.log)
        .with_ansi(false)
        .log_internal_errors(false)
        .without_time()
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_name_and_the_first_argument_choose_the_role() {
        let invocation = |args: &[&str]| Invocation::with(&args.iter().map(OsString::from).collect::<Vec<_>>());
        let origin = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";
        assert_eq!(invocation(&["navtrace", origin]), Invocation::Host(origin.into()));
        assert_eq!(invocation(&["navtrace-chromium", origin]), Invocation::Host(origin.into()));
        assert_eq!(
            invocation(&["/usr/bin/navtrace-chromium", "--headless"]),
            Invocation::Browser(vec!["--headless".into()])
        );
        assert_eq!(invocation(&["chromium", "--headless=old"]), Invocation::Browser(vec!["--headless=old".into()]));
        let shell = "/run/chromium_headless_shell-1/chrome-headless-shell-linux64/chrome-headless-shell";
        for (args, expected) in [
            (&[shell, "http://a/"][..], &["--headless", "http://a/"][..]),
            (&[shell, "--headless", "--mute-audio"], &["--headless", "--mute-audio"]),
            (&["headless_shell", "--headless=old", "--x"], &["--headless", "--x"]),
        ] {
            assert_eq!(invocation(args), Invocation::Browser(expected.iter().map(OsString::from).collect()));
        }
        assert_eq!(invocation(&["navtrace", "run"]), Invocation::CommandLine);
        assert_eq!(invocation(&[]), Invocation::CommandLine);
    }
}
