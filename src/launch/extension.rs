//! The extension that this binary carries, and where Chromium can load it from.

mod bundle;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;
use serde_json::Value;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files::{self, Readers};

/// The extension's id. The `key` in its manifest fixes it: the first 16 bytes of the key's SHA-256, with `a` to `p` for the hex digits.
pub(crate) const ID: &str = "aalhdoofknlgjgclnnkjbegphicaohme";

/// The origin by which Chromium names the extension to its host.
pub(crate) const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";

/// The worker's entry, as the manifest names it.
const WORKER: &str = "service-worker.js";

/// The most that a file of the extension has, wherever it was loaded from.
const LIMIT: u64 = 16 * 1024 * 1024;

#[derive(RustEmbed)]
#[folder = "extension/"]
#[exclude = "*.d.ts"]
struct Embedded;

/// Why there is no extension to load.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtensionError {
    /// The folder that was named is not there or can't be read.
    #[error("NAVTRACE_EXTENSION={}: {source}; name a folder that holds the extension, or unset it to use the one that navtrace carries", .folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The folder that was named holds something else.
    #[error("NAVTRACE_EXTENSION={}: {reason}; name a folder that holds the extension, or unset it to use the one that navtrace carries", .folder.display())]
    Broken {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The embedded extension could not be unpacked.
    #[error("the extension can't be unpacked into {}: {source}; free some space there, or set XDG_CACHE_HOME to a folder that you may write to", .folder.display())]
    Unpack {
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// There is no home to unpack it into. A shared temporary directory will not do: its files could be somebody else's.
    #[error("the extension can't be unpacked, because there is no home directory: set HOME or XDG_CACHE_HOME")]
    NoCache,
    /// Chromium separates the extensions of `--load-extension` with commas.
    #[error("the extension's folder {} has a comma in its path, where Chromium would split it; choose another folder with NAVTRACE_EXTENSION or XDG_CACHE_HOME", .0.display())]
    Comma(PathBuf),
}

impl From<ExtensionError> for Failure {
    fn from(error: ExtensionError) -> Self {
        Self::new(ExitCode::Failure, error)
    }
}

/// Gives the folder that Chromium shall load: `named`, checked, or the embedded extension, unpacked and verified.
///
/// # Errors
///
/// An [`ExtensionError`] that names the folder.
pub(crate) fn provide(named: Option<&Path>) -> Result<PathBuf, ExtensionError> {
    let folder = if let Some(folder) = named {
        check(folder)?
    } else {
        let files = embedded();
        let folder = cache_folder(&files)?;
        unpack(&files, &folder, Readers::User, &mut Vec::new())
            .map_err(|source| ExtensionError::Unpack { folder: folder.clone(), source })?;
        folder
    };
    if folder.as_os_str().as_encoded_bytes().contains(&b',') {
        return Err(ExtensionError::Comma(folder));
    }
    Ok(folder)
}

/// The permissions that the extension needs.
pub(crate) fn permissions() -> Vec<String> {
    let manifest: Value =
        Embedded::get("manifest.json").and_then(|file| serde_json::from_slice(&file.data).ok()).unwrap_or_default();
    let permissions = manifest["permissions"].as_array().into_iter().flatten();
    permissions.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What is in a folder that Chromium loaded the extension from, held against the extension that this binary carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// The same. The worker's modules may stand in files of their own.
    Same,
    /// An extension of another version, which is named.
    Version(String),
    /// This version with other files, of which one is named.
    Changed(String),
    /// Something else, and what.
    Broken(String),
}

/// Holds a folder against the extension that this binary carries.
pub(crate) fn compare(folder: &Path) -> Content {
    if let Err(error) = check(folder) {
        return Content::Broken(match error {
            ExtensionError::Broken { reason, .. } => reason,
            ExtensionError::Unreadable { source, .. } => source.to_string(),
            error => error.to_string(),
        });
    }
    let manifest = files::read(&folder.join("manifest.json"), LIMIT).unwrap_or_default();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
    let version = manifest["version"].as_str().unwrap_or_default();
    if version != env!("CARGO_PKG_VERSION") {
        return Content::Version(version.to_owned());
    }
    let differs = |(name, linked): &(&String, &String)| {
        let there = files::read(&folder.join(name), LIMIT).ok();
        let raw = Embedded::get(name).map(|file| file.data.into_owned());
        there.is_none() || (there.as_deref() != Some(linked.as_bytes()) && there != raw)
    };
    embedded().iter().find(differs).map_or(Content::Same, |(name, _)| Content::Changed(name.clone()))
}

/// The folder of this very content: binaries of different builds never change each other's files.
fn cache_folder(files: &BTreeMap<String, String>) -> Result<PathBuf, ExtensionError> {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    let cache = cache_directory().ok_or(ExtensionError::NoCache)?;
    let name = format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), hasher.finish());
    Ok(cache.join("extension").join(name))
}

