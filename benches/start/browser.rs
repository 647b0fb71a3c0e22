//! Measures starts of a browser.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::machine::Meter;
use crate::navtrace::{Environment, is_in_use};

/// Time after the line that the client waits for, in which the rest of the start uses the processors.
const SETTLE: Duration = Duration::from_secs(1);

/// Arguments that k6 1.8.1 gives its browser, and `--no-sandbox` for root.
const CHROMIUM_ARGUMENTS: [&str; 31] = [
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-breakpad",
    "--disable-component-extensions-with-background-pages",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-features=ImprovedCookieControls,LazyFrameLoading,GlobalMediaControls,DestroyProfileOnBrowserClose,MediaRouter,AcceptCHFrame",
    "--disable-hang-monitor",
    "--disable-ipc-flooding-protection",
    "--disable-popup-blocking",
    "--disable-prompt-on-repost",
    "--disable-renderer-backgrounding",
    "--enable-automation",
    "--enable-features=NetworkService,NetworkServiceInProcess",
    "--force-color-profile=srgb",
    "--headless",
    "--hide-scrollbars",
    "--metrics-recording-only",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-sandbox",
    "--no-service-autorun",
    "--no-startup-window",
    "--password-store=basic",
    "--remote-debugging-port=0",
    "--use-mock-keychain",
    "--window-size=800,600",
];

/// A way to start a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Without navtrace.
    Alone,
    /// With an extension that only completes the start, whose worker has one line of work.
    Worker,
    /// With navtrace, in the mode that it chooses.
    Gate,
    /// With navtrace in static mode.
    Static,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Alone, Self::Worker, Self::Gate, Self::Static];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Worker => "worker",
            Self::Gate => "gate",
            Self::Static => "static",
        }
    }

    fn command(self, environment: &Environment, control: &Path) -> Command {
        let chromium = std::env::var("NAVTRACE_BROWSER").unwrap_or_else(|_| "chromium".to_owned());
        if self == Self::Alone {
            let mut command = Command::new(chromium);
            command.env("HOME", environment.home()).env("TMPDIR", environment.temporary());
            return command;
        }
        let mut command = navtrace_command(environment, &["launch"]);
        command.env("NAVTRACE_BROWSER", chromium);
        match self {
            Self::Worker => command.env("NAVTRACE_EXTENSION", control),
            Self::Static => command.env("NAVTRACE_MODE", "static"),
            Self::Alone | Self::Gate => &mut command,
        };
        command
    }

    /// Starts a browser. Returns the seconds until the line that its client waits for, and the CPU seconds of the machine until the start
    /// has settled.
    pub(crate) fn start(self, environment: &Environment, control: &Path) -> [f64; 2] {
        let profile = environment.home().join("profile");
        let mut command = self.command(environment, control);
        command.args(CHROMIUM_ARGUMENTS).arg(format!("--user-data-dir={}", profile.display()));
        let meter = Meter::start();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let browser = Running(child);
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut before = Vec::new();
        let listening = lines.by_ref().any(|line| {
            let listening = line.starts_with("DevTools listening on ");
            before.push(line);
            listening
        });
        let wall = meter.wall();
        assert!(listening, "{command:?} did not listen:\n{}", before.join("\n"));
        std::thread::sleep(SETTLE);
        let cpu = meter.cpu();
        drop(browser);
        // Renderers and the relay take a moment to end. The next start must not pay for that.
        while is_in_use(&profile) || !environment.processes().is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::remove_dir_all(&profile).unwrap();
        [wall, cpu]
    }
}

/// Returns a command in which spans are exported by default, as they are for users.
pub(crate) fn navtrace_command(environment: &Environment, args: &[&str]) -> Command {
    let mut command = environment.navtrace(args);
    command.env_remove("OTEL_TRACES_EXPORTER");
    command
}

/// Kills its process when it is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
