//! Changes single values in config.toml and keeps everything else as the user wrote it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, RawString, TableLike, Value, table};

use crate::base::failure::{ExitCode, Failure};
use crate::base::suggest::nearest;
use crate::base::{file_lock, files};
use crate::channel::message::setting::SettingValue;
use crate::settings::assignment::{FILE, SEE_HELP};
use crate::settings::file::{self, ConfigFile};
use crate::settings::setting::{Read, Setting};
use crate::settings::{Config, table};

/// A setting and its new value; `None` removes the key.
type Change<'a> = (&'static Setting, Option<&'a SettingValue>);

/// Writes values to the file, all or none of them.
pub(super) fn store(file: Option<&ConfigFile>, values: &BTreeMap<String, Option<SettingValue>>) -> Result<(), Failure> {
    let changes = changes(values)?;
    let file = file.ok_or_else(|| {
        Failure::new(
            ExitCode::Failure,
            format!("there is no home directory to store settings in: set HOME, or name a file with {FILE}"),
        )
    })?;
    let failed = |action: &str, error: io::Error| {
        Failure::new(ExitCode::Failure, format!("{} can't be {action}", file.path.display()))
            .because(error)
            .hint(format!("fix that, or name another file with {FILE}"))
    };
    // It may be a link, for instance into a repository of dotfiles: write to where it points.
    let path = match fs::canonicalize(&file.path) {
        Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(&file.path).is_err() => {
            if changes.iter().all(|(_, value)| value.is_none()) {
                return Ok(());
            }
            if let Some(folder) = file.path.parent() {
                files::make_directory(folder).map_err(|error| failed("written", error))?;
            }
            file.path.clone()
        }
        path => path.map_err(|error| failed("read", error))?,
    };
    // Two writers at once would undo each other's change.
    let _lock = path.parent().and_then(lock);
    let before = match fs::metadata(&path) {
        Ok(data) if !data.is_file() => return Err(failed("written", io::Error::other("it is not a file"))),
        Ok(data) if data.permissions().readonly() => {
            return Err(failed("written", io::Error::other("it is read-only")));
        }
        Ok(data) => Some(data.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read", error)),
    };
    let text = match &before {
        Some(_) => fs::read_to_string(&path).map_err(|error| failed("read", error))?,
        None => String::new(),
    };
    let edited = edited(&file.path, &text, &changes)?;
    if edited == text {
        return Ok(());
    }
    files::write_if_changed(&path, edited.as_bytes()).map_err(|error| failed("written", error))?;
    before.map_or(Ok(()), |before| fs::set_permissions(&path, before)).map_err(|error| failed("written", error))
}

/// Locks the folder until the returned file is dropped. Returns `None` where folders can't be locked, as on NFS.
fn lock(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    file_lock::lock(&file).is_ok().then_some(file)
}

/// Looks the settings up and checks each value by itself.
fn changes(values: &BTreeMap<String, Option<SettingValue>>) -> Result<Vec<Change<'_>>, Failure> {
    let refused = |message| Failure::new(ExitCode::Usage, message);
    let changes = values.iter().map(|(key, value)| {
        let found = table::all().find(|setting| setting.path().as_deref() == Some(key));
        let setting = found.ok_or_else(|| refused(unknown(key)))?;
        if let Some(value) = value {
            check(setting, value).map_err(|reason| refused(format!("{key} can't be used: {reason}")))?;
        }
        // Everywhere settings are read, an empty value counts as unset.
        Ok((setting, value.as_ref().filter(|value| !value.read(setting).0.is_empty())))
    });
    changes.collect()
}

fn unknown(key: &str) -> String {
    let paths: Vec<_> = table::all().filter_map(Setting::path).collect();
    match nearest(key, paths.iter().map(String::as_str)) {
        Some(nearest) => format!("{key} is not a setting: did you mean {nearest}?"),
        None => format!("{key} is not a setting; {SEE_HELP}"),
    }
}

/// Checks a value. A value of OpenTelemetry's that would be ignored is refused too.
fn check(setting: &Setting, value: &SettingValue) -> Result<(), String> {
    match (&setting.read, value) {
        (Read::Switch(_), SettingValue::List(_)) => return Err("expected true or false".to_owned()),
        (Read::Switch(_) | Read::List(_), _) | (_, SettingValue::Text(_)) => (),
        _ => return Err("expected a text".to_owned()),
    }
    let (text, items) = value.read(setting);
    if text.is_empty() {
        return Ok(());
    }
    let mut config = Config::default();
    setting.read(&mut config, OsStr::new(&text), items.as_deref())?;
    config.ignored_part.map_or(Ok(()), Err)
}

/// Returns the changed text, after checking that it can be read.
fn edited(path: &Path, text: &str, changes: &[Change]) -> Result<String, Failure> {
    // A file that can't be read gets the same message as when settings are loaded.
    let current = file::parse(path, text)?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        Failure::new(ExitCode::Usage, format!("{}: this is not TOML: {}", path.display(), error.message()))
    })?;
    for (setting, value) in changes {
        let Some((name, key)) = setting.key() else { continue };
        let before = current.iter().find(|assignment| assignment.setting.name == setting.name);
        if value.zip(before).is_some_and(|(value, before)| before.text == OsStr::new(&value.read(setting).0)) {
            continue;
        }
        match (name, value) {
            (None, value) => put(document.as_table_mut(), &key, *value),
            (Some(name), Some(value)) => {
                if let Some(inner) = document.entry(name).or_insert_with(table).as_table_like_mut() {
                    put(inner, &key, Some(value));
                }
            }
            (Some(name), None) => {
                let Some(inner) = document.get_mut(name).and_then(Item::as_table_like_mut) else { continue };
                put(inner, &key, None);
                let is_empty = inner.is_empty();
                let remark = document.get(name).and_then(Item::as_table).and_then(|table| table.decor().prefix());
                // A comment above the table would be removed with it.
                if is_empty && !remark.and_then(RawString::as_str).is_some_and(|remark| remark.contains('#')) {
                    document.remove(name);
                }
            }
        }
    }
    let after = document.to_string();
    let config = Config::of(file::parse(path, &after)?)?;
    if changes.iter().any(|(setting, value)| setting.is_needed && value.is_some()) {
        config.check_export()?;
    }
    Ok(after)
}

/// Sets, replaces or removes a value.
fn put(table: &mut dyn TableLike, key: &str, stored: Option<&SettingValue>) {
    let Some(stored) = stored else {
        table.remove(key);
        return;
    };
    let mut value = match stored {
        SettingValue::Switch(on) => Value::from(*on),
        SettingValue::Text(text) => Value::from(text.as_str()),
        SettingValue::List(items) => Value::from(items.iter().map(String::as_str).collect::<Array>()),
    };
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(before) => {
            // Keep the user's white space and comment around the value.
            *value.decor_mut() = before.decor().clone();
            *before = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

#[cfg(test)]
mod tests;
