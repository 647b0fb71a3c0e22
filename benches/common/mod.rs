//! Modules that the benchmarks share. Every benchmark uses only a part of them.
#![allow(dead_code)]

pub(crate) mod arguments;
pub(crate) mod control;
pub(crate) mod goals;
pub(crate) mod machine;
pub(crate) mod rounds;
pub(crate) mod samples;
pub(crate) mod stats;
