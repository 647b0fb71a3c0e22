//! `navtrace config`: shows every setting with its value and source.

use std::fmt::Write as _;
use std::process::ExitCode as ProcessExitCode;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::cli::setting_flags::{self, SettingFlags};
use crate::settings::Config;
use crate::settings::assignment::FILE;
use crate::settings::show::Shown;

/// Show every setting, its value, and where that comes from
///
/// A setting has its default, unless config.toml, the environment or an option gives another value; the last of these wins. Secrets are
/// shown as REDACTED.
#[derive(Debug, clap::Args)]
#[command(after_long_help = setting_flags::settings_without_flags())]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// Largest width of the column of values. Longer values push their source aside.
const MAX_WIDTH: usize = 50;

/// The output of `--json`.
#[derive(Serialize)]
struct ConfigJson {
    /// Path of config.toml, which may not exist.
    file: Option<String>,
    file_exists: bool,
    settings: Vec<Shown>,
}

pub(super) fn config(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for sentence in config.warnings.iter().map(String::as_str).chain(config.unusable_export()) {
        say(sentence);
    }
    let text = if args.json { json(config) } else { lines(config) };
    super::print(&text)?;
    Ok(ExitCode::Success.into())
}

fn lines(config: &Config) -> String {
    let shown: Vec<(Shown, String)> = config
        .shown()
        .map(|mut shown| {
            let value = shown.value.take().unwrap_or_else(|| shown.words.clone());
            (shown, value)
        })
        .collect();
    let names = shown.iter().map(|(shown, _)| shown.name.len()).max().unwrap_or_default();
    let values = shown.iter().map(|(_, value)| value.width()).filter(|width| *width <= MAX_WIDTH);
    let values = values.max().unwrap_or_default();
    let mut text = String::new();
    for (Shown { name, source, .. }, value) in shown {
        let space = " ".repeat(values.saturating_sub(value.width()));
        let _ = writeln!(text, "{name:<names$}  {value}{space}  {source}");
    }
    let file = match &config.file {
        Some(file) if file.exists => file.path.display().to_string(),
        Some(file) => format!("none (would be read from {})", file.path.display()),
        None => format!("none: there is no home directory; name a file with {FILE}"),
    };
    let _ = writeln!(text, "\nconfig file: {file}");
    text
}

fn json(config: &Config) -> String {
    let document = ConfigJson {
        file: config.file.as_ref().map(|file| file.path.display().to_string()),
        file_exists: config.file.as_ref().is_some_and(|file| file.exists),
        settings: config.shown().collect(),
    };
    super::json(&document)
}
