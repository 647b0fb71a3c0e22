//! What all users have, below a root of the test's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::install::browsers::{Browser, Os};
use crate::install::record::Receipt;
use crate::install::scope::{Place, Scope, system_place};
use crate::install::{Line, Mode, Outcome, apply, uninstall};
use crate::launch::{extension, manifest};

struct System {
    root: tempfile::TempDir,
    scope: Scope,
    binary: PathBuf,
    extension: BTreeMap<String, String>,
}

impl System {
    fn new(os: Os) -> Self {
        let root = tempfile::tempdir().unwrap();
        let scope = Scope::of_system(os, root.path());
        let binary = fs::canonicalize(std::env::current_exe().unwrap()).unwrap();
        Self { root, scope, binary, extension: extension::embedded() }
    }

    fn place(&self, os: Os, id: &str) -> Place {
        system_place(Browser::by_id(id).unwrap(), os, self.root.path())
    }

    fn install(&self, places: &[Place], mode: Mode) -> Outcome {
        let order =
            apply::Order { scope: &self.scope, places, extension: Some(&self.extension), binary: &self.binary, mode };
        apply::install(&order).unwrap()
    }

    fn uninstall(&self, places: Option<&[Place]>) -> Outcome {
        let shell_word = |path: &Path| path.display().to_string();
        let order = uninstall::Order { scope: &self.scope, places, binary: &self.binary, shell_word, mode: Mode::Real };
        uninstall::uninstall(&order).unwrap()
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.root.path()).unwrap().next().is_none()
    }
}

fn said(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let name = |line: &Line| line.path.file_name().unwrap().to_string_lossy().into_owned();
    outcome.lines.iter().map(|line| (line.what, name(line))).collect()
}

#[test]
fn everybody_can_read_what_all_users_have_and_it_goes_away_whole() {
    for os in [Os::Linux, Os::MacOs] {
        let system = System::new(os);
        let places = [system.place(os, "chromium"), system.place(os, "vivaldi")];
        system.install(&places, Mode::Dry);
        assert!(system.is_empty());
        let outcome = system.install(&places, Mode::Real);
        assert_eq!(outcome.registered, ["Chromium", "Google Chrome, Brave and Vivaldi"]);
        assert_eq!(outcome.problems, [""; 0]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for place in &places {
            assert_eq!((mode(&place.manifest), mode(place.folder())), (0o644, 0o755));
            assert_eq!(manifest::program(&fs::read(&place.manifest).unwrap()), Some(system.binary.clone()));
        }
        let folder = system.scope.extension();
        assert_eq!((mode(&folder.join("manifest.json")), mode(&folder.join("headers"))), (0o644, 0o755));
        assert_eq!(mode(&Receipt::path(&system.scope.share)), 0o644);
        let again = said(&system.install(&places, Mode::Real));
        assert!(again.len() == 4 && again.iter().all(|(what, _)| *what == "unchanged"), "{again:?}");

        // A manifest or a file that not everybody may read is as bad as none.
        for path in [&places[0].manifest, &folder.join("manifest.json")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(said(&system.install(&places, Mode::Real)).iter().any(|(what, _)| *what == "updated"));
            assert_eq!(mode(path), 0o644);
        }

        let outcome = system.uninstall(None);
        assert!(outcome.gone && outcome.problems.is_empty());
        assert!(system.is_empty());
        assert_eq!(said(&system.uninstall(None)), []);
    }
}

#[test]
fn directories_that_several_need_go_with_the_last_of_them() {
    let system = System::new(Os::Linux);
    let place = |id| [system.place(Os::Linux, id)];
    system.install(&place("chrome"), Mode::Real);
    system.install(&place("edge"), Mode::Real);
    let outcome = system.uninstall(Some(&place("brave")));
    assert!(!outcome.gone);
    assert_eq!(said(&outcome), [("removed", "dev.navtrace.host.json".to_owned()), ("left", "extension".to_owned())]);
    assert!(!system.root.path().join("etc/opt/chrome").exists());
    assert!(system.uninstall(Some(&place("edge"))).gone);
    assert!(system.is_empty());
}

#[test]
fn a_receipt_that_is_lost_or_broken_keeps_nothing_of_navtraces() {
    let system = System::new(Os::Linux);
    let places = [system.place(Os::Linux, "chromium")];
    for broken in
        [None, Some("{"), Some(r#"{"manifests":["relative"],"directories":["/"],"extension":["/etc/passwd",""]}"#)]
    {
        system.install(&places, Mode::Real);
        let path = Receipt::path(&system.scope.share);
        match broken {
            Some(broken) => fs::write(&path, broken).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let outcome = system.uninstall(None);
        assert!(outcome.gone && outcome.problems.is_empty(), "{outcome:?}");
        assert!(!system.scope.extension().join("manifest.json").exists() && !path.exists());
        assert!(!places[0].manifest.exists());
    }
}

#[test]
fn what_only_root_may_do_is_left_to_root() {
    let mut system = System::new(Os::Linux);
    // Not even root may write there, so that the test does not depend on who runs it.
    system.scope = Scope::of_system(Os::Linux, Path::new("/proc/self"));
    let order = apply::Order {
        scope: &system.scope,
        places: &[system_place(Browser::by_id("chromium").unwrap(), Os::Linux, Path::new("/proc/self"))],
        extension: Some(&system.extension),
        binary: &system.binary,
        mode: Mode::Dry,
    };
    let message = apply::install(&order).unwrap_err().to_string();
    assert!(message.starts_with("/proc/self can't be written: "), "{message}");
    assert!(message.ends_with("; what all users have needs root: run this as root"), "{message}");
}
