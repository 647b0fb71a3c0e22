//! Memory that the allocator keeps for later.

/// Gives memory that is not in use back to the system. The allocator would keep it between what is in use.
pub(crate) fn return_free() {
    // SAFETY: it only releases memory that is free.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
