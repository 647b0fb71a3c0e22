//! Finds out what this machine, or a container on it, withholds from Chromium.

/// The switch that turns the sandbox off.
pub(crate) const NO_SANDBOX: &str = "no-sandbox";

/// The switch that makes renderers share memory by files in the temporary directory.
pub(super) const NO_SHARED_MEMORY: &str = "disable-dev-shm-usage";

/// Where renderers share memory otherwise. They crash when it is full.
const SHARED_MEMORY: &str = "/dev/shm";

/// Size of [`SHARED_MEMORY`] that is enough for common pages, in bytes. Containers have 64 MiB unless they are told otherwise.
const ENOUGH_SHARED_MEMORY: u64 = 256 << 20;

/// Returns the warning of a start without the sandbox for the reason of [`missing_sandbox`].
pub(crate) fn sandbox_warning(reason: &str) -> String {
    format!("{reason}: starting it with --{NO_SANDBOX}")
}

/// Returns why Chromium would refuse to start without `--no-sandbox`, if it would.
pub(crate) fn missing_sandbox() -> Option<&'static str> {
    if rustix::process::geteuid().is_root() {
        Some("running as root, where Chromium has no sandbox")
    } else if !may_gain_privileges() && !allows_sandbox() {
        Some("user namespaces or chroot are not allowed here, and Chromium's sandbox needs both")
    } else {
        None
    }
}

/// Returns whether a set-user-ID program could get what it needs to make namespaces. Chromium may have such a program for its sandbox. Containers
/// usually forbid it.
fn may_gain_privileges() -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CapabilitySet, capability_is_in_bounding_set, no_new_privs};
        !no_new_privs().unwrap_or(false) && capability_is_in_bounding_set(CapabilitySet::SYS_ADMIN).unwrap_or(true)
    }
    #[cfg(not(target_os = "linux"))]
    true
}

/// Tries in a child what Chromium's sandbox does: makes namespaces, and leaves the file system. Only the attempt tells, because the limit of
/// namespaces, a filter of system calls and a changed root directory can each forbid a part of it.
fn allows_sandbox() -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, WaitOptions, waitpid};
        const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNET;
        // SAFETY: the child makes three system calls, which allocate nothing and take no lock.
        let child = unsafe {
            match libc::fork() {
                0 => {
                    let allowed = libc::unshare(NAMESPACES) == 0 && libc::chroot(c"/proc/self/fdinfo".as_ptr()) == 0;
                    libc::_exit(i32::from(!allowed))
                }
                child => child,
            }
        };
        let child = if child > 0 { Pid::from_raw(child) } else { None };
        let status = child.map(|child| waitpid(Some(child), WaitOptions::empty()));
        // Where nothing is known, Chromium decides.
        !matches!(status, Some(Ok(Some((_, status)))) if status.exit_status() != Some(0))
    }
    #[cfg(not(target_os = "linux"))]
    true
}

/// Returns whether the folder for shared memory is too small, or is missing.
pub(super) fn lacks_shared_memory() -> bool {
    cfg!(target_os = "linux")
        && rustix::fs::statvfs(SHARED_MEMORY)
            .map_or(true, |system| system.f_blocks.saturating_mul(system.f_frsize) < ENOUGH_SHARED_MEMORY)
}
