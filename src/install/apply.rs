//! Puts the extension and the host manifests in place.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::install::plan::{self, Step};
use crate::install::present::{self, Obstacle};
use crate::install::record::Receipt;
use crate::install::scope::{Place, Scope};
use crate::install::{Line, Mode, Outcome, folder, needs_root};
use crate::launch::{extension, manifest};

/// What is to be put in place.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// For whom.
    pub(crate) scope: &'a Scope,
    /// Where the manifest goes.
    pub(crate) places: &'a [Place],
    /// The extension's files, unless it is loaded from somewhere else.
    pub(crate) extension: Option<&'a BTreeMap<String, String>>,
    /// The program that becomes the host.
    pub(crate) binary: &'a Path,
    /// Whether it is done.
    pub(crate) mode: Mode,
}

/// Registers the host. What can't be done for one browser is done for the others.
pub(crate) fn install(order: &Order<'_>) -> Result<Outcome, Failure> {
    let Order { scope, places, binary, mode, .. } = order;
    let rendered = manifest::render(binary).ok_or_else(|| {
        let message = format!(
            "{} can't be named in a host manifest, since its path is not UTF-8: move navtrace to another folder",
            binary.display()
        );
        Failure::new(ExitCode::Failure, message)
    })?;
    let mut steps = Vec::new();
    for place in *places {
        steps.push((place, step(order, place, &rendered)?));
    }
    let mut outcome = Outcome::default();
    let mut made = Vec::new();
    if steps.iter().any(|(_, step)| matches!(step, Step::Write(..) | Step::Keep(_))) {
        put_extension(order, &mut made, &mut outcome)?;
    }
    for (place, step) in steps {
        take(order, place, step, &rendered, &mut made, &mut outcome);
    }
    if !outcome.registered.is_empty() || !made.is_empty() {
        // Hosts make it anyway. Made now, the receipt tells whether it was there before; hosts go on without it where it can't be.
        if let (Mode::Real, Some(own)) = (mode, &scope.own) {
            let _ = files::make_directories(&own.state, scope.readers, &mut made);
        }
        let before = Receipt::read(&scope.share);
        put_receipt(order, &before, made, &mut outcome);
    }
    Ok(outcome)
}

/// Decides what becomes of a place, as far as that can be told before anything is done.
fn step(order: &Order<'_>, place: &Place, rendered: &str) -> Result<Step, Failure> {
    let present = present::look(place, order.binary, rendered, order.scope.readers);
    let step = plan::install(place, &present);
    if let (Step::Write(..), Err(obstacle)) = (&step, present::obstacle(place.folder())) {
        return match needs_root(order.scope, &obstacle) {
            Some(failure) => Err(failure),
            None => Ok(blocked(place, &obstacle)),
        };
    }
    Ok(step)
}

fn blocked(place: &Place, obstacle: &Obstacle) -> Step {
    let reader = &place.reader;
    Step::Leave(
        format!("for {reader}: {obstacle}"),
        format!("{obstacle}, so {reader} is not registered: mend that and run navtrace install again"),
    )
}

/// Does what was decided for a place.
fn take(
    order: &Order<'_>,
    place: &Place,
    mut step: Step,
    rendered: &str,
    made: &mut Vec<PathBuf>,
    outcome: &mut Outcome,
) {
    let path = &place.manifest;
    let readers = order.scope.readers;
    if let (Step::Write(..), Mode::Real) = (&step, order.mode) {
        let written = files::make_directories(place.folder(), readers, made)
            .and_then(|()| files::write(path, rendered.as_bytes(), readers));
        if let Err(error) = written {
            step = blocked(place, &Obstacle::new(path, error));
        }
    }
    match step {
        Step::Write(what, note) => {
            outcome.lines.push(Line::new(what, path, note));
            outcome.registered.push(place.reader.clone());
        }
        Step::Keep(note) => {
            outcome.lines.push(Line::new("unchanged", path, note));
            outcome.registered.push(place.reader.clone());
        }
        Step::Leave(note, problem) => {
            outcome.lines.push(Line::new("left", path, note));
            outcome.problems.push(problem);
        }
        Step::Remove(_) | Step::Pass => {}
    }
}

