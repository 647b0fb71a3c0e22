//! A setting's value as a user wrote it, and where: in config.toml, the environment or an option.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::base::suggest::nearest;
use crate::context::sampler;
use crate::settings::setting::{NAVTRACE_PREFIX, Secret, Setting};
use crate::settings::table;

/// Names the config file.
pub(crate) const FILE: &str = "NAVTRACE_CONFIG";

/// Ends the message about an unknown name.
pub(super) const SEE_HELP: &str = "navtrace config --help lists all settings";

/// Where a value comes from. Each source wins over those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    /// The path of config.toml.
    File(PathBuf),
    /// The variable.
    Environment(&'static str),
    /// The option, without dashes.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Environment(_) => f.write_str("environment"),
            Self::Flag(flag) => write!(f, "flag --{flag}"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) setting: &'static Setting,
    pub(super) text: OsString,
    /// The items of a TOML array, which may contain commas.
    pub(super) items: Option<Vec<String>>,
    pub(super) source: Source,
    /// The place as a message names it: a variable, an option, or a line of config.toml.
    place: String,
    /// The same with the value.
    written: String,
}

impl Assignment {
    pub(super) fn in_environment(setting: &'static Setting, text: OsString) -> Self {
        let written = format!("{}={}", setting.name, text.display());
        let source = Source::Environment(setting.name);
        Self { setting, text, items: None, source, place: setting.name.to_owned(), written }
    }

    pub(super) fn by_flag(setting: &'static Setting, text: &OsStr) -> Self {
        let flag = setting.flag.unwrap_or_default();
        let written = format!("--{flag} {}", text.display());
        let source = Source::Flag(flag);
        Self { setting, text: text.to_owned(), items: None, source, place: format!("--{flag}"), written }
    }

    pub(super) fn in_file(
        setting: &'static Setting,
        (text, items): (String, Option<Vec<String>>),
        path: &Path,
        place: String,
        written: String,
    ) -> Self {
        Self { setting, text: text.into(), items, source: Source::File(path.to_owned()), place, written }
    }

    /// Returns whether an invalid value is an error. OpenTelemetry wants its invalid variables ignored, but options are navtrace's.
    pub(super) fn is_strict(&self) -> bool {
        self.setting.is_ours() || matches!(self.source, Source::Flag(_))
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Returns how a message about an invalid value names it: without the value where that may be secret.
    pub(super) fn shown(&self) -> &str {
        if self.setting.secret == Secret::Nothing { &self.written } else { &self.place }
    }
}

/// Reads the settings in an environment. An unknown variable with navtrace's prefix is an error.
pub(super) fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Assignment>, Failure> {
    let mut variables: Vec<_> = variables.filter(|(_, value)| !value.is_empty()).collect();
    variables.sort();
    let known = || table::all().map(|setting| setting.name).chain([FILE]);
    let internal = environment::INTERNAL;
    for (name, _) in &variables {
        let Some(rest) = name.as_encoded_bytes().strip_prefix(NAVTRACE_PREFIX.as_bytes()) else { continue };
        if !known().chain(internal).any(|known| name == known) {
            // Compare without the shared prefix.
            let rest = String::from_utf8_lossy(rest).to_ascii_uppercase();
            let nearest = nearest(&rest, known().filter_map(|name| name.strip_prefix(NAVTRACE_PREFIX)));
            let hint = nearest.map_or_else(
                || format!("; {SEE_HELP}"),
                |nearest| format!(": did you mean {NAVTRACE_PREFIX}{nearest}?"),
            );
            return Err(Failure::new(ExitCode::Usage, format!("{} is not a setting{hint}", name.display())));
        }
    }
    let value = |name: &str| {
        let index = variables.binary_search_by(|(known, _)| known.as_os_str().cmp(OsStr::new(name))).ok()?;
        Some(variables[index].1.clone())
    };
    let of = |setting: &'static Setting| {
        let replaced = if setting.name == sampler::SETTING { value(environment::RUN_SAMPLER) } else { None };
        replaced.or_else(|| value(setting.name)).map(|text| Assignment::in_environment(setting, text))
    };
    Ok(table::all().filter_map(of).collect())
}
