//! Finds and reads config.toml.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use toml::de::{DeTable, DeValue, Error};

use crate::base::failure::{ExitCode, Failure};
use crate::base::suggest::nearest;
use crate::settings::assignment::{Assignment, FILE, SEE_HELP};
use crate::settings::setting::{Read, Setting};
use crate::settings::table;

/// The table of OpenTelemetry's settings.
const OTEL: &str = "otel";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    /// Whether the user named it.
    pub(crate) is_named: bool,
    pub(crate) exists: bool,
}

impl ConfigFile {
    /// Finds the `named` file, or else the user's.
    pub(crate) fn locate(named: Option<OsString>) -> Option<Self> {
        if let Some(named) = named.filter(|name| !name.is_empty()) {
            let path = PathBuf::from(named);
            // Child processes may have another working directory.
            let path = std::path::absolute(&path).unwrap_or(path);
            return Some(Self { path, is_named: true, exists: true });
        }
        let path = ProjectDirs::from("dev", "navtrace", "navtrace")?.config_dir().join("config.toml");
        // A file that can't be seen counts as missing: in containers HOME may be another user's.
        let exists = fs::metadata(&path).is_ok();
        Some(Self { path, is_named: false, exists })
    }

    /// Reads the assignments; none if the file does not exist.
    pub(super) fn read(&self) -> Result<Vec<Assignment>, Failure> {
        if !self.exists {
            return Ok(Vec::new());
        }
        let path = self.path.display();
        let text = fs::read_to_string(&self.path).map_err(|error| {
            let error =
                if error.kind() == ErrorKind::InvalidData { "it is not UTF-8".to_owned() } else { error.to_string() };
            let (what, hint) = if self.is_named {
                (format!("{FILE}={path}"), "name a file that you may read, or unset it".to_owned())
            } else {
                (format!("{path} can't be read"), format!("fix that, or name another file with {FILE}"))
            };
            Failure::new(ExitCode::Usage, what).because(error).hint(hint)
        })?;
        parse(&self.path, &text)
    }
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Assignment>, Failure> {
    let document = ConfigText { path, text };
    let (table, errors) = DeTable::parse_recoverable(text);
    let start = |error: &Error| error.span().map_or(0, |span| span.start);
    // Later errors are often consequences of the first.
    if let Some(error) = errors.iter().min_by_key(|error| start(error)) {
        let reason = error.message().replace('\n', ", ");
        return Err(document.failure(start(error), &format!("this is not TOML: {reason}")));
    }
    let mut given = document.table(None, table.get_ref())?;
    given.sort_by_key(|(start, _)| *start);
    Ok(given.into_iter().map(|(_, given)| given).collect())
}

/// The text being read, for messages that name a line.
struct ConfigText<'a> {
    path: &'a Path,
    text: &'a str,
}

impl ConfigText<'_> {
    /// Reads a table. Each assignment comes with the byte offset of its key.
    fn table(&self, name: Option<&'static str>, table: &DeTable) -> Result<Vec<(usize, Assignment)>, Failure> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut all = Vec::new();
        for (key, value) in entries {
            let start = key.span().start;
            let written_key = self.text.get(key.span()).unwrap_or_default();
            let key = key.get_ref().as_ref();
            if (name, key) == (None, OTEL) {
                let DeValue::Table(table) = value.get_ref() else {
                    let sentence = format!("{OTEL} is a table: write [{OTEL}], and its settings below");
                    return Err(self.failure(start, &sentence));
                };
                all.extend(self.table(Some(OTEL), table)?);
                continue;
            }
            let found =
                table::all().find(|setting| setting.key().is_some_and(|(table, of)| table == name && of == key));
            let setting = found.ok_or_else(|| self.failure(start, &unknown(name, key, written_key)))?;
            let written = self.text.get(value.span()).unwrap_or_default().lines().next().unwrap_or_default();
            let place = format!("{}: {key}", self.place(start));
            let assignment = format!("{place} = {written}");
            let value = read(setting, value.get_ref()).map_err(|expected| {
                // The message shows no value: secrets are texts, and a text has the right type.
                Failure::new(ExitCode::Usage, format!("{place} can't be used: {expected}"))
            })?;
            if !value.0.is_empty() {
                all.push((start, Assignment::in_file(setting, value, self.path, place, assignment)));
            }
        }
        Ok(all)
    }

    /// Returns `path:line:column`.
    fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}", self.path.display())
    }

    fn failure(&self, offset: usize, sentence: &str) -> Failure {
        Failure::new(ExitCode::Usage, format!("{}: {sentence}", self.place(offset)))
    }
}

/// Returns the value as text, with the items of a list. The error says what was expected.
fn read(setting: &Setting, value: &DeValue) -> Result<(String, Option<Vec<String>>), &'static str> {
    let one = |value: &DeValue| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            Some(decimal.map_or_else(|_| number.to_string(), |number| number.to_string()))
        }
        DeValue::Float(number) => Some(number.to_string()),
        _ => None,
    };
    match (&setting.read, value) {
        (Read::Switch(_), DeValue::Boolean(on)) => Ok((setting.switch(*on).to_owned(), None)),
        (Read::Switch(_), value) => one(value).map(|text| (text, None)).ok_or("expected true or false"),
        (Read::List(_), DeValue::Array(array)) => {
            let items: Option<Vec<String>> = array.iter().map(|item| one(item.get_ref())).collect();
            let items = items.ok_or("expected texts in quotes in the list")?;
            Ok((items.join(","), Some(items)))
        }
        (Read::List(_), value) => one(value).map(|text| (text, None)).ok_or("expected a list of texts in quotes"),
        (_, value) => one(value).map(|text| (text, None)).ok_or("expected a text in quotes"),
    }
}

