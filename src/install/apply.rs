//! Installs the extension and the host manifests.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::install::existing::{self, WriteError};
use crate::install::plan::{self, ManifestAction};
use crate::install::record::{self, InstallRecord};
use crate::install::scope::{InstallScope, ManifestLocation};
use crate::install::{FileReport, InstallReport, RECORD_DETAIL};
use crate::launch::{extension, manifest};

/// An installation to be done.
#[derive(Debug)]
pub(crate) struct Installation<'a> {
    pub(crate) scope: &'a InstallScope,
    pub(crate) locations: &'a [ManifestLocation],
    /// The extension's files, unless it is loaded from another folder.
    pub(crate) extension: Option<&'a BTreeMap<String, String>>,
    /// The program that becomes the host.
    pub(crate) binary: &'a Path,
    /// Whether to report what would be done instead of doing it.
    pub(crate) dry_run: bool,
}

impl Installation<'_> {
    /// Registers the host. A problem with one browser does not keep the others from being registered.
    pub(crate) fn run(&self) -> Result<InstallReport, Failure> {
        let rendered = manifest::render(self.binary).ok_or_else(|| {
            let message = format!(
                "{} can't be named in a host manifest, since its path is not UTF-8: move navtrace to another folder",
                self.binary.display()
            );
            Failure::new(ExitCode::Failure, message)
        })?;
        let mut actions = Vec::new();
        for location in self.locations {
            actions.push((location, self.decide(location, &rendered)?));
        }
        let mut report = InstallReport::default();
        let mut created = Vec::new();
        if actions.iter().any(|(_, action)| matches!(action, ManifestAction::Write(..) | ManifestAction::Keep(_))) {
            self.install_extension(&mut created, &mut report)?;
        }
        for (location, action) in actions {
            self.act(location, action, &rendered, &mut created, &mut report);
        }
        if !report.registered.is_empty() || !created.is_empty() {
            // A host would create the state directory later. Creating it now records whether it is new; a failure does no harm.
            if let (false, Some(runtime)) = (self.dry_run, &self.scope.runtime) {
                let _ = files::make_directories(&runtime.state, self.scope.readers, &mut created);
            }
            self.update_record(created, &mut report);
        }
        Ok(report)
    }

    fn decide(&self, location: &ManifestLocation, rendered: &str) -> Result<ManifestAction, Failure> {
        let existing = existing::read_manifest(&location.path, self.binary, rendered, self.scope.readers);
        existing::check_action(plan::install(location, &existing), location, self.scope, &unregistered(location))
    }

    fn act(
        &self,
        location: &ManifestLocation,
        mut action: ManifestAction,
        rendered: &str,
        created: &mut Vec<PathBuf>,
        report: &mut InstallReport,
    ) {
        let path = &location.path;
        let readers = self.scope.readers;
        if let (ManifestAction::Write(..), false) = (&action, self.dry_run) {
            let written = files::make_directories(location.folder(), readers, created)
                .and_then(|()| files::write(path, rendered.as_bytes(), readers));
            if let Err(error) = written {
                action = WriteError::new(path, error).leave(location, &unregistered(location));
            }
        }
        let (status, detail) = match action {
            ManifestAction::Write(status, detail) => (status, detail),
            ManifestAction::Keep(detail) => ("unchanged", detail),
            ManifestAction::Leave(detail, problem) => {
                report.add("left", path, detail);
                report.problems.push(problem);
                return;
            }
            ManifestAction::Remove(_) | ManifestAction::Skip => return,
        };
        report.add(status, path, detail);
        report.registered.push(location.browsers.clone());
    }

    /// Unpacks the extension and removes files of an earlier version.
    fn install_extension(&self, created: &mut Vec<PathBuf>, report: &mut InstallReport) -> Result<(), Failure> {
        let Some(files) = self.extension else { return Ok(()) };
        let dir = self.scope.extension();
        let failure = |error: &WriteError| {
            error.needs_root(self.scope).unwrap_or_else(|| {
                let message = format!(
                    "{error}, so there is no place for the extension: fix that, or name a folder that holds it with NAVTRACE_EXTENSION"
                );
                Failure::new(ExitCode::Failure, message)
            })
        };
        if fs::symlink_metadata(&dir).is_ok_and(|data| data.is_symlink()) {
            let error = io::Error::other("it is a symbolic link, not navtrace's");
            return Err(failure(&WriteError::new(&dir, error)));
        }
        let readers = self.scope.readers;
        let recorded = InstallRecord::read(&self.scope.share).extension;
        let stale = record::files_in(&dir, recorded.iter().filter(|name| !files.contains_key(*name)));
        let (differing, is_new) = (extension::differing(files, &dir, readers), !dir.exists());
        let status = match (is_new, differing.is_empty() && stale.is_empty()) {
            (true, _) => "unpacked",
            (_, true) => "unchanged",
            _ => "updated",
        };
        if status != "unchanged" {
            existing::check_writable(&dir).map_err(|error| failure(&error))?;
        }
        if status != "unchanged" && !self.dry_run {
            let unpacked =
                extension::unpack(files, &dir, readers, created).and_then(|()| record::remove_files(&dir, &stale));
            if let Err(error) = unpacked {
                // There is no record of these files, so they must not stay.
                if is_new {
                    let _ = record::remove_files(&dir, &record::files_in(&dir, files.keys()));
                }
                created.iter().rev().for_each(|dir| drop(fs::remove_dir(dir)));
                return Err(failure(&WriteError::new(&dir, error)));
            }
        }
        let mut line = FileReport::new(status, &dir, format!("the extension {}", env!("CARGO_PKG_VERSION")));
        line.files = differing.iter().map(|name| format!("{name} written")).collect();
        line.files.extend(stale.iter().map(|name| format!("{name} removed")));
        report.files.push(line);
        Ok(())
    }

    /// Adds what was installed to the record.
    fn update_record(&self, created: Vec<PathBuf>, report: &mut InstallReport) {
        let share = &self.scope.share;
        let path = InstallRecord::path(share);
        let before = InstallRecord::read(share);
        let mut record = before.clone();
        let registered = self.locations.iter().filter(|location| report.registered.contains(&location.browsers));
        record.manifests.extend(registered.map(|location| location.path.clone()));
        record.directories.extend(created);
        if let Some(files) = self.extension {
            record.extension = files.keys().cloned().collect();
        }
        if record == before && path.is_file() {
            report.add("unchanged", &path, RECORD_DETAIL);
            return;
        }
        let written = if self.dry_run { Ok(()) } else { write_record(record, self.scope) };
        match written {
            Ok(()) => report.add("written", &path, RECORD_DETAIL),
            Err(error) => report.problems.push(format!(
                "{} can't be written: {error}; fix that and run navtrace install again, so that navtrace uninstall knows what to remove",
                path.display()
            )),
        }
    }
}

/// Writes a record that includes its own directory, if that is new.
fn write_record(mut record: InstallRecord, scope: &InstallScope) -> io::Result<()> {
    let mut created = Vec::new();
    files::make_directories(&scope.share, scope.readers, &mut created)?;
    record.directories.extend(created);
    record.write(&scope.share, scope.readers)
}

/// Describes the consequence of a manifest that cannot be written.
fn unregistered(location: &ManifestLocation) -> String {
    format!("{} is not registered: fix that and run navtrace install again", location.browsers)
}
