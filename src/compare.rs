//! Compare: says what has become slower or faster from one run to another, and which spans explain it.
//!
//! [`profile`] takes the spans of a run, [`statistics`] tells differences from noise, [`comparison`] puts two profiles side by side.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and durations are compared with decimal numbers"
)]

pub(crate) mod comparison;
pub(crate) mod profile;
mod statistics;

use std::path::Path;

use crate::base::failure::Failure;
use crate::compare::profile::{Profile, ProfileSink};
use crate::view::sources::Sources;

/// Reads the spans of a file or a folder. Also returns these, which say what could not be read.
pub(crate) fn read(path: &Path) -> Result<(Profile, Sources), Failure> {
    let mut sink = ProfileSink::default();
    let sources = Sources::read(&[path.to_owned()], &mut sink)?;
    Ok((sink.finish(), sources))
}
