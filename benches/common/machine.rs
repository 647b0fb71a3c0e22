//! Measures the CPU time of the whole machine, from `/proc/stat`. So the machine must do nothing else.

use std::time::Instant;

/// Returns the CPU seconds of all processors since the machine started: user, nice, system, interrupts.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("/proc/stat can be read on Linux");
    busy_ticks(&stat) / ticks_per_second()
}

/// Returns the ticks of the first line of `/proc/stat` in which a processor was busy: all but idle, iowait, steal, and guest time, which user
/// time includes.
fn busy_ticks(stat: &str) -> f64 {
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> = line.split_whitespace().skip(1).map(|field| field.parse().unwrap()).collect();
    [0, 1, 2, 5, 6].iter().map(|field| fields[*field]).sum()
}

/// Returns the unit of `/proc/stat`.
fn ticks_per_second() -> f64 {
    // SAFETY: `sysconf` only reads a setting of the system.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u32::try_from(ticks).map_or(100.0, f64::from)
}

/// Measures what is used from its start on.
pub(crate) struct Meter {
    cpu: f64,
    start: Instant,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { cpu: cpu_seconds(), start: Instant::now() }
    }

    /// Returns the CPU seconds of the whole machine so far.
    pub(crate) fn cpu(&self) -> f64 {
        cpu_seconds() - self.cpu
    }

    /// Returns the seconds so far.
    pub(crate) fn wall(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}
