//! Static mode: a browser with rules that never change, for load. It has no worker, no host and no gate.
//!
//! The launcher issues the session's context and writes an extension of two files for this one start: a manifest, and rules that put the context
//! on every request. Chromium loads such rules with its start, before clients open their first page, so nothing is held back. A process beside
//! the browser waits for its end, then exports the session's root span and removes what was temporary.

mod regex_size;
mod rules;
mod watcher;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustix::pipe::PipeFlags;

use crate::base::environment;
use crate::base::failure::Failure;
use crate::base::files::{self, Readers};
use crate::base::process::Process;
use crate::base::temporary::TemporaryDirectory;
use crate::context::issuer::{Issuer, SessionContext};
use crate::context::policy::{Existing, Policy, SamplePer, Scope};
use crate::context::propagator::Propagator;
use crate::export::options::ExportOptions;
use crate::export::queue::ExportedSession;
use crate::launch::extension;
use crate::launch::find::started;
use crate::launch::flags::{self, AddedFlags};
use crate::launch::fork::{self, Side};
use crate::launch::names;
use crate::launch::start::{self, LaunchOptions};
use crate::launch::static_mode::watcher::Watcher;
use crate::launch::watch::BrowserWatch;

/// Switches by which Chromium prints something and exits, without a session.
const PRINTING: [&str; 4] = ["version", "product-version", "help", "h"];

/// The settings of a start in static mode.
pub(crate) struct StaticOptions {
    pub(crate) launch: LaunchOptions,
    pub(crate) policy: Policy,
    /// Whether the user wants pages to be measured, which nothing does here.
    pub(crate) web_vitals: bool,
    pub(crate) export: ExportOptions,
    pub(crate) reports: Arc<dyn SessionReports>,
}

/// Receives what becomes of the session, for `navtrace run`.
pub(crate) trait SessionReports: Send + Sync + 'static {
    /// The browser has started. Its rules put the session's context on requests some 0.2 s after it begins to answer.
    fn started(&self, session: SessionContext);
    /// The browser has ended, and its root span is sent or kept.
    fn ended(&self, session: &ExportedSession);
    /// The user should know of a problem.
    fn problem(&self, problem: &str);
}

/// Returns whether a client starts the browser only to make it print something. There is no session then.
pub(crate) fn prints_only(args: &[OsString]) -> bool {
    PRINTING.iter().any(|name| flags::has(args, name))
}

/// A browser that is ready to start.
pub(crate) struct StaticBrowser {
    browser: PathBuf,
    args: Vec<OsString>,
    policy: Policy,
    session: SessionContext,
    extension_dir: TemporaryDirectory,
    temporary_profile: Option<TemporaryDirectory>,
    sweeps: bool,
    export: ExportOptions,
    reports: Arc<dyn SessionReports>,
}

impl StaticBrowser {
    /// Finds the browser, issues the session's context, and prepares extension and profile for a client's arguments.
    pub(crate) fn prepare(options: StaticOptions, args: &[OsString]) -> Result<Self, Failure> {
        let StaticOptions { launch, policy, web_vitals, export, reports } = options;
        let browser = launch.find_browser()?;
        for problem in without_effect(&launch, &policy, web_vitals) {
            launch.tell(problem);
        }
        // Only the session as a whole has a trace and a sampling decision.
        let policy = Policy { scope: Scope::Session, sample_per: SamplePer::Trace, ..policy };
        let session = Issuer::start(policy.clone()).session();
        let (rules, problems) = rules::rules(&policy, session);
        for problem in problems {
            launch.tell(&problem);
        }
        let extension_dir = start::create("the extension's directory", || {
            let dir = TemporaryDirectory::create("static")?;
            files::write(&dir.path().join(rules::RULES_FILE), rules.to_string().as_bytes(), Readers::User)?;
            let manifest = rules::manifest(&extension::own_manifest());
            files::write(&dir.path().join("manifest.json"), manifest.to_string().as_bytes(), Readers::User)?;
            Ok(dir)
        })?;
        let hint = "set TMPDIR to a folder without a comma";
        extension::check_path("the extension's directory", extension_dir.path(), hint)?;
        let temporary_profile = launch.prepare_profile(args, None)?;
        let added = AddedFlags {
            extension_dir: extension_dir.path(),
            granted_id: None,
            user_data_dir: temporary_profile.as_ref().map(TemporaryDirectory::path),
            machine: &launch.machine_switches(args),
            port: None,
            adds_port: false,
        };
        let args = flags::rewrite(args, &added);
        let sweeps = !launch.is_under_run;
        Ok(Self { browser, args, policy, session, extension_dir, temporary_profile, sweeps, export, reports })
    }

