//! navtrace
