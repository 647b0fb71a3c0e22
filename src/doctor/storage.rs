//! Says how much navtrace keeps on the disk, and what killed processes have left behind.

use std::fs;
use std::path::Path;

use crate::base::directories::StateDirectory;
use crate::base::temporary;
use crate::base::text::counted;
use crate::doctor::{CheckStatus, Finding};
use crate::launch::extension;

/// Returns a finding for each folder that holds something, below a title.
pub(crate) fn check() -> Vec<Finding> {
    let state = StateDirectory::path();
    let cache = extension::cache_directory();
    let kept = [
        ("traces", state.as_ref().map(|dir| dir.join("traces")), "the latest 20 runs, up to 1 GB"),
        (
            "waiting spans",
            state.as_ref().map(|dir| dir.join("spool")),
            "sent by the next traced browser or `navtrace flush`",
        ),
        (
            "sessions",
            state.as_ref().map(|dir| dir.join("sessions")),
            "exported by the next traced browser or `navtrace flush`",
        ),
        (
            "extensions",
            cache.map(|dir| dir.join(extension::UNPACKED)),
            "the latest 5 builds, and those of the last day",
        ),
    ];
    let mut findings: Vec<Finding> =
        kept.into_iter().filter_map(|(what, dir, bound)| kept_in(what, &dir?, bound)).collect();
    let abandoned = temporary::abandoned();
    if !abandoned.is_empty() {
        let bytes = abandoned.iter().map(|(dir, _)| size(dir)).sum();
        let text = format!(
            "{} of killed processes ({}), such as {}; the next `navtrace run` removes them",
            counted(abandoned.len(), "folder"),
            megabytes(bytes),
            abandoned[0].0.display()
        );
        findings.push(Finding::new(CheckStatus::Hint, "left behind", text));
    }
    if !findings.is_empty() {
        findings.insert(0, Finding::new(CheckStatus::Heading, "", "On the disk"));
    }
    findings
}

fn kept_in(what: &'static str, dir: &Path, bound: &str) -> Option<Finding> {
    let count = fs::read_dir(dir).ok()?.count();
    let text = format!("{} ({}) in {}: {bound}", counted(count, "item"), megabytes(size(dir)), dir.display());
    (count > 0).then(|| Finding::new(CheckStatus::Ok, what, text))
}

/// Returns the bytes in a folder. What can't be read, or is removed meanwhile, counts as nothing.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[allow(clippy::cast_precision_loss, reason = "a disk has fewer than 2^52 bytes")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
