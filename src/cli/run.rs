//! `navtrace run`: runs a command whose browsers are traced, and says what was traced.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode as ProcessExitCode};
use std::time::Duration;

use rand::RngExt;

use crate::base::directories::StateDirectory;
use crate::base::environment::RUN_COLLECTOR;
use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::cli::setting_flags::SettingFlags;
use crate::cli::{check, collect};
use crate::context::mode::ModeSetting;
use crate::context::propagator::Propagator;
use crate::context::sampler;
use crate::export::options::{Endpoint, ExportOptions, RunIdentity};
use crate::launch::{extension, find, machine};
use crate::run::collector::{self, RunningCollector};
use crate::run::{Run, RunOptions};
use crate::settings::assignment::{FILE, Source};
use crate::settings::export::{ENDPOINT, EXPORTER, PROTOCOL, SCHEDULE_DELAY, TRACES_ENDPOINT, TRACES_PROTOCOL};
use crate::settings::{self, Config, table};

/// Run a command whose browsers carry trace context
///
/// Clients find navtrace as their browser: by the variables of k6, Puppeteer, Selenium, Lighthouse and others, by the usual names on PATH, and in
/// the place of Playwright's own Chromium. Runs the command with its own standard streams and exit status, and then says on standard error what was
/// traced.
///
/// Unless OTEL_EXPORTER_OTLP_ENDPOINT names a collector, spans are received here: the browser's, and those of services that send them to the
/// same place. The command's environment says where that is.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "navtrace run [OPTIONS] -- <CMD>...",
    after_help = "Examples:\n  navtrace run -- k6 run script.js\n  navtrace run --output traces.jsonl -- node puppeteer-test.js"
)]
pub(super) struct Args {
    #[command(flatten)]
    collect: collect::Options,

    /// Once CMD has ended, wait until no span has arrived for this long [default: 500ms, or not at all if every span is of a browser that has ended; up to 6s for services that are known to send more]
    #[arg(long, value_name = "DURATION", value_parser = collect::duration)]
    wait: Option<Duration>,

    /// Check a condition on the spans once CMD has ended, or those of @FILE, one per line; may be given several times. If one does not hold, the exit code is 99, unless CMD fails
    #[arg(long, value_name = "CONDITION", value_parser = check::conditions)]
    check: Vec<check::Conditions>,

    #[command(flatten)]
    reports: check::Reports,

    #[command(flatten)]
    pub(super) flags: SettingFlags,

    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// Batch delay of CMD's services and browsers when they send spans to the collector here, in milliseconds. It is short because users look
/// at the traces right after the test.
const COLLECTED_DELAY: &str = "500";

/// Names the folder with the state directories of all programs.
const STATE_HOME: &str = "XDG_STATE_HOME";

/// Protocol of the collector here.
const COLLECTED_PROTOCOL: &str = "http/protobuf";

pub(super) fn run(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    match &config.export.endpoint {
        // The collector here needs neither headers nor a client's certificate.
        Some(endpoint) if endpoint.is_default => endpoint.unusable.iter().for_each(|reason| say(reason)),
        _ => config.check_export()?,
    }
    check_checks(config, args)?;
    // Problems that keep every browser from starting are reported once, before the command starts.
    let browser = find::find(config.browser.as_deref())?;
    for sentence in browser.warnings.iter().cloned().chain(find::remote_browsers()) {
        say(&sentence);
    }
    let extension = match config.mode {
        // The launcher writes an extension for each start.
        ModeSetting::Static => None,
        ModeSetting::Worker(_) => Some(extension::provide(config.extension.as_deref())?),
    };
    if let Some(reason) = machine::missing_sandbox() {
        say(&machine::sandbox_warning(reason));
    }
    let run = Run::prepare()?;
    let collector = start_collector(config, &args.collect)?;

    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]).envs(config.environment()).env(settings::BROWSER, &browser.path);
    // Set in any case: a client may give a browser a context of its own.
    let run_id = config.export.run.id.clone().unwrap_or_else(|| format!("{:032x}", rand::rng().random::<u128>()));
    command.env(settings::RUN_ID, &run_id);
    let is_k6 = is_k6(&args.command[0]);
    if *config.source(settings::PARENT) == Source::Default && is_k6 {
        command.env(settings::PARENT, "link");
    }
    if let (Some(_), Some(extension)) = (&config.extension, extension) {
        // The absolute path: the browser may be started from another directory.
        command.env(settings::EXTENSION, extension);
    }
    if let Some(collector) = &collector {
        set_endpoint(config, &mut command, &collector.endpoint());
    }
    let variables = table::all().map(|setting| setting.name).chain([FILE, STATE_HOME]).collect();
    // Baggage alone goes only to the client's hosts.
    let writes_spans = config.policy.propagators.iter().any(|propagator| *propagator != Propagator::Baggage);
    // k6 reads this variable too, and would sample its spans apart from the browsers' traces.
    let sampler = config.text_in_environment(sampler::SETTING).filter(|_| config.policy.sampler.ratio < 1.0);
    let options = RunOptions {
        wait: args.wait,
        link: config.link.as_ref(),
        variables,
        defaults: defaults(config),
        browser: &browser,
        policy: config.browser_policy(),
        export: export_of_tests(config, collector.as_ref(), run.socket(), run_id),
        // Where k6 is started by another command, the variable may be meant for that one's services.
        joins_k6: config.mode != ModeSetting::Static && (is_k6 || sampler.is_none()),
        browser_sampler: sampler,
        is_unlimited: config.policy.targets.is_empty() && writes_spans,
    };
    let finished = run.execute(command, collector, &options)?;
    let conditions = check::all(&args.check);
    if conditions.is_empty() {
        return Ok(finished.code.into());
    }
    match check::after_run(config, &conditions, &args.reports, finished.traces) {
        Ok(code) if finished.code == 0 => Ok(code.into()),
        Err(failure) if finished.code == 0 => Err(failure),
        // The command's own failure says more.
        checked => {
            checked.err().iter().for_each(|failure| say(&failure.to_string()));
            Ok(finished.code.into())
        }
    }
}

