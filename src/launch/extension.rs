//! The extension that this binary carries, and the folder that Chromium loads it from.

mod bundle;

use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rust_embed::RustEmbed;
use serde_json::Value;

use crate::base::directories;
use crate::base::failure::{ExitCode, Failure};
use crate::base::files::{self, Readers};

/// The extension's id, which follows from the `key` in its manifest.
pub(crate) const ID: &str = "aalhdoofknlgjgclnnkjbegphicaohme";

/// The origin by which Chromium names the extension to its host.
pub(crate) const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";

/// The service worker's entry module, as the manifest names it.
const WORKER: &str = "service-worker.js";

/// The folder of unpacked extensions in the cache directory.
pub(crate) const UNPACKED: &str = "extension";

/// The number of unpacked extensions to keep in any case.
const MAX_UNPACKED: usize = 5;

/// Time after which an unpacked extension counts as unused.
const UNUSED: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest file of an extension that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

#[derive(RustEmbed)]
#[folder = "extension/"]
#[exclude = "*.d.ts"]
struct Embedded;

/// Returns the folder for `--load-extension`: the named one, checked, or the embedded extension, unpacked into the cache.
pub(crate) fn provide(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let folder = match named {
        Some(folder) => check(folder)?,
        None => unpack_into_cache()?,
    };
    check_path("the extension's folder", &folder, "choose another folder with NAVTRACE_EXTENSION or XDG_CACHE_HOME")?;
    Ok(folder)
}

/// Fails if Chromium could not load an extension from this path. The failure has its `name`.
pub(super) fn check_path(name: &str, folder: &Path, hint: &str) -> Result<(), Failure> {
    if !folder.as_os_str().as_encoded_bytes().contains(&b',') {
        return Ok(());
    }
    let message = format!("{name} {} has a comma in its path, where Chromium would split it", folder.display());
    Err(Failure::new(ExitCode::Failure, message).hint(hint))
}

/// Unpacks into a folder of this very content, so that binaries of different builds never change each other's files.
fn unpack_into_cache() -> Result<PathBuf, Failure> {
    let files = embedded();
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    // Not in a shared temporary directory, where another user could have created the files.
    let cache = cache_directory().ok_or_else(|| {
        let message = "the extension can't be unpacked, because there is no home directory: set HOME or XDG_CACHE_HOME";
        Failure::new(ExitCode::Failure, message)
    })?;
    let unpacked = cache.join(UNPACKED);
    let folder = unpacked.join(format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), hasher.finish()));
    let is_new = !folder.exists();
    unpack(&files, &folder, Readers::User, &mut Vec::new()).map_err(|error| {
        Failure::new(ExitCode::Failure, format!("the extension can't be unpacked into {}", folder.display()))
            .because(error)
            .hint("free some space there, or mount a folder that you may write to and name it in XDG_CACHE_HOME")
    })?;
    let now = SystemTime::now();
    // Says when the folder was used last. If that fails, it counts as unused since it was written.
    let _ = File::open(&folder).and_then(|folder| folder.set_modified(now));
    if is_new {
        remove_unused(&unpacked, now);
    }
    Ok(folder)
}

/// Removes the extensions of other builds: all but those that were used last, or within a day. A browser may still use them.
fn remove_unused(unpacked: &Path, now: SystemTime) {
    let entries = fs::read_dir(unpacked).into_iter().flatten().filter_map(Result::ok);
    let used = |entry: &DirEntry| entry.metadata().and_then(|data| data.modified()).unwrap_or(now);
    let mut folders: Vec<_> = entries.map(|entry| (used(&entry), entry.path())).collect();
    folders.sort();
    for (used, folder) in folders.into_iter().rev().skip(MAX_UNPACKED) {
        if now.duration_since(used).is_ok_and(|unused| unused > UNUSED) {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// How a folder that Chromium loads the extension from compares with the extension in this binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FolderContent {
    /// The same, with the worker's modules bundled or in files of their own.
    Same,
    /// The extension in this other version.
    Version(String),
    /// This version, but the named file differs.
    Changed(String),
    /// Not the extension, for this reason.
    Broken(String),
}

/// Compares a folder with the extension in this binary.
pub(crate) fn compare(folder: &Path) -> FolderContent {
    if let Err(reason) = check_manifest(folder) {
        return FolderContent::Broken(reason);
    }
    let manifest = files::read(&folder.join("manifest.json"), MAX_FILE).unwrap_or_default();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
    let version = manifest["version"].as_str().unwrap_or_default();
    if version != env!("CARGO_PKG_VERSION") {
        return FolderContent::Version(version.to_owned());
    }
    let differs = |(name, bundled): &(&String, &String)| {
        let on_disk = files::read(&folder.join(name), MAX_FILE).ok();
        let unbundled = Embedded::get(name).map(|file| file.data.into_owned());
        on_disk.is_none() || (on_disk.as_deref() != Some(bundled.as_bytes()) && on_disk != unbundled)
    };
    embedded().iter().find(differs).map_or(FolderContent::Same, |(name, _)| FolderContent::Changed(name.clone()))
}

/// Returns navtrace's cache directory, or `None` if the user has no home.
pub(crate) fn cache_directory() -> Option<PathBuf> {
    directories::cache()
}

/// Returns the embedded extension's manifest. Its id follows from the `key`.
pub(super) fn own_manifest() -> Value {
    let manifest = Embedded::get("manifest.json").and_then(|file| serde_json::from_slice(&file.data).ok());
    manifest.unwrap_or_default()
}

/// Returns the embedded extension's files by name, with the worker's modules bundled into the worker.
pub(crate) fn embedded() -> BTreeMap<String, String> {
    let files = Embedded::iter().filter_map(|name| {
        let file = Embedded::get(&name)?;
        Some((name.into_owned(), String::from_utf8_lossy(&file.data).into_owned()))
    });
    let mut files: BTreeMap<String, String> = files.collect();
    // Without bundling the worker only starts later. A test makes sure that bundling works.
    if let Some(worker) = bundle::bundle(&files, WORKER) {
        files.insert(WORKER.to_owned(), worker);
    }
    files
}

/// Names the files that are missing from a folder or differ there.
pub(crate) fn differing<'a>(files: &'a BTreeMap<String, String>, folder: &Path, readers: Readers) -> Vec<&'a str> {
    let differ = |(name, content): &(&String, &String)| {
        !files::is_written(&folder.join(name.as_str()), content.as_bytes(), readers)
    };
    files.iter().filter(differ).map(|(name, _)| name.as_str()).collect()
}