/// navtrace's cache directory; `None` when the user has no home.
pub(crate) fn cache_directory() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("dev", "navtrace", "navtrace")?;
    Some(dirs.cache_dir().to_owned())
}

/// The embedded extension's files with their names, the worker's modules linked into the worker.
pub(crate) fn embedded() -> BTreeMap<String, String> {
    let files = Embedded::iter().filter_map(|name| {
        let file = Embedded::get(&name)?;
        Some((name.into_owned(), String::from_utf8_lossy(&file.data).into_owned()))
    });
    let mut files: BTreeMap<String, String> = files.collect();
    // Unlinked they do the same, only later; a test keeps it from coming to that.
    if let Some(worker) = bundle::link(&files, WORKER) {
        files.insert(WORKER.to_owned(), worker);
    }
    files
}

/// Names the files that are not in a folder as they should be.
pub(crate) fn differing<'a>(files: &'a BTreeMap<String, String>, folder: &Path, readers: Readers) -> Vec<&'a str> {
    let differ = |(name, content): &(&String, &String)| {
        !files::is_written(&folder.join(name.as_str()), content.as_bytes(), readers)
    };
    files.iter().filter(differ).map(|(name, _)| name.as_str()).collect()
}

/// Writes whatever differs from the files that a folder should have: nothing, when it is there and whole. Directories that were not there are
/// added to `made`.
pub(crate) fn unpack(
    files: &BTreeMap<String, String>,
    folder: &Path,
    readers: Readers,
    made: &mut Vec<PathBuf>,
) -> io::Result<()> {
    for name in differing(files, folder, readers) {
        let path = folder.join(name);
        files::make_directories(path.parent().unwrap_or(folder), readers, made)?;
        files::write(&path, files[name].as_bytes(), readers)?;
    }
    Ok(())
}

