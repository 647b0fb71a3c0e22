//! The settings, typed, with the source of each value: defaults, then config.toml, then the environment, then options.
//!
//! [`table`] declares them. Each source yields [`assignment`]s, and [`Config::load`] applies them one after the other.

pub(crate) mod assignment;
#[cfg(test)]
mod docs_table;
mod edit;
pub(crate) mod export;
pub(crate) mod file;
mod propagation;
pub(crate) mod setting;
pub(crate) mod show;
mod stored;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::base::environment::{self, RUN_COLLECTOR, RUN_SOCKET};
use crate::base::failure::{ExitCode, Failure};
use crate::context::mode::ModeSetting;
use crate::context::policy::{Incognito, Policy, Scope};

use crate::export::options::{Endpoint, ExportOptions, RunIdentity};
use crate::settings::assignment::{Assignment, FILE, Source};
use crate::settings::export::raw::RawExport;
use crate::settings::file::ConfigFile;
pub(crate) use crate::settings::propagation::PARENT;
use crate::settings::setting::Setting;
pub(crate) use crate::settings::table::{BROWSER, EXTENSION, RUN_ID};
use crate::view::link::LinkTemplate;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// The browser to start: a path, or a name on `PATH`.
    pub(crate) browser: Option<PathBuf>,
    /// A folder to load as the extension instead of the embedded one.
    pub(crate) extension: Option<PathBuf>,
    /// The longest that a browser start waits for the extension to be armed.
    pub(crate) arm_timeout: Duration,
    pub(crate) mode: ModeSetting,
    /// Whether navigation timing and web vitals of pages are measured.
    pub(crate) web_vitals: bool,
    pub(crate) link: Option<LinkTemplate>,
    pub(crate) log: LevelFilter,
    run_id: Option<String>,
    run_attempt: Option<u32>,
    pub(crate) policy: Policy,
    /// How Incognito windows of a browser of the user's own are treated.
    pub(crate) incognito: Incognito,
    pub(crate) export: ExportOptions,
    /// Sentences about ignored values. OpenTelemetry's specification wants its own invalid values ignored.
    pub(crate) warnings: Vec<String>,
    /// config.toml, which need not exist; none without a home directory.
    pub(crate) file: Option<ConfigFile>,
    raw_export: RawExport,
    raw_policy: propagation::RawPolicy,
    /// Why a part of the value that was read last is ignored.
    ignored_part: Option<String>,
    /// The text and source of each setting that has a value, by name.
    values: BTreeMap<&'static str, (OsString, Source)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            browser: None,
            extension: None,
            arm_timeout: Duration::from_secs(5),
            mode: ModeSetting::default(),
            web_vitals: false,
            link: None,
            log: LevelFilter::WARN,
            run_id: None,
            run_attempt: None,
            policy: Policy::default(),
            incognito: Incognito::Headers,
            export: RawExport::default().options(),
            warnings: Vec::new(),
            file: None,
            raw_export: RawExport::default(),
            raw_policy: propagation::RawPolicy::default(),
            ignored_part: None,
            values: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Reads the settings of this process. `flags` are those of the command line.
    pub(crate) fn load(flags: &[(&'static Setting, OsString)]) -> Result<Self, Failure> {
        let file = ConfigFile::locate(std::env::var_os(FILE));
        let mut assignments = file.as_ref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        assignments.extend(assignment::environment(std::env::vars_os())?);
        assignments.extend(by_flags(flags));
        let mut config = Self { file, ..Self::of(assignments)? };
        if let Some(endpoint) = config.export.endpoint.as_mut().filter(|_| is_collector_of_run()) {
            endpoint.unusable = None;
            endpoint.run = environment::path(RUN_SOCKET);
        }
        Ok(config)
    }

    /// Returns the policy of a browser that exports as configured.
    pub(crate) fn browser_policy(&self) -> Policy {
        let collector = self.export.endpoint.as_ref().map(Endpoint::page_addresses).unwrap_or_default();
        Policy { collector, ..self.policy.clone() }
    }

    /// Applies assignments in order; each wins over those before it.
    fn of(assignments: impl IntoIterator<Item = Assignment>) -> Result<Self, Failure> {
        let mut config = Self::default();
        let mut ignored = Vec::new();
        let mut unusable = BTreeMap::new();
        for assignment in assignments {
            let read = assignment.setting.read(&mut config, &assignment.text, assignment.items.as_deref());
            let (is_read, name) = (read.is_ok(), assignment.setting.name);
            if let Some(reason) = read.err().or(config.ignored_part.take()) {
                if assignment.is_strict() {
                    let message = format!("{} can't be used: {reason}", assignment.shown());
                    return Err(Failure::new(ExitCode::Usage, message));
                }
                if assignment.setting.is_needed {
                    unusable.insert(name, format!("{} can't be used: {reason}", assignment.place()));
                    continue;
                }
                let warning = if is_read {
                    format!("{}: {reason}", assignment.place())
                } else {
                    format!("{} is ignored: {reason}", assignment.shown())
                };
                ignored.push((assignment.setting, warning));
            }
            if is_read {
                unusable.remove(name);
                config.values.insert(assignment.setting.name, (assignment.text, assignment.source));
            }
        }
        config.export = config.raw_export.options();
        // A setting for traces wins, so the one for all signals does no harm then.
        let is_used = |name: &str| !config.values.contains_key(export::traces_name(name).as_str());
        if let (Some(endpoint), Some((_, reason))) =
            (&mut config.export.endpoint, unusable.iter().find(|(name, _)| is_used(name)))
        {
            endpoint.unusable = Some(reason.clone());
            endpoint.is_default &= !unusable.keys().any(|name| export::is_endpoint(name));
        }
        config.warnings = config.raw_policy.complete(&mut config.policy);
        let of_trace = config.policy.run_context().map(|context| context.trace_id.to_string());
        config.export.run = RunIdentity {
            id: config.run_id.clone().or(of_trace),
            attempt: config.run_attempt,
            linked: config.policy.linked.clone(),
        };
        let exports = config.export.endpoint.is_some();
        // Without an export, settings of the collector have no effect anyway.
        let matters = |setting: &Setting| exports || !export::is_for_export_only(setting.name);
        let warnings = ignored.into_iter().filter(|(setting, _)| matters(setting));
        config.warnings.extend(warnings.map(|(_, warning)| warning));
        Ok(config)
    }

    /// Fails if spans are exported and a setting makes that impossible.
    pub(crate) fn check_export(&self) -> Result<(), Failure> {
        match self.unusable_export() {
            Some(reason) => Err(Failure::new(ExitCode::Usage, reason)),
            None => Ok(()),
        }
    }

    /// Returns the setting that makes the export impossible, and why.
    pub(crate) fn unusable_export(&self) -> Option<&str> {
        self.export.endpoint.as_ref()?.unusable.as_deref()
    }

    /// Returns where the value of a setting comes from.
    pub(crate) fn source(&self, name: &str) -> &Source {
        self.values.get(name).map_or(&Source::Default, |(_, source)| source)
    }

    /// Returns a setting as its variable or option has it, which processes of other programs may read too.
    pub(crate) fn text_in_environment(&self, name: &str) -> Option<&OsStr> {
        let (text, source) = self.values.get(name)?;
        matches!(source, Source::Environment(_) | Source::Flag(_)).then_some(text)
    }

    /// Returns the policy for a browser that neither navtrace nor a test client has started.
    pub(crate) fn policy_of_own_browser(&self) -> Policy {
        let is_scope_chosen = *self.source(propagation::SCOPE) != Source::Default;
        let scope = if is_scope_chosen { self.policy.scope } else { Scope::Navigation };
        Policy { scope, incognito: self.incognito, ..self.browser_policy() }
    }

    /// Returns the variables that give a child process the same settings: it gets no options and may have another working directory.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        let by_flag = self.values.iter().filter(|(_, (_, source))| matches!(source, Source::Flag(_)));
        let file = self.file.as_ref().filter(|file| file.is_named).map(|file| (FILE, file.path.as_os_str()));
        by_flag.map(|(name, (text, _))| (*name, text.as_os_str())).chain(file)
    }

    /// Reads an environment alone.
    #[cfg(test)]
    pub(crate) fn of_environment(variables: &[(&str, &str)]) -> Result<Self, Failure> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Self::of(assignment::environment(variables)?)
    }
}

/// Returns whether spans go to the collector of `navtrace run`, which needs neither headers nor a client's certificate.
fn is_collector_of_run() -> bool {
    let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    value(RUN_COLLECTOR).is_some_and(|address| value(export::ENDPOINT) == Some(address))
        && value(export::TRACES_ENDPOINT).is_none()
}

fn by_flags(flags: &[(&'static Setting, OsString)]) -> impl Iterator<Item = Assignment> {
    let set = flags.iter().filter(|(_, text)| !text.is_empty());
    set.map(|(setting, text)| Assignment::by_flag(setting, text))
}
