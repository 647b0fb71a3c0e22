//! Takes away what was put in place, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::base::failure::Failure;
use crate::install::plan::{self, Condition, Present, Step};
use crate::install::present::{self, Obstacle};
use crate::install::record::Receipt;
use crate::install::scope::{Place, Scope};
use crate::install::{Line, Mode, Outcome, folder, needs_root};
use crate::launch::{extension, manifest};

/// What is to be taken away.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// Of whom.
    pub(crate) scope: &'a Scope,
    /// Where the manifest goes; everywhere when there is nothing.
    pub(crate) places: Option<&'a [Place]>,
    /// The program whose registrations go.
    pub(crate) binary: &'a Path,
    /// How a program is named to a shell.
    pub(crate) shell_word: fn(&Path) -> String,
    /// Whether it is done.
    pub(crate) mode: Mode,
}

/// Removes registrations, and with the last of them everything else.
pub(crate) fn uninstall(order: &Order<'_>) -> Result<Outcome, Failure> {
    let Order { scope, mode, .. } = order;
    let mut receipt = Receipt::read(&scope.share);
    let all = everywhere(order, &receipt);
    let rendered = manifest::render(order.binary).unwrap_or_default();
    let mut steps = Vec::new();
    let mut remaining = BTreeSet::new();
    for place in &all {
        let present = present::look(place, order.binary, &rendered, scope.readers);
        let is_meant = order.places.is_none_or(|places| places.iter().any(|meant| meant.manifest == place.manifest));
        let step = if is_meant { step(order, place, &present)? } else { Step::Pass };
        // What can't be looked at may be one.
        if matches!(present, Present::Ours { .. } | Present::Hidden(_)) && !matches!(step, Step::Remove(_)) {
            remaining.insert(place.manifest.clone());
        }
        steps.push((place, step));
    }

    let mut outcome = Outcome::default();
    let mut removed = Vec::new();
    for (place, step) in steps {
        take(*mode, place, step, &mut removed, &mut outcome);
    }
    if *mode == Mode::Real {
        // One place may be known by two paths, of which one was meant.
        let is_gone = |path: &Path| fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        remaining.retain(|path| !is_gone(path));
    }
    remaining.extend(all.iter().map(|place| &place.manifest).filter(|path| was_kept(path, &removed, *mode)).cloned());
    receipt.manifests.retain(|path| remaining.contains(path));
    if remaining.is_empty() {
        remove_rest(order, &mut receipt, &mut outcome);
        outcome.gone = true;
        if !outcome.lines.is_empty() {
            tell_own(order, &mut outcome);
        }
    } else {
        keep_rest(order, receipt, &removed, &all, &remaining, &mut outcome);
    }
    Ok(outcome)
}

/// Whether removing a manifest has failed.
fn was_kept(path: &Path, removed: &[PathBuf], mode: Mode) -> bool {
    mode == Mode::Real
        && removed.iter().all(|removed| removed != path)
        && fs::read(path).is_ok_and(|bytes| manifest::program(&bytes).is_some())
}

/// Every place where a registration may be: those that browsers look into, those that are meant, and those that the receipt knows.
fn everywhere(order: &Order<'_>, receipt: &Receipt) -> Vec<Place> {
    let mut places = order.scope.places.clone();
    let known = receipt.manifests.iter().map(|manifest| {
        let dir = manifest.parent().and_then(Path::parent).unwrap_or(manifest);
        Place { manifest: manifest.clone(), ..Place::of_user_data(dir) }
    });
    for more in order.places.into_iter().flatten().cloned().chain(known) {
        if places.iter().all(|place| place.manifest != more.manifest) {
            places.push(more);
        }
    }
    places
}

/// Decides what becomes of a place, as far as that can be told before anything is done.
fn step(order: &Order<'_>, place: &Place, present: &Present) -> Result<Step, Failure> {
    let other = match present {
        Present::Ours { condition: Condition::Other, program, .. } => (order.shell_word)(program),
        _ => String::new(),
    };
    let step = plan::uninstall(place, present, &other);
    if let (Step::Remove(_), Err(obstacle)) = (&step, present::obstacle(place.folder())) {
        return match needs_root(order.scope, &obstacle) {
            Some(failure) => Err(failure),
            None => Ok(blocked(place, &obstacle)),
        };
    }
    Ok(step)
}

fn blocked(place: &Place, obstacle: &Obstacle) -> Step {
    Step::Leave(
        format!("for {}: {obstacle}", place.reader),
        format!("{obstacle}, so {} is left: mend that and run navtrace uninstall again", place.manifest.display()),
    )
}

