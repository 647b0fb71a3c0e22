//! Removes what an installation created, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::base::failure::Failure;
use crate::base::text::shell_word;
use crate::install::existing::{self, WriteError};
use crate::install::plan::{self, ExistingManifest, ManifestAction, NamedProgram};
use crate::install::record::{self, InstallRecord};
use crate::install::scope::{InstallScope, ManifestLocation, join_names};
use crate::install::{FileReport, InstallReport, RECORD_DETAIL};
use crate::launch::{extension, manifest};

/// An uninstallation to be done.
#[derive(Debug)]
pub(crate) struct Uninstallation<'a> {
    pub(crate) scope: &'a InstallScope,
    /// The manifests to remove. `None` means all.
    pub(crate) locations: Option<&'a [ManifestLocation]>,
    /// The program whose registrations are removed.
    pub(crate) binary: &'a Path,
    /// Whether to report what would be done instead of doing it.
    pub(crate) dry_run: bool,
}

impl Uninstallation<'_> {
    /// Removes registrations, and everything else together with the last of them.
    pub(crate) fn run(&self) -> Result<InstallReport, Failure> {
        let mut record = InstallRecord::read(&self.scope.share);
        let all = self.all_locations(&record);
        let rendered = manifest::render(self.binary).unwrap_or_default();
        let mut actions = Vec::new();
        let mut remaining = BTreeSet::new();
        for location in &all {
            let existing = existing::read_manifest(&location.path, self.binary, &rendered, self.scope.readers);
            let is_meant =
                self.locations.is_none_or(|locations| locations.iter().any(|meant| meant.path == location.path));
            let action = if is_meant { self.decide(location, &existing)? } else { ManifestAction::Skip };
            // An unreadable file may be a registration too.
            let may_be_ours = matches!(existing, ExistingManifest::Ours { .. } | ExistingManifest::Unreadable(_));
            if may_be_ours && !matches!(action, ManifestAction::Remove(_)) {
                remaining.insert(location.path.clone());
            }
            actions.push((location, action));
        }

        let mut report = InstallReport::default();
        let mut removed = Vec::new();
        for (location, action) in actions {
            self.act(location, action, &mut removed, &mut report);
        }
        if !self.dry_run {
            // Two of the paths may lead to the same file, which is gone even if only one of them was meant.
            remaining.retain(|path| !is_missing(path));
            let is_left = |path: &&PathBuf| {
                !removed.contains(*path) && fs::read(path).is_ok_and(|bytes| manifest::program(&bytes).is_some())
            };
            remaining.extend(all.iter().map(|location| &location.path).filter(is_left).cloned());
        }
        record.manifests.retain(|path| remaining.contains(path));
        if remaining.is_empty() {
            self.remove_rest(&mut record, &mut report);
            report.is_gone = true;
            if !report.files.is_empty() {
                self.report_runtime_directories(&mut report);
            }
        } else if !removed.is_empty() {
            let others = all.iter().filter(|location| remaining.contains(&location.path));
            let others = join_names(others.map(|location| location.browsers.as_str()));
            self.keep_rest(record, &removed, &others, &mut report);
        }
        Ok(report)
    }

    /// Returns every location that may have a registration: those that browsers read, that were named, and that were recorded.
    fn all_locations(&self, record: &InstallRecord) -> Vec<ManifestLocation> {
        let mut all = self.scope.locations.clone();
        let recorded = record.manifests.iter().map(|path| {
            let dir = path.parent().and_then(Path::parent).unwrap_or(path);
            ManifestLocation { path: path.clone(), ..ManifestLocation::of_user_data(dir) }
        });
        for location in self.locations.into_iter().flatten().cloned().chain(recorded) {
            if all.iter().all(|known| known.path != location.path) {
                all.push(location);
            }
        }
        all
    }

    fn decide(&self, location: &ManifestLocation, existing: &ExistingManifest) -> Result<ManifestAction, Failure> {
        let other = match existing {
            ExistingManifest::Ours { names: NamedProgram::Other, program, .. } => shell_word(program),
            _ => String::new(),
        };
        let action = plan::uninstall(location, existing, &other);
        existing::check_action(action, location, self.scope, &left(location))
    }

    fn act(
        &self,
        location: &ManifestLocation,
        mut action: ManifestAction,
        removed: &mut Vec<PathBuf>,
        report: &mut InstallReport,
    ) {
        let path = &location.path;
        if let (ManifestAction::Remove(_), false) = (&action, self.dry_run)
            && let Err(error) = fs::remove_file(path)
            // Another path may have led to the same file.
            && error.kind() != ErrorKind::NotFound
        {
            action = WriteError::new(path, error).leave(location, &left(location));
        }
        match action {
            ManifestAction::Remove(detail) => {
                report.add("removed", path, detail);
                removed.push(path.clone());
            }
            ManifestAction::Leave(detail, problem) => {
                report.add("left", path, detail);
                report.problems.push(problem);
            }
            ManifestAction::Write(..) | ManifestAction::Keep(_) | ManifestAction::Skip => {}
        }
    }

    /// Removes the extension, the record, and the directories that were created for them.
    fn remove_rest(&self, record: &mut InstallRecord, report: &mut InstallReport) {
        let dir = self.scope.extension();
        self.remove_extension(&dir, record, report);
        let path = InstallRecord::path(&self.scope.share);
        if path.is_file() {
            match if self.dry_run { Ok(()) } else { fs::remove_file(&path) } {
                Ok(()) => report.add("removed", &path, RECORD_DETAIL),
                Err(error) => {
                    report.problems.push(format!("{} can't be removed: {error}; remove it by hand", path.display()));
                }
            }
        }
        if self.dry_run {
            return;
        }
        let _ = fs::remove_dir(&dir);
        if let Some(runtime) = &self.scope.runtime {
            record::remove_empty(&runtime.state);
            record::remove_empty(&runtime.cache);
        }
        record.remove_directories(|_| true);
        if fs::symlink_metadata(&dir).is_ok() {
            report.add("left", &dir, "contains files that are not navtrace's");
        }
    }

    fn remove_extension(&self, dir: &Path, record: &InstallRecord, report: &mut InstallReport) {
        let embedded = extension::embedded();
        let files = record::files_in(dir, record.extension.iter().chain(embedded.keys()));
        if files.is_empty() || fs::symlink_metadata(dir).is_ok_and(|data| data.is_symlink()) {
            return;
        }
        let removed = match existing::check_writable(dir) {
            Ok(()) if !self.dry_run => record::remove_files(dir, &files).map_err(|error| WriteError::new(dir, error)),
            result => result,
        };
        match removed {
            Ok(()) => {
                let files = files.iter().map(|name| format!("{name} removed")).collect();
                report.files.push(FileReport { files, ..FileReport::new("removed", dir, "the extension") });
            }
            Err(error) => {
                report.add("left", dir, "the extension");
                report.problems.push(format!("{error}, so the extension is left there: remove it by hand"));
            }
        }
    }

    /// Reports the directories that navtrace created when it ran, if there is something in them.
    fn report_runtime_directories(&self, report: &mut InstallReport) {
        let Some(runtime) = &self.scope.runtime else { return };
        for (dir, detail) in [
            (&runtime.state, "stored spans and traces; delete them if you do not need them"),
            (&runtime.cache, "copies of the extension, created again when needed; safe to delete"),
        ] {
            // On macOS the data directory is one of them, and before the removal it has other files too.
            let is_decided = !self.dry_run || *dir != self.scope.share;
            if is_decided && dir.exists() && !record::is_empty(dir) {
                report.add("left", dir, detail);
            }
        }
    }

    /// Removes only the directories of the removed manifests, and reports that the extension stays for the `others`.
    fn keep_rest(&self, mut record: InstallRecord, removed: &[PathBuf], others: &str, report: &mut InstallReport) {
        let dir = self.scope.extension();
        if dir.exists() {
            report.add("left", &dir, format!("the extension, for {others}"));
        }
        if self.dry_run {
            return;
        }
        record.remove_directories(|dir| removed.iter().any(|manifest| manifest.starts_with(dir)));
        let share = &self.scope.share;
        let path = InstallRecord::path(share);
        if let (Err(error), true) = (record.write(share, self.scope.readers), path.is_file()) {
            let path = path.display();
            let problem = format!("{path} can't be written: {error}; fix that and run navtrace uninstall again");
            report.problems.push(problem);
        }
    }
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Describes the consequence of a manifest that cannot be removed.
fn left(location: &ManifestLocation) -> String {
    format!("{} is left: fix that and run navtrace uninstall again", location.path.display())
}