/// Writes the files that are missing from a folder or differ there. Adds the directories that it had to create to `created`.
pub(crate) fn unpack(
    files: &BTreeMap<String, String>,
    folder: &Path,
    readers: Readers,
    created: &mut Vec<PathBuf>,
) -> io::Result<()> {
    for name in differing(files, folder, readers) {
        let path = folder.join(name);
        files::make_directories(path.parent().unwrap_or(folder), readers, created)?;
        files::write(&path, files[name].as_bytes(), readers)?;
    }
    Ok(())
}

/// Returns whether a folder holds an extension, of whatever kind, that has a worker.
pub(super) fn has_worker(folder: &Path) -> bool {
    let manifest = files::read(&folder.join("manifest.json"), MAX_FILE).unwrap_or_default();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
    manifest["background"]["service_worker"].is_string()
}

/// Checks that the folder in `NAVTRACE_EXTENSION` holds this extension, and returns its canonical path.
pub(crate) fn check(folder: &Path) -> Result<PathBuf, Failure> {
    check_manifest(folder).map_err(|reason| {
        Failure::new(ExitCode::Failure, format!("NAVTRACE_EXTENSION={}", folder.display()))
            .because(reason)
            .hint("name a folder that holds the extension, or unset it to use the one that navtrace carries")
    })
}

/// Checks by its manifest that a folder holds this extension. Returns its canonical path, or the reason why not.
fn check_manifest(folder: &Path) -> Result<PathBuf, String> {
    let absolute = fs::canonicalize(folder).map_err(|error| error.to_string())?;
    let manifest = files::read(&absolute.join("manifest.json"), MAX_FILE).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "it has no manifest.json".to_owned(),
        _ => error.to_string(),
    })?;
    let manifest: Value =
        serde_json::from_slice(&manifest).map_err(|error| format!("its manifest.json is not JSON: {error}"))?;
    if manifest.get("key") != own_manifest().get("key") {
        return Err("its manifest.json has another key, so another id, than navtrace's extension".to_owned());
    }
    let worker = manifest["background"]["service_worker"].as_str().unwrap_or_default();
    if worker.is_empty() || !absolute.join(worker).is_file() {
        return Err("the service worker that its manifest.json names is missing".to_owned());
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
        let key = base64::engine::general_purpose::STANDARD.decode(own_manifest()["key"].as_str().unwrap()).unwrap();
        let letter = |nibble: u8| char::from(b'a' + nibble);
        let id: String =
            Sha256::digest(key)[..16].iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect();
        assert_eq!(id, ID);
        assert_eq!(ORIGIN, format!("chrome-extension://{ID}/"));
    }

    #[test]
    fn the_extension_and_the_host_have_the_same_version() {
        assert_eq!(own_manifest()["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn the_workers_modules_can_be_bundled() {
        let worker = &embedded()[WORKER];
        assert!(!worker.lines().any(|line| line.starts_with("import ") || line.starts_with("export ")));
    }

    #[test]
    fn unpacking_restores_changed_and_lost_files() {
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
    fn a_folder_is_compared_with_the_embedded_extension() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        assert_eq!(compare(folder), FolderContent::Broken("it has no manifest.json".to_owned()));
        assert_eq!(
            compare(&folder.join("gone")),
            FolderContent::Broken("No such file or directory (os error 2)".to_owned())
        );
        // Comparing must not block on a FIFO.
        super::super::latch::set(folder).unwrap();
        fs::rename(super::super::latch::file(folder), folder.join("manifest.json")).unwrap();
        assert_eq!(compare(folder), FolderContent::Broken("it is not a plain file".to_owned()));
        unpack(&embedded(), folder, Readers::User, &mut Vec::new()).unwrap();
        assert_eq!(compare(folder), FolderContent::Same);
        assert_eq!(compare(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/extension"))), FolderContent::Same);
        fs::write(folder.join("channel/port.js"), "evil()").unwrap();
        assert_eq!(compare(folder), FolderContent::Changed("channel/port.js".to_owned()));
        let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
        let older = manifest.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"0.0.1\"");
        fs::write(folder.join("manifest.json"), older).unwrap();
        assert_eq!(compare(folder), FolderContent::Version("0.0.1".to_owned()));
    }

    #[test]
    fn a_missing_or_broken_folder_is_reported() {
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

        let missing = provide(Some(&folder.join("missing"))).unwrap_err().to_string();
        assert!(missing.contains("/missing: No such file or directory (os error 2); name a folder"), "{missing}");
    }
}