/// Checks that a folder holds this extension, as far as its manifest tells, and gives its canonical path.
///
/// # Errors
///
/// An [`ExtensionError`] that names the folder, as the value of `NAVTRACE_EXTENSION`.
pub(crate) fn check(folder: &Path) -> Result<PathBuf, ExtensionError> {
    let unreadable = |source| ExtensionError::Unreadable { folder: folder.into(), source };
    let broken = |reason: String| ExtensionError::Broken { folder: folder.into(), reason };
    let absolute = fs::canonicalize(folder).map_err(unreadable)?;
    let manifest = files::read(&absolute.join("manifest.json"), LIMIT).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => broken("it has no manifest.json".to_owned()),
        _ => unreadable(error),
    })?;
    let manifest: Value =
        serde_json::from_slice(&manifest).map_err(|error| broken(format!("its manifest.json is not JSON: {error}")))?;
    let own: Option<Value> = Embedded::get("manifest.json").and_then(|file| serde_json::from_slice(&file.data).ok());
    if manifest.get("key") != own.as_ref().and_then(|own| own.get("key")) {
        return Err(broken("its manifest.json has another key, so another id, than navtrace's extension".to_owned()));
    }
    let worker = manifest["background"]["service_worker"].as_str().unwrap_or_default();
    if worker.is_empty() || !absolute.join(worker).is_file() {
        return Err(broken("the service worker that its manifest.json names is missing".to_owned()));
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_id_follows_from_the_key() {
        let manifest: Value = serde_json::from_slice(&Embedded::get("manifest.json").unwrap().data).unwrap();
        let key = base64::engine::general_purpose::STANDARD.decode(manifest["key"].as_str().unwrap()).unwrap();
        let letter = |nibble: u8| char::from(b'a' + nibble);
        let id: String =
            Sha256::digest(key)[..16].iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect();
        assert_eq!(id, ID);
        assert_eq!(ORIGIN, format!("chrome-extension://{ID}/"));
    }

    #[test]
    fn the_extension_and_the_host_have_one_version() {
        let manifest: Value = serde_json::from_slice(&Embedded::get("manifest.json").unwrap().data).unwrap();
        assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn the_workers_modules_can_be_linked() {
        let worker = &embedded()[WORKER];
        assert!(!worker.lines().any(|line| line.starts_with("import ") || line.starts_with("export ")));
        let declared = worker.lines().filter_map(|line| {
            let declaration = line.strip_prefix("async ").unwrap_or(line);
            let (keyword, rest) = declaration.split_once(' ')?;
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
            ["class", "const", "function", "let"].contains(&keyword).then_some(name)
        });
        let mut names: Vec<&str> = declared.collect();
        assert!(names.contains(&"Session") && names.contains(&"lightweightRules"), "{names:?}");
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "names that two modules declare: {twice:?}");
    }

    #[test]
    fn unpacking_mends_what_was_changed_or_lost() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        let files = embedded();
        unpack(&files, &folder, Readers::User, &mut Vec::new()).unwrap();
        fs::write(folder.join("service-worker.js"), "evil()").unwrap();
        fs::remove_file(folder.join("manifest.json")).unwrap();
        unpack(&files, &folder, Readers::User, &mut Vec::new()).unwrap();
        for (name, content) in files {
            assert_eq!(fs::read_to_string(folder.join(&name)).unwrap(), content, "{name}");
        }
        assert_eq!(check(&folder).unwrap(), fs::canonicalize(&folder).unwrap());
    }

    #[test]
    fn a_folder_is_held_against_what_the_binary_carries() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        assert_eq!(compare(folder), Content::Broken("it has no manifest.json".to_owned()));
        assert_eq!(compare(&folder.join("gone")), Content::Broken("No such file or directory (os error 2)".to_owned()));
        // A pipe is not waited for.
        super::super::latch::set(folder).unwrap();
        fs::rename(super::super::latch::file(folder), folder.join("manifest.json")).unwrap();
        assert_eq!(compare(folder), Content::Broken("it is not a plain file".to_owned()));
        unpack(&embedded(), folder, Readers::User, &mut Vec::new()).unwrap();
        assert_eq!(compare(folder), Content::Same);
        assert_eq!(compare(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/extension"))), Content::Same);
        fs::write(folder.join("channel/port.js"), "evil()").unwrap();
        assert_eq!(compare(folder), Content::Changed("channel/port.js".to_owned()));
        let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
        let older = manifest.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"0.0.1\"");
        fs::write(folder.join("manifest.json"), older).unwrap();
        assert_eq!(compare(folder), Content::Version("0.0.1".to_owned()));
    }

    #[test]
    fn a_folder_that_is_missing_or_broken_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let reason = || {
            let message = provide(Some(folder)).unwrap_err().to_string();
            let start = format!("NAVTRACE_EXTENSION={}: ", folder.display());
            let end = "; name a folder that holds the extension, or unset it to use the one that navtrace carries";
            message.strip_prefix(&start).unwrap().strip_suffix(end).unwrap().to_owned()
        };
        assert_eq!(reason(), "it has no manifest.json");
        fs::write(folder.join("manifest.json"), "{").unwrap();
        assert_eq!(reason(), "its manifest.json is not JSON: EOF while parsing an object at line 1 column 1");
        fs::write(folder.join("manifest.json"), "{}").unwrap();
        assert_eq!(reason(), "its manifest.json has another key, so another id, than navtrace's extension");
        fs::write(folder.join("manifest.json"), Embedded::get("manifest.json").unwrap().data).unwrap();
        assert_eq!(reason(), "the service worker that its manifest.json names is missing");

        let missing = folder.join("missing");
        assert!(matches!(provide(Some(&missing)), Err(ExtensionError::Unreadable { .. })));
    }
}
