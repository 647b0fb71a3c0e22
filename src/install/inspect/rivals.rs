//! Other extensions whose files mention the headers that navtrace sets: what two extensions set, one of them loses.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::files;
use crate::install::inspect::profile::{Extension, Origin, Profile};
use crate::launch::extension;

/// What only somebody who sets or reads trace context mentions. B3's single header is called `b3`, which says nothing.
const HEADERS: [&str; 3] = ["traceparent", "x-b3-traceid", "uber-trace-id"];

/// What may set headers: code, and rules.
const KINDS: [&str; 3] = ["js", "mjs", "json"];

/// The most of one extension that is read, in bytes.
const LIMIT: u64 = 16 * 1024 * 1024;

/// The most files and folders of one extension that are looked at.
const MOST_ENTRIES: usize = 5_000;

/// An extension that may set the same headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rival {
    /// Its id.
    pub(crate) id: String,
    /// What it is called, else its id.
    pub(crate) name: String,
    /// The header that it mentions.
    pub(crate) header: &'static str,
}

/// Finds the rivals among the extensions of a profile that are on.
pub(crate) fn find(profile: &Profile) -> Vec<Rival> {
    let others = profile
        .extensions
        .iter()
        .filter(|other| other.id != extension::ID && other.off.is_empty() && other.origin != Origin::Component);
    let rival = |other: &Extension| {
        let folder = other.path.as_deref()?;
        let header = mentioned(folder)?;
        let name = other.name.clone().or_else(|| manifest_name(folder));
        let name = name.and_then(|name| translated(folder, name)).unwrap_or_else(|| other.id.clone());
        Some(Rival { id: other.id.clone(), name, header })
    };
    others.filter_map(rival).collect()
}

/// Finds the first of the headers that a file in a folder mentions, as far as its files are read.
fn mentioned(folder: &Path) -> Option<&'static str> {
    let mut left = LIMIT;
    let mut entries = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut files: Vec<(PathBuf, u64)> = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries > MOST_ENTRIES {
                break;
            }
            // Of the entry itself: a link is neither.
            match entry.metadata() {
                Ok(data) if data.is_dir() && entry.file_name() != "_locales" => folders.push(entry.path()),
                Ok(data) if data.is_file() && is_of_a_kind(&entry.path()) => files.push((entry.path(), data.len())),
                _ => {}
            }
        }
        // Small ones first, so that one that is too large keeps no other from being read.
        files.sort_by_key(|(_, length)| *length);
        for (path, _) in files {
            let Ok(mut bytes) = files::read(&path, left) else { continue };
            left -= bytes.len() as u64;
            bytes.make_ascii_lowercase();
            if let Some(header) = HEADERS.iter().find(|header| contains(&bytes, header.as_bytes())) {
                return Some(header);
            }
        }
    }
    None
}

fn is_of_a_kind(path: &Path) -> bool {
    path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known)))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    let Some((first, rest)) = word.split_first() else { return true };
    let starts = text.iter().enumerate().filter(|(_, byte)| *byte == first).map(|(at, _)| at + 1);
    starts.into_iter().any(|at| text[at..].starts_with(rest))
}

fn manifest_name(folder: &Path) -> Option<String> {
    let manifest = files::read_json(&folder.join("manifest.json"), LIMIT).ok()??;
    manifest["name"].as_str().map(str::to_owned)
}

/// Reads a name that stands in the extension's messages, in its default language.
fn translated(folder: &Path, name: String) -> Option<String> {
    let Some(key) = name.strip_prefix("__MSG_").and_then(|name| name.strip_suffix("__")) else { return Some(name) };
    let manifest = files::read_json(&folder.join("manifest.json"), LIMIT).ok()??;
    let language = manifest["default_locale"].as_str().filter(|language| !language.contains(['/', '.']))?;
    let messages = files::read_json(&folder.join("_locales").join(language).join("messages.json"), LIMIT).ok()??;
    let (_, message) = messages.as_object()?.iter().find(|(known, _)| known.eq_ignore_ascii_case(key))?;
    message["message"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn write(path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn extension(id: &str, path: &Path) -> Extension {
        let origin = Origin::Unpacked;
        Extension {
            id: id.into(),
            path: Some(path.into()),
            origin,
            off: BTreeSet::new(),
            off_the_record: true,
            name: None,
        }
    }

    fn found(extensions: Vec<Extension>) -> Vec<(String, String, &'static str)> {
        let profile = Profile { name: "Default".into(), developer_mode: true, extensions, problem: None };
        find(&profile).into_iter().map(|rival| (rival.id, rival.name, rival.header)).collect()
    }

    #[test]
    fn who_mentions_a_header_in_code_or_rules_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| dir.path().join(name);
        write(folder("a/manifest.json"), r#"{"name":"__MSG_Title__","default_locale":"en"}"#);
        write(folder("a/_locales/en/messages.json"), r#"{"title":{"message":"Otel for all"}}"#);
        write(folder("a/lib/deep/rules.json"), r#"[{"action":{"requestHeaders":[{"header":"TraceParent"}]}}]"#);
        write(folder("b/main.MJS"), "h['X-B3-TraceId'] = 1");
        write(folder("c/notes.md"), "traceparent");
        write(folder("c/worker.js"), "traceparen; x-b3; tracestate");
        write(folder("d/worker.js"), "uber-trace-id");
        let mut off = extension("d", &folder("d"));
        off.off.insert(1);
        let mut component = extension("e", &folder("d"));
        component.origin = Origin::Component;
        let mut known = extension("f", &folder("d"));
        known.name = Some("__MSG_gone__".into());
        let own = extension(extension::ID, &folder("a"));
        let all = vec![extension("a", &folder("a")), extension("b", &folder("b")), extension("c", &folder("c"))];
        let all = all.into_iter().chain([off, component, known, own, extension("g", &folder("gone"))]).collect();
        let rival = |id: &str, name: &str, header| (id.to_owned(), name.to_owned(), header);
        assert_eq!(
            found(all),
            [
                rival("a", "Otel for all", "traceparent"),
                rival("b", "b", "x-b3-traceid"),
                rival("f", "f", "uber-trace-id")
            ]
        );
    }

    #[test]
    fn what_is_read_is_bounded_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a");
        let large = " ".repeat(usize::try_from(LIMIT).unwrap() + 1) + "traceparent";
        write(folder.join("large.js"), &large);
        std::os::unix::fs::symlink(&folder, folder.join("loop")).unwrap();
        write(dir.path().join("outside.js"), "traceparent");
        std::os::unix::fs::symlink(dir.path().join("outside.js"), folder.join("link.js")).unwrap();
        assert_eq!(found(vec![extension("a", &folder)]), []);
        write(folder.join("small.js"), "traceparent");
        assert_eq!(found(vec![extension("a", &folder)]).len(), 1);
    }
}