fn take(mode: Mode, place: &Place, mut step: Step, removed: &mut Vec<PathBuf>, outcome: &mut Outcome) {
    let path = &place.manifest;
    if let (Step::Remove(_), Mode::Real) = (&step, mode)
        && let Err(error) = fs::remove_file(path)
        // One place may be known by two paths.
        && error.kind() != ErrorKind::NotFound
    {
        step = blocked(place, &Obstacle::new(path, error));
    }
    match step {
        Step::Remove(note) => {
            outcome.lines.push(Line::new("removed", path, note));
            removed.push(path.clone());
        }
        Step::Leave(note, problem) => {
            outcome.lines.push(Line::new("left", path, note));
            outcome.problems.push(problem);
        }
        Step::Write(..) | Step::Keep(_) | Step::Pass => {}
    }
}

/// Removes what no registration needs any more: the extension, the receipt, and the directories that were made for them.
fn remove_rest(order: &Order<'_>, receipt: &mut Receipt, outcome: &mut Outcome) {
    let Order { scope, mode, .. } = order;
    let dir = scope.extension();
    let embedded = extension::embedded();
    let mut files = folder::present(&dir, receipt.extension.iter().chain(embedded.keys()));
    if fs::symlink_metadata(&dir).is_ok_and(|data| data.is_symlink()) {
        files.clear();
    }
    if !files.is_empty() {
        let removed = match present::obstacle(&dir) {
            Ok(()) if *mode == Mode::Real => folder::remove(&dir, &files).map_err(|error| Obstacle::new(&dir, error)),
            result => result,
        };
        if let Err(obstacle) = removed {
            outcome.lines.push(Line::new("left", &dir, "the extension"));
            outcome.problems.push(format!("{obstacle}, so the extension is left there: remove it by hand"));
        } else {
            let mut line = Line::new("removed", &dir, "the extension");
            line.files = files.iter().map(|name| format!("{name} removed")).collect();
            outcome.lines.push(line);
        }
    }
    let path = Receipt::path(&scope.share);
    if path.is_file() {
        outcome.lines.push(Line::new("removed", &path, "what navtrace uninstall goes by"));
        if *mode == Mode::Real
            && let Err(error) = fs::remove_file(&path)
        {
            outcome.lines.pop();
            outcome.problems.push(format!("{} can't be removed: {error}; remove it by hand", path.display()));
        }
    }
    if *mode == Mode::Real {
        let _ = fs::remove_dir(&dir);
        if let Some(own) = &scope.own {
            folder::prune(&own.state);
            folder::prune(&own.cache);
        }
        remove_directories(&mut receipt.directories, |_| true);
        if fs::symlink_metadata(&dir).is_ok() {
            outcome.lines.push(Line::new("left", &dir, "with what navtrace has not put there"));
        }
    }
}

/// Says what is left of the directories that navtrace makes when it runs.
fn tell_own(order: &Order<'_>, outcome: &mut Outcome) {
    let Some(own) = &order.scope.own else { return };
    for (dir, what) in [
        (&own.state, "spans and traces that are kept, yours to delete"),
        (&own.cache, "what navtrace would make again, yours to delete"),
    ] {
        // On macOS one directory is for all.
        let is_decided = order.mode == Mode::Real || *dir != order.scope.share;
        if is_decided && dir.exists() && !folder::is_bare(dir) {
            outcome.lines.push(Line::new("left", dir, what));
        }
    }
}

/// Removes the directories that the registrations were alone in, and says that the extension stays for the others.
fn keep_rest(
    order: &Order<'_>,
    mut receipt: Receipt,
    removed: &[PathBuf],
    all: &[Place],
    remaining: &BTreeSet<PathBuf>,
    outcome: &mut Outcome,
) {
    let Order { scope, mode, .. } = order;
    if removed.is_empty() {
        return;
    }
    let others = all.iter().filter(|place| remaining.contains(&place.manifest)).map(|place| place.reader.as_str());
    let others = super::scope::words(others);
    if scope.extension().exists() {
        outcome.lines.push(Line::new("left", &scope.extension(), format!("the extension, for {others}")));
    }
    if *mode == Mode::Dry {
        return;
    }
    remove_directories(&mut receipt.directories, |dir| removed.iter().any(|manifest| manifest.starts_with(dir)));
    let path = Receipt::path(&scope.share);
    let written = receipt
        .render()
        .map_err(std::io::Error::from)
        .and_then(|text| crate::base::files::write(&path, text.as_bytes(), scope.readers));
    if let (Err(error), true) = (written, path.is_file()) {
        outcome.problems.push(format!("{} can't be written: {error}; mend that", path.display()));
    }
}

/// Removes those directories that are empty, the innermost first, and forgets those that are not there.
fn remove_directories(directories: &mut BTreeSet<PathBuf>, may_go: impl Fn(&Path) -> bool) {
    let inward: Vec<PathBuf> = directories.iter().rev().cloned().collect();
    for dir in inward.into_iter().filter(|dir| may_go(dir)) {
        match fs::remove_dir(&dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => {}
            _ => {
                directories.remove(&dir);
            }
        }
    }
}
