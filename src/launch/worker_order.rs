//! Sees to it that a client finds the workers of its own extensions before navtrace's, as Playwright's documentation does for tests of
//! extensions: `context.serviceWorkers()[0]`.
//!
//! Chromium reports the workers that run already in an order that is nearly random, but the same for every client. So before the gate opens,
//! the host attaches to them over `DevTools` as a client does, and restarts navtrace's worker if it is not the last one. Then the worker has
//! another place. Its next host does the same.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::environment;
use crate::base::files::{self, Readers};
use crate::launch::devtools::Connection;
use crate::launch::{extension, flags};

/// Restarts of navtrace's worker at most. About one in three is in vain.
const MAX_RESTARTS: u32 = 6;

/// Time that the workers of other extensions may take to start. Usually they already run.
const START_TIMEOUT: Duration = Duration::from_secs(2);

/// Interval between two looks at the list of workers.
const INTERVAL: Duration = Duration::from_millis(20);

/// Reloads the extension once nobody is attached to its worker. A worker that somebody is attached to keeps its place.
const RELOAD: &str = "setTimeout(() => chrome.runtime.reload(), 50)";

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1024;

/// A task for the hosts of a browser, in a file beside its gate.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Task {
    /// Number of workers that come before navtrace's.
    workers: usize,
    /// Restarts that are left.
    restarts: u32,
}

fn file(gate: &Path) -> PathBuf {
    gate.with_file_name("worker-order")
}

impl Task {
    fn read(gate: &Path) -> Option<Self> {
        serde_json::from_slice(&files::read(&file(gate), MAX_FILE).ok()?).ok()
    }

    fn write(&self, gate: &Path) -> io::Result<()> {
        files::write(&file(gate), &serde_json::to_vec(self)?, Readers::User)
    }
}

/// Tells the hosts of the browser with the gate at `gate` that its client loads extensions with workers of its own, if it does.
pub(super) fn announce(gate: &Path, args: &[OsString]) {
    let folders = flags::value(args, "load-extension").map(OsStrExt::as_bytes).unwrap_or_default();
    let folders = folders.split(|byte| *byte == b',').map(|folder| Path::new(std::ffi::OsStr::from_bytes(folder)));
    let workers = folders.filter(|folder| extension::has_worker(folder));
    // A folder that is named twice is one extension.
    let workers = workers.map(|folder| fs::canonicalize(folder).unwrap_or_else(|_| folder.into()));
    let workers = workers.collect::<BTreeSet<_>>().len();
    if workers > 0
        && let Err(error) = (Task { workers, restarts: MAX_RESTARTS }).write(gate)
    {
        tracing::debug!("a client may find navtrace's worker before those of its extensions: {error}");
    }
}

/// Restarts the worker of this host if a client would find it before those of its own extensions. Returns whether it does. The client must not
/// be let through then.
pub(crate) fn restart_early_worker() -> bool {
    let Some(gate) = environment::path(environment::GATE_SOCKET) else { return false };
    let Some(task) = Task::read(&gate) else { return false };
    let restarted = restart_if_early(&gate, &task).unwrap_or_else(|error| {
        tracing::debug!("a client may find navtrace's worker before those of its extensions: {error}");
        false
    });
    if !restarted {
        // From now on the client sees which worker starts when.
        let _ = fs::remove_file(file(&gate));
    }
    restarted
}

fn restart_if_early(gate: &Path, task: &Task) -> io::Result<bool> {
    let Some(restarts) = task.restarts.checked_sub(1) else { return Ok(false) };
    let mut browser = Connection::open()?;
    let deadline = Instant::now() + START_TIMEOUT;
    while workers(&browser.targets()?).len() <= task.workers {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(INTERVAL);
    }
    let targets = browser.attach_to_workers()?;
    drop(browser);
    let Some(own) = early(&workers(&targets)) else { return Ok(false) };
    Task { restarts, ..*task }.write(gate)?;
    Connection::open_target(own)?.call("Runtime.evaluate", &json!({ "expression": RELOAD }))?;
    Ok(true)
}

/// A worker of an extension.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Worker<'a> {
    target_id: &'a str,
    url: &'a str,
}

/// Returns those of the targets that are workers of extensions.
fn workers(targets: &[Value]) -> Vec<Worker<'_>> {
    let workers = targets.iter().filter(|target| target["type"] == "service_worker");
    let workers = workers.filter_map(|target| Worker::deserialize(target).ok());
    workers.filter(|worker| worker.url.starts_with("chrome-extension://")).collect()
}

/// Returns the target of navtrace's worker if it is before another one.
fn early<'a>(workers: &[Worker<'a>]) -> Option<&'a str> {
    let own = workers.iter().position(|worker| worker.url.starts_with(extension::ORIGIN))?;
    (own + 1 < workers.len()).then(|| workers[own].target_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_workers_of_extensions() {
        let own = json!({ "type": "service_worker", "url": format!("{}service-worker.js", extension::ORIGIN), "targetId": "O" });
        let other = json!({ "type": "service_worker", "url": "chrome-extension://x/worker.js", "targetId": "X" });
        let page = json!({ "type": "page", "url": "chrome-extension://x/page.html", "targetId": "P" });
        let site = json!({ "type": "service_worker", "url": "http://a/worker.js", "targetId": "S" });
        let broken = json!({ "type": "service_worker", "url": null });
        for (targets, count, is_early) in [
            (vec![&other, &own, &page, &site], 2, false),
            (vec![&own, &page, &other], 2, true),
            (vec![&other, &own, &broken, &other], 3, true),
            (vec![&own, &site, &broken], 1, false),
            (vec![&other], 1, false),
            (vec![], 0, false),
        ] {
            let targets: Vec<Value> = targets.into_iter().cloned().collect();
            let workers = workers(&targets);
            assert_eq!((workers.len(), early(&workers)), (count, is_early.then_some("O")), "{targets:?}");
        }
    }

    #[test]
    fn the_clients_extensions_with_a_worker_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let gate = dir.path().join("gate");
        let extension = |name: &str, manifest: &str| {
            let folder = dir.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("manifest.json"), manifest).unwrap();
            folder.display().to_string()
        };
        let with = extension("with", r#"{ "background": { "service_worker": "w.js" } }"#);
        let without = extension("without", "{}");
        let another = extension("another", r#"{ "background": { "service_worker": "w.js" } }"#);
        let broken = extension("broken", "{");
        for (args, expected) in [
            (vec!["--headless".to_owned()], None),
            (vec![format!("--load-extension={without},{broken},/gone,")], None),
            (vec![format!("--load-extension={with},{without},{another}")], Some(2)),
            (vec![format!("--load-extension={with},{without}/../with,{with}/")], Some(1)),
        ] {
            let args: Vec<_> = args.into_iter().map(OsString::from).collect();
            announce(&gate, &args);
            let task = expected.map(|workers| Task { workers, restarts: MAX_RESTARTS });
            assert_eq!(Task::read(&gate), task, "{args:?}");
        }
    }
}
