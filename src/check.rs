//! Check: says whether conditions on the spans of a run hold, which may be in several files.
//!
//! [`condition`] parses them, [`matching`] selects spans, [`sink`] evaluates while files are read, [`report`] says what came out ([`outcome`]).

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and durations are compared with decimal numbers"
)]

pub(crate) mod condition;
mod matching;
mod outcome;
pub(crate) mod report;
mod sink;

use std::path::PathBuf;

use crate::base::failure::Failure;
use crate::check::condition::Condition;
use crate::check::matching::Tests;
use crate::check::report::Report;
use crate::check::sink::CheckSink;
use crate::view::link::LinkTemplate;
use crate::view::sources::Sources;

/// Checks conditions on the spans of files and folders. Also returns these, which say what could not be read.
pub(crate) fn check(
    conditions: &[Condition],
    paths: &[PathBuf],
    link: Option<&LinkTemplate>,
) -> Result<(Report, Sources), Failure> {
    let mut tests = Tests::default();
    let needs_tests = conditions.iter().any(Condition::needs_tests);
    let known = needs_tests.then(|| Sources::read(paths, &mut tests)).transpose()?;
    let mut sink = CheckSink::new(conditions, tests);
    let sources = match known {
        Some(sources) => sources.read_again(&mut sink).map(|()| sources)?,
        None => Sources::read(paths, &mut sink)?,
    };
    Ok((sink.finish(link), sources))
}

/// Returns the report on a run without spans.
pub(crate) fn check_nothing(conditions: &[Condition]) -> Report {
    CheckSink::new(conditions, Tests::default()).finish(None)
}
