//! Installations for all users, below a root directory of the test's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::install::apply::Installation;
use crate::install::browsers::{Browser, Os};
use crate::install::record::InstallRecord;
use crate::install::scope::{InstallScope, ManifestLocation};
use crate::install::uninstall::Uninstallation;
use crate::install::{FileReport, InstallReport};
use crate::launch::{extension, manifest};

struct TestSystem {
    root: tempfile::TempDir,
    scope: InstallScope,
    binary: PathBuf,
    extension: BTreeMap<String, String>,
}

impl TestSystem {
    fn new(os: Os) -> Self {
        let root = tempfile::tempdir().unwrap();
        let scope = InstallScope::of_system(os, root.path());
        let binary = fs::canonicalize(std::env::current_exe().unwrap()).unwrap();
        Self { root, scope, binary, extension: extension::embedded() }
    }

    fn location(&self, os: Os, id: &str) -> ManifestLocation {
        ManifestLocation::of_system(Browser::by_id(id).unwrap(), os, self.root.path())
    }

    fn installation<'a>(&'a self, locations: &'a [ManifestLocation], dry_run: bool) -> Installation<'a> {
        Installation { scope: &self.scope, locations, extension: Some(&self.extension), binary: &self.binary, dry_run }
    }

    fn install(&self, locations: &[ManifestLocation]) -> InstallReport {
        self.installation(locations, false).run().unwrap()
    }

    fn uninstall(&self, locations: Option<&[ManifestLocation]>) -> InstallReport {
        let uninstallation = Uninstallation { scope: &self.scope, locations, binary: &self.binary, dry_run: false };
        uninstallation.run().unwrap()
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.root.path()).unwrap().next().is_none()
    }
}

fn statuses(report: &InstallReport) -> Vec<(&'static str, String)> {
    let name = |file: &FileReport| file.path.file_name().unwrap().to_string_lossy().into_owned();
    report.files.iter().map(|file| (file.status, name(file))).collect()
}

#[test]
fn everybody_can_read_the_files_and_all_are_removed() {
    for os in [Os::Linux, Os::MacOs] {
        let system = TestSystem::new(os);
        let locations = [system.location(os, "chromium"), system.location(os, "vivaldi")];
        system.installation(&locations, true).run().unwrap();
        assert!(system.is_empty());
        let report = system.install(&locations);
        assert_eq!(report.registered, ["Chromium", "Google Chrome, Brave and Vivaldi"]);
        assert_eq!(report.problems, [""; 0]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for location in &locations {
            assert_eq!((mode(&location.path), mode(location.folder())), (0o644, 0o755));
            assert_eq!(manifest::program(&fs::read(&location.path).unwrap()), Some(system.binary.clone()));
        }
        let folder = system.scope.extension();
        assert_eq!((mode(&folder.join("manifest.json")), mode(&folder.join("headers"))), (0o644, 0o755));
        assert_eq!(mode(&InstallRecord::path(&system.scope.share)), 0o644);
        let again = statuses(&system.install(&locations));
        assert!(again.len() == 4 && again.iter().all(|(status, _)| *status == "unchanged"), "{again:?}");

        // Files that not everybody may read are repaired.
        for path in [&locations[0].path, &folder.join("manifest.json")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(statuses(&system.install(&locations)).iter().any(|(status, _)| *status == "updated"));
            assert_eq!(mode(path), 0o644);
        }

        let report = system.uninstall(None);
        assert!(report.is_gone && report.problems.is_empty());
        assert!(system.is_empty());
        assert_eq!(statuses(&system.uninstall(None)), []);
    }
}

#[test]
fn shared_directories_are_removed_with_their_last_user() {
    let system = TestSystem::new(Os::Linux);
    let location = |id| [system.location(Os::Linux, id)];
    system.install(&location("chrome"));
    system.install(&location("edge"));
    let report = system.uninstall(Some(&location("brave")));
    assert!(!report.is_gone);
    assert_eq!(statuses(&report), [("removed", "dev.navtrace.host.json".to_owned()), ("left", "extension".to_owned())]);
    assert!(!system.root.path().join("etc/opt/chrome").exists());
    assert!(system.uninstall(Some(&location("edge"))).is_gone);
    assert!(system.is_empty());
}

#[test]
fn a_lost_or_broken_record_keeps_no_files() {
    let system = TestSystem::new(Os::Linux);
    let locations = [system.location(Os::Linux, "chromium")];
    for broken in
        [None, Some("{"), Some(r#"{"manifests":["relative"],"directories":["/"],"extension":["/etc/passwd",""]}"#)]
    {
        system.install(&locations);
        let path = InstallRecord::path(&system.scope.share);
        match broken {
            Some(broken) => fs::write(&path, broken).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let report = system.uninstall(None);
        assert!(report.is_gone && report.problems.is_empty(), "{report:?}");
        assert!(!system.scope.extension().join("manifest.json").exists() && !path.exists());
        assert!(!locations[0].path.exists());
    }
}

#[test]
fn an_installation_for_all_users_needs_root() {
    let mut system = TestSystem::new(Os::Linux);
    // Not even root may write there, so the test does not depend on the user.
    system.scope = InstallScope::of_system(Os::Linux, Path::new("/proc/self"));
    let location = ManifestLocation::of_system(Browser::by_id("chromium").unwrap(), Os::Linux, Path::new("/proc/self"));
    let message = system.installation(&[location], true).run().unwrap_err().to_string();
    assert!(message.starts_with("/proc/self can't be written: "), "{message}");
    assert!(message.ends_with("; an installation for all users needs root: run this command as root"), "{message}");
}
