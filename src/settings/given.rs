//! A value as somebody gave it, and where.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::settings::setting::{OURS, Secret, Setting};
use crate::settings::{table, value};

/// Names the file of settings.
pub(crate) const FILE: &str = "NAVTRACE_CONFIG";

/// Where whoever meets an unknown name finds the known ones.
pub(super) const SEE: &str = "navtrace config --help lists those that there are";

/// Where a value comes from; each wins over those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody gave one.
    Default,
    /// This config.toml.
    File(PathBuf),
    /// This environment variable.
    Environment(&'static str),
    /// This option, without its dashes.
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

/// A value that was given to a setting.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    pub(super) text: OsString,
    /// The items of a list that was written as one, since they may hold commas.
    pub(super) items: Option<Vec<String>>,
    pub(super) source: Source,
    /// The place of it as a sentence names it, without and with the value.
    place: String,
    assignment: String,
}

impl Given {
    /// One of an environment variable.
    pub(super) fn in_environment(setting: &'static Setting, text: OsString) -> Self {
        let assignment = format!("{}={}", setting.name, text.display());
        let source = Source::Environment(setting.name);
        Self { setting, text, items: None, source, place: setting.name.to_owned(), assignment }
    }

    /// One of an option.
    pub(super) fn by_flag(setting: &'static Setting, text: &OsStr) -> Self {
        let flag = setting.flag.unwrap_or_default();
        let assignment = format!("--{flag} {}", text.display());
        let source = Source::Flag(flag);
        Self { setting, text: text.to_owned(), items: None, source, place: format!("--{flag}"), assignment }
    }

    /// One of a file, with the place and the assignment that is written there.
    pub(super) fn in_file(
        setting: &'static Setting,
        (text, items): (String, Option<Vec<String>>),
        path: &Path,
        place: String,
        assignment: String,
    ) -> Self {
        Self { setting, text: text.into(), items, source: Source::File(path.to_owned()), place, assignment }
    }

    /// Whether it must be of use: OpenTelemetry wants its own to be ignored otherwise, but options are navtrace's.
    pub(super) fn must_be_of_use(&self) -> bool {
        self.setting.is_ours() || matches!(self.source, Source::Flag(_))
    }

    /// Where it stands.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// What a sentence calls it when it could not be read.
    pub(super) fn name(&self) -> &str {
        if self.setting.secret == Secret::Nothing { &self.assignment } else { &self.place }
    }
}

/// Reads an environment.
pub(super) fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Given>, Failure> {
    let mut variables: Vec<_> = variables.filter(|(_, value)| !value.is_empty()).collect();
    variables.sort();
    let known = || table::all().map(|setting| setting.name).chain([FILE]);
    let internal = environment::INTERNAL;
    for (name, _) in &variables {
        let Some(rest) = name.as_encoded_bytes().strip_prefix(OURS.as_bytes()) else { continue };
        if !known().chain(internal).any(|known| name == known) {
            // What all have in common makes nobody alike.
            let rest = String::from_utf8_lossy(rest).to_ascii_uppercase();
            let nearest = value::nearest(&rest, known().filter_map(|name| name.strip_prefix(OURS)));
            let hint = nearest.map_or_else(|| format!("; {SEE}"), |nearest| format!(": did you mean {OURS}{nearest}?"));
            return Err(Failure::new(ExitCode::Usage, format!("{} is not a setting{hint}", name.display())));
        }
    }
    let of = |setting: &'static Setting| {
        let index = variables.binary_search_by(|(name, _)| name.as_os_str().cmp(OsStr::new(setting.name))).ok()?;
        Some(Given::in_environment(setting, variables[index].1.clone()))
    };
    Ok(table::all().filter_map(of).collect())
}
