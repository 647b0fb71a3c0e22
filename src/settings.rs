//! The settings, typed, and where each value comes from: defaults, then config.toml, then the environment, then options.
//!
//! [`settings`] declares them. Whatever gives values gives them as [`given`] has them, and [`Config::load`] reads them one after the other.

mod edit;
pub(crate) mod export;
pub(crate) mod file;
pub(crate) mod given;
pub(crate) mod lasting;
mod propagation;
#[cfg(test)]
mod readme;
pub(crate) mod setting;
pub(crate) mod show;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::base::failure::{ExitCode, Failure};
use crate::context::mode::WantedMode;
use crate::context::policy::Policy;
use crate::export::options::ExportOptions;
use crate::settings::export::wanted::Wanted;
use crate::settings::file::ConfigFile;
use crate::settings::given::{FILE, Given, Source};
use crate::settings::setting::Setting;
pub(crate) use crate::settings::table::{BROWSER, EXTENSION};
use crate::view::link::LinkTemplate;

/// The settings of one process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// The browser to start: a path, or a name that is looked up in `PATH`.
    pub(crate) browser: Option<PathBuf>,
    /// A folder to load as the extension instead of the embedded one.
    pub(crate) extension: Option<PathBuf>,
    /// How long a browser start waits for the extension to be armed.
    pub(crate) arm_timeout: Duration,
    /// How requests get their headers.
    pub(crate) mode: WantedMode,
    /// Whether pages tell their navigation timing and web vitals.
    pub(crate) web_vitals: bool,
    /// A template for links to traces.
    pub(crate) link: Option<LinkTemplate>,
    /// How much navtrace says on standard error.
    pub(crate) log: LevelFilter,
    /// How contexts are made and carried.
    pub(crate) policy: Policy,
    /// How spans are exported.
    pub(crate) export: ExportOptions,
    /// What the user should know about settings that were ignored, as OpenTelemetry's specification wants it for its own names.
    pub(crate) warnings: Vec<String>,
    /// Where config.toml is, or would be; nowhere without a home.
    pub(crate) file: Option<ConfigFile>,
    wanted: Wanted,
    wanted_policy: propagation::Wanted,
    /// What is wrong with the value that was read last, of which the rest is taken.
    left_out: Option<String>,
    /// What was given to the settings of these names, as text.
    given: BTreeMap<&'static str, (OsString, Source)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            browser: None,
            extension: None,
            arm_timeout: Duration::from_secs(5),
            mode: WantedMode::default(),
            web_vitals: false,
            link: None,
            log: LevelFilter::WARN,
            policy: Policy::default(),
            export: Wanted::default().options(),
            warnings: Vec::new(),
            file: None,
            wanted: Wanted::default(),
            wanted_policy: propagation::Wanted::default(),
            left_out: None,
            given: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Reads the settings of this process, of which `flags` are those that the command line gives.
    pub(crate) fn load(flags: &[(&'static Setting, OsString)]) -> Result<Self, Failure> {
        let file = ConfigFile::locate(std::env::var_os(FILE));
        let mut given = file.as_ref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        given.extend(given::environment(std::env::vars_os())?);
        given.extend(by_flags(flags));
        Ok(Self { file, ..Self::of(given)? })
    }

    /// Reads values, of which each wins over those before it. An empty one counts as not given.
    fn of(given: impl IntoIterator<Item = Given>) -> Result<Self, Failure> {
        let mut config = Self::default();
        let mut ignored = Vec::new();
        for given in given {
            let read = given.setting.read(&mut config, &given.text, given.items.as_deref());
            let is_read = read.is_ok();
            if let Some(reason) = read.err().or(config.left_out.take()) {
                if given.must_be_of_use() {
                    let message = format!("{} can't be used: {reason}", given.name());
                    return Err(Failure::new(ExitCode::Usage, message));
                }
                let warning = if is_read {
                    format!("{}: {reason}", given.place())
                } else {
                    format!("{} is ignored: {reason}", given.name())
                };
                ignored.push((given.setting, warning));
            }
            if is_read {
                config.given.insert(given.setting.name, (given.text, given.source));
            }
        }
        config.export = config.wanted.options();
        config.warnings = config.wanted_policy.complete(&mut config.policy);
        let exports = config.export.endpoint.is_some();
        let of_interest = |setting: &Setting| exports || !export::is_for_export_only(setting.name);
        let of_interest = ignored.into_iter().filter(|(setting, _)| of_interest(setting));
        config.warnings.extend(of_interest.map(|(_, warning)| warning));
        Ok(config)
    }

    /// Where the value of the setting of this name comes from.
    pub(crate) fn source(&self, name: &str) -> &Source {
        self.given.get(name).map_or(&Source::Default, |(_, source)| source)
    }

    /// What processes are given whose settings should be these: options are not theirs, and they may start in another directory.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        let by_flag = self.given.iter().filter(|(_, (_, source))| matches!(source, Source::Flag(_)));
        let file = self.file.as_ref().filter(|file| file.is_named).map(|file| (FILE, file.path.as_os_str()));
        by_flag.map(|(name, (text, _))| (*name, text.as_os_str())).chain(file)
    }

    /// Reads an environment alone.
    #[cfg(test)]
    pub(crate) fn of_environment(variables: &[(&str, &str)]) -> Result<Self, Failure> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Self::of(given::environment(variables)?)
    }
}

/// Gives the values of options.
fn by_flags(flags: &[(&'static Setting, OsString)]) -> impl Iterator<Item = Given> {
    let given = flags.iter().filter(|(_, text)| !text.is_empty());
    given.map(|(setting, text)| Given::by_flag(setting, text))
}