    /// Becomes the browser, with the watcher beside it. Returns only if that failed.
    ///
    /// Must be called while this process has only one thread, because it forks.
    pub(crate) fn exec(self) -> Failure {
        let browser = self.browser.clone();
        if let Err(failure) = fork::ensure_single_thread() {
            return failure;
        }
        match self.fork_watcher() {
            Err(error) => start::cannot_fork(&browser, error),
            Ok((mut command, has_failed)) => {
                let error = command.exec();
                // The watcher learns from this byte that there was no browser.
                let _ = rustix::io::write(&has_failed, b"!");
                start::cannot_execute(&browser, error)
            }
        }
    }

    /// Forks the watcher. Returns the browser's command, which this process is to become, and the pipe by which the watcher learns that this
    /// failed. The browser does not inherit the pipe.
    fn fork_watcher(self) -> io::Result<(Command, OwnedFd)> {
        let (executed, has_failed) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let mut command = Command::new(&self.browser);
        command
            .args(&self.args)
            .envs([started::variable(&self.browser)])
            .envs(names::search_path_without_links())
            .env_remove(environment::GATE_SOCKET);
        let watcher = Watcher {
            watch: BrowserWatch::this_process(),
            browser: Process::this(),
            executed,
            session: self.session,
            parent: self.policy.parent,
            extension_dir: self.extension_dir,
            temporary_profile: self.temporary_profile,
            sweeps: self.sweeps,
            export: self.export,
            reports: self.reports,
        };
        match fork::fork()? {
            Side::Beside => {
                drop((command, has_failed));
                watcher.run();
                std::process::exit(0)
            }
            Side::Launcher => {
                watcher.leave();
                Ok((command, has_failed))
            }
        }
    }
}

/// Returns a sentence for each setting of the user that static mode cannot follow.
fn without_effect(launch: &LaunchOptions, policy: &Policy, web_vitals: bool) -> Vec<&'static str> {
    let problems = [
        (
            matches!(policy.scope(), Scope::Tab | Scope::Navigation),
            "NAVTRACE_SCOPE has no effect in static mode: the whole session is one trace; use lightweight or detailed mode",
        ),
        (
            policy.sample_per() == SamplePer::Navigation,
            "NAVTRACE_SAMPLE_PER=navigation has no effect in static mode: a session is sampled as a whole; use lightweight or detailed mode",
        ),
        (
            policy.existing == Existing::Keep,
            "NAVTRACE_EXISTING=keep has no effect in static mode on the headers that navtrace sets: those of pages are overridden; use detailed mode",
        ),
        (
            policy.propagators.contains(&Propagator::Baggage)
                && !policy.baggage.is_empty()
                && policy.targets.is_empty(),
            "BAGGAGE has no effect in static mode without targets, since nothing tells a script's own hosts from others; use NAVTRACE_TARGETS",
        ),
        (
            web_vitals,
            "NAVTRACE_WEB_VITALS has no effect in static mode: there are no spans of navigations; use lightweight or detailed mode",
        ),
        (
            launch.extension.is_some(),
            "NAVTRACE_EXTENSION has no effect in static mode, which has an extension of its own; use lightweight or detailed mode",
        ),
    ];
    problems.into_iter().filter_map(|(holds, problem)| holds.then_some(problem)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_only_prints_is_known() {
        for (args, expected) in [
            (vec!["--version"], true),
            (vec!["--headless", "--product-version"], true),
            (vec!["--headless", "http://a/?--version"], false),
            (vec!["--", "--version"], false),
        ] {
            let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
            assert_eq!(prints_only(&args), expected, "{args:?}");
        }
    }

    #[test]
    fn settings_without_effect_are_told() {
        let launch = LaunchOptions {
            browser: None,
            extension: None,
            arm_timeout: std::time::Duration::ZERO,
            is_under_run: false,
            report_problem: |_| true,
        };
        assert_eq!(without_effect(&launch, &Policy::default(), false), [""; 0]);
        let policy = Policy {
            scope: Scope::Tab,
            sample_per: SamplePer::Navigation,
            existing: Existing::Keep,
            baggage: "k=v".to_owned(),
            ..Policy::default()
        };
        let launch = LaunchOptions { extension: Some("/x".into()), ..launch };
        let told = without_effect(&launch, &policy, true);
        assert_eq!(told.len(), 6);
        assert!(told.iter().all(|problem| problem.contains(" no effect in static mode") && problem.contains("; use ")));
    }
}