/// Unpacks the extension, and removes what an earlier version of it had beyond that.
fn put_extension(order: &Order<'_>, made: &mut Vec<PathBuf>, outcome: &mut Outcome) -> Result<(), Failure> {
    let Order { scope, extension: Some(files), mode, .. } = order else { return Ok(()) };
    let dir = scope.extension();
    let failure = |obstacle: &Obstacle| {
        needs_root(scope, obstacle).unwrap_or_else(|| {
            let message = format!(
                "{obstacle}, so there is no place for the extension: mend that, or name a folder that holds it with NAVTRACE_EXTENSION"
            );
            Failure::new(ExitCode::Failure, message)
        })
    };
    if fs::symlink_metadata(&dir).is_ok_and(|data| data.is_symlink()) {
        let error = io::Error::other("it is a symbolic link, not navtrace's");
        return Err(failure(&Obstacle::new(&dir, error)));
    }
    let readers = scope.readers;
    let before = Receipt::read(&scope.share).extension;
    let stale = folder::present(&dir, before.iter().filter(|name| !files.contains_key(*name)));
    let (write, fresh) = (extension::differing(files, &dir, readers), !dir.exists());
    let what = match (fresh, write.is_empty() && stale.is_empty()) {
        (true, _) => "unpacked",
        (_, true) => "unchanged",
        _ => "updated",
    };
    let mut line = Line::new(what, &dir, format!("the extension {}", env!("CARGO_PKG_VERSION")));
    line.files = write.iter().map(|name| format!("{name} written")).collect();
    line.files.extend(stale.iter().map(|name| format!("{name} removed")));
    if what != "unchanged" {
        present::obstacle(&dir).map_err(|obstacle| failure(&obstacle))?;
        if *mode == Mode::Real {
            let unpacked = extension::unpack(files, &dir, readers, made).and_then(|()| folder::remove(&dir, &stale));
            if let Err(error) = unpacked {
                // Without a receipt nobody would know of it.
                if fresh {
                    let _ = folder::remove(&dir, &folder::present(&dir, files.keys()));
                }
                made.iter().rev().for_each(|dir| drop(fs::remove_dir(dir)));
                return Err(failure(&Obstacle::new(&dir, error)));
            }
        }
    }
    outcome.lines.push(line);
    Ok(())
}

/// Notes what was put in place, beside what the receipt says already.
fn put_receipt(order: &Order<'_>, before: &Receipt, made: Vec<PathBuf>, outcome: &mut Outcome) {
    let Order { scope, places, mode, .. } = order;
    let path = Receipt::path(&scope.share);
    let mut receipt = before.clone();
    let done = places.iter().filter(|place| outcome.registered.contains(&place.reader));
    receipt.manifests.extend(done.map(|place| place.manifest.clone()));
    receipt.directories.extend(made);
    if let Some(files) = order.extension {
        receipt.extension = files.keys().cloned().collect();
    }
    let note = "what navtrace uninstall goes by";
    if receipt == *before && path.is_file() {
        outcome.lines.push(Line::new("unchanged", &path, note));
        return;
    }
    if *mode == Mode::Real
        && let Err(error) = write_receipt(scope, receipt)
    {
        outcome.problems.push(format!(
            "{} can't be written: {error}; mend that and run navtrace install again, so that navtrace uninstall knows what to remove",
            path.display()
        ));
        return;
    }
    outcome.lines.push(Line::new("written", &path, note));
}

/// Writes a receipt, which says of its own directories too that they were not there.
fn write_receipt(scope: &Scope, mut receipt: Receipt) -> io::Result<()> {
    let mut made = Vec::new();
    files::make_directories(&scope.share, scope.readers, &mut made)?;
    receipt.directories.extend(made);
    files::write(&Receipt::path(&scope.share), receipt.render()?.as_bytes(), scope.readers)
}