/// Refuses conditions that can't be checked, and reports without conditions.
fn check_checks(config: &Config, args: &Args) -> Result<(), Failure> {
    let usage = |message: String| Failure::new(ExitCode::Usage, message);
    if args.check.is_empty() {
        return if args.reports.is_empty() { Ok(()) } else { Err(usage("--report needs --check".to_owned())) };
    }
    if let Some(conflict) = conflict(config) {
        return Err(usage(format!("--check can't be used while {conflict}"))
            .hint("to check files of another collector: navtrace check FILE"));
    }
    args.collect.check_readable()?;
    args.reports.check_targets(args.collect.output())
}

/// Says why spans are not collected here.
fn conflict(config: &Config) -> Option<String> {
    match &config.export.endpoint {
        None => Some(format!("the export is switched off: unset {EXPORTER} and OTEL_SDK_DISABLED")),
        Some(endpoint) if !endpoint.is_default => {
            Some(format!("spans go to {}: unset {ENDPOINT} and {TRACES_ENDPOINT}", endpoint.name()))
        }
        Some(_) => None,
    }
}

/// Returns variables with which a browser finds config.toml and the state directory even if its client hides the home directory.
fn defaults(config: &Config) -> Vec<(&'static str, OsString)> {
    let file = config.file.as_ref().filter(|file| file.exists).map(|file| (FILE, file.path.clone().into_os_string()));
    let state = StateDirectory::path().and_then(|path| Some((STATE_HOME, path.parent()?.as_os_str().to_owned())));
    file.into_iter().chain(state).collect()
}

/// Starts the collector unless the settings name another one.
fn start_collector(config: &Config, options: &collect::Options) -> Result<Option<RunningCollector>, Failure> {
    if let Some(conflict) = conflict(config) {
        return match options.given() {
            Some(option) => Err(Failure::new(ExitCode::Usage, format!("{option} can't be used while {conflict}"))),
            None => Ok(None),
        };
    }
    let collector = collector::start(&options.to_collector())?;
    say(&format!("spans are collected at {}, where services can send theirs too ({ENDPOINT})", collector.addresses()));
    Ok(Some(collector))
}

/// Returns how this process sends spans itself.
fn export_of_tests(
    config: &Config,
    collector: Option<&RunningCollector>,
    socket: &Path,
    run_id: String,
) -> ExportOptions {
    let endpoint = match collector {
        Some(collector) => Endpoint::of_collector(&collector.endpoint(), socket),
        None => config.export.endpoint.clone(),
    };
    let run = RunIdentity { id: Some(run_id), ..config.export.run.clone() };
    ExportOptions { endpoint, run, ..config.export.clone() }
}

/// Returns whether a program is k6, whose many iterations would be one trace too large for anything to show. Builds with extensions are often
/// named k6 and something.
fn is_k6(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"k6"))
}

/// Sends the spans of the command and of its children to the collector at `endpoint`.
fn set_endpoint(config: &Config, command: &mut Command, endpoint: &str) {
    command
        .env(ENDPOINT, endpoint)
        .env(RUN_COLLECTOR, endpoint)
        .env(PROTOCOL, COLLECTED_PROTOCOL)
        .env_remove(TRACES_PROTOCOL);
    if matches!(config.source(TRACES_PROTOCOL), Source::File(_)) {
        // The browser's host reads config.toml too.
        command.env(TRACES_PROTOCOL, COLLECTED_PROTOCOL);
    }
    if *config.source(SCHEDULE_DELAY) == Source::Default {
        command.env(SCHEDULE_DELAY, COLLECTED_DELAY);
    }
}
