//! Building blocks that every other module uses: failures, files and directories of the user, processes, signals, standard streams.

pub(crate) mod directories;
pub(crate) mod environment;
pub(crate) mod failure;
pub(crate) mod file_lock;
pub(crate) mod files;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod stdio;
pub(crate) mod text;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, even if a thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
