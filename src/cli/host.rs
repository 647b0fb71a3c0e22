//! `navtrace host`: the native messaging host, which Chromium starts for the extension.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode as ProcessExitCode;

use crate::base::environment::{self, RUN_K6_SPANS};
use crate::base::failure::Failure;
use crate::base::process::Process;
use crate::channel::host::{self, HostOptions, SettingsStore};
use crate::channel::message::setting::SettingValue;
use crate::channel::message::to_extension::ToExtension;
use crate::context::policy::Policy;
use crate::launch::latch;
use crate::settings::Config;

/// Answer the extension (started by Chromium, not by hand)
///
/// Chromium starts the host with the extension's origin as its first argument and talks to it in length-prefixed JSON on standard input
/// and output (PROTOCOL.md). `navtrace chrome-extension://ID/` is the same.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The origin that asks, chrome-extension://ID/
    pub(super) origin: Option<OsString>,
}

pub(super) fn host(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    host::check_origin(args.origin.as_deref())?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let policy = if latch::is_own_browser() { config.policy_of_own_browser() } else { config.browser_policy() };
    let is_started_by_k6 = is_started_by_k6();
    let options = HostOptions {
        policy: Policy { window_per_page: is_started_by_k6, ..policy },
        k6_spans: is_started_by_k6 && environment::path(RUN_K6_SPANS).is_some(),
        mode: config.mode,
        web_vitals: config.web_vitals,
        link: config.link.as_ref().map(|link| link.as_str().to_owned()),
        export: config.export.clone(),
        arm_timeout: config.arm_timeout,
    };
    host::serve(&options, config).map(Into::into)
}

/// Returns whether the browser belongs to k6, which opens each page in a window of its own.
fn is_started_by_k6() -> bool {
    // Builds with extensions are often named k6 and something.
    Process::name_of_ancestor(1).is_some_and(|name| name.starts_with("k6"))
}

impl SettingsStore for Config {
    fn read(&self) -> Result<ToExtension, Failure> {
        let config = Self::load(&[])?;
        let settings = config.stored()?;
        let exists = config.file.as_ref().is_some_and(|file| file.exists);
        Ok(ToExtension::Settings { file: config.file.map(|file| file.path.display().to_string()), exists, settings })
    }

    fn write(&self, values: &BTreeMap<String, Option<SettingValue>>) -> Result<(), Failure> {
        self.store(values)
    }
}
