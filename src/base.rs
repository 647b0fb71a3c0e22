//! What every room stands on: failures, files that are the user's alone, directories, processes, standard streams.

pub(crate) mod directories;
pub(crate) mod failure;
pub(crate) mod files;
pub(crate) mod process;
pub(crate) mod stdio;
pub(crate) mod text;