/// Returns the message about an unknown key.
fn unknown(table: Option<&'static str>, key: &str, written: &str) -> String {
    let plain = key.to_ascii_lowercase().replace('-', "_");
    let plain = plain.strip_prefix("navtrace_").or_else(|| plain.strip_prefix("otel_")).unwrap_or(&plain);
    let keys: Vec<_> = table::all().filter_map(Setting::key).collect();
    let within =
        |table: Option<&'static str>| keys.iter().filter(move |(of, _)| *of == table).map(|(_, key)| key.as_str());
    let elsewhere = if table.is_none() { Some(OTEL) } else { None };
    let hint = if within(elsewhere).any(|known| known == plain) {
        let place = if table.is_none() { "in the table [otel]" } else { "above every table" };
        format!(": did you mean {plain} {place}?")
    } else {
        // A misspelled [otel] is a top-level key too.
        let tables = Some(OTEL).filter(|_| table.is_none());
        match nearest(plain, within(table).chain(tables)) {
            Some(nearest) => format!(": did you mean {nearest}?"),
            None => format!("; {SEE_HELP}"),
        }
    };
    let inside = table.map_or_else(String::new, |table| format!(" in [{table}]"));
    format!("{written} is not a setting{inside}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let failure = parse(Path::new("/c.toml"), text).unwrap_err();
        assert_eq!(failure.exit, ExitCode::Usage);
        failure.to_string()
    }

    #[test]
    fn values_are_texts_numbers_and_switches() {
        let text = "mode = \"detailed\"\nweb_vitals = true\nlink = ''\n[otel]\nsdk_disabled = false\nbsp_max_queue_size = 0x1_0\n\
                    exporter_otlp_headers = [\"a=1\", \"b=2\"]\nresource_attributes = 'a=1'";
        let given = parse(Path::new("/c.toml"), text).unwrap();
        let texts: Vec<_> = given.iter().map(|given| (given.setting.name, given.text.to_str().unwrap())).collect();
        assert_eq!(
            texts,
            [
                ("NAVTRACE_MODE", "detailed"),
                ("NAVTRACE_WEB_VITALS", "on"),
                ("OTEL_SDK_DISABLED", "false"),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2"),
                ("OTEL_RESOURCE_ATTRIBUTES", "a=1"),
            ]
        );
    }

    #[test]
    fn errors_name_line_and_column() {
        for (text, sentence) in [
            ("\nmdoe = 'auto'", "/c.toml:2:1: mdoe is not a setting: did you mean mode?"),
            ("NAVTRACE_MODE = 'auto'", "/c.toml:1:1: NAVTRACE_MODE is not a setting: did you mean mode?"),
            ("color = 'red'", "/c.toml:1:1: color is not a setting; navtrace config --help lists all settings"),
            (
                "service_name = 'shop'",
                "/c.toml:1:1: service_name is not a setting: did you mean service_name in the table [otel]?",
            ),
            (
                "[otel]\nmode = 'auto'",
                "/c.toml:2:1: mode is not a setting in [otel]: did you mean mode above every table?",
            ),
            (
                "[otel]\n  sevice_name = 'shop'",
                "/c.toml:2:3: sevice_name is not a setting in [otel]: did you mean service_name?",
            ),
            ("[otle]\n", "/c.toml:1:2: otle is not a setting: did you mean otel?"),
            ("'' = 5", "/c.toml:1:1: '' is not a setting; navtrace config --help lists all settings"),
            ("otel.x = 5", "/c.toml:1:6: x is not a setting in [otel]; navtrace config --help lists all settings"),
            ("otel = 5", "/c.toml:1:1: otel is a table: write [otel], and its settings below"),
            ("mode = true", "/c.toml:1:1: mode can't be used: expected a text in quotes"),
            ("mode = ['auto']", "/c.toml:1:1: mode can't be used: expected a text in quotes"),
            ("link = 2026-11-28", "/c.toml:1:1: link can't be used: expected a text in quotes"),
            ("web_vitals = {}", "/c.toml:1:1: web_vitals can't be used: expected true or false"),
            (
                "[otel]\nresource_attributes = true",
                "/c.toml:2:1: resource_attributes can't be used: expected a list of texts in quotes",
            ),
            (
                "[otel]\nresource_attributes = [true]",
                "/c.toml:2:1: resource_attributes can't be used: expected texts in quotes in the list",
            ),
            ("mode = 'ä'\nmode = 'auto'", "/c.toml:2:1: this is not TOML: duplicate key"),
        ] {
            assert_eq!(refused(text), sentence);
        }
        let words = refused("mode = \"auto\nlog = 5");
        assert!(words.starts_with("/c.toml:1:"), "{words}");
        let words = refused("link = 'ä'\nmode = auto");
        assert!(words.starts_with("/c.toml:2:8: this is not TOML: "), "{words}");
    }
}
