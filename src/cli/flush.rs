//! `navtrace flush`: sends the spans that earlier browsers could not send.

use std::process::ExitCode as ProcessExitCode;

use crate::base::directories::StateDirectory;
use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::base::text::counted;
use crate::cli::setting_flags::SettingFlags;
use crate::export::destination::Destination;
use crate::export::flush::{self, Flushed};
use crate::settings::Config;
use crate::settings::export::{ENDPOINT, EXPORTER, PROTOCOL};

/// Send the spans that could not be sent before
///
/// Spans that no collector took wait in the state directory. The next traced browser with the same collector sends them, and so does this
/// command: those for the collector to which OTEL_EXPORTER_OTLP_ENDPOINT points, and those that a run's own collector did not take.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// Sends the spans in the state directory. Fails if some of them are refused or can't be sent.
pub(super) fn flush(config: &Config) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    let Some(endpoint) = &config.export.endpoint else {
        let message =
            format!("nothing can be sent while the export is switched off: unset {EXPORTER} and OTEL_SDK_DISABLED");
        return Err(Failure::new(ExitCode::Usage, message));
    };
    let failure = |message: String| Failure::new(ExitCode::Failure, message);
    let state = StateDirectory::of_user()
        .map_err(|error| failure("the state directory can't be used".to_owned()).because(error))?;
    let flushed = flush::flush(&state, &config.export.batch, endpoint).map_err(failure)?;
    let Flushed { sent, refused, left, sessions_left, elsewhere, reason } = flushed;
    let own = Destination::of(endpoint);
    let endpoint = endpoint.name();
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    if sent > 0 {
        say(&format!("{} sent to {endpoint}", counted(sent, "span")));
    }
    for (destination, spans) in &elsewhere {
        let (spans, host) = (counted(*spans, "span"), destination.host());
        // The address alone would not tell them apart.
        let has_other_path = host == own.host();
        let place = if has_other_path { ", at another path or by another protocol" } else { "" };
        let set = if has_other_path { format!("{ENDPOINT} and {PROTOCOL}") } else { ENDPOINT.to_owned() };
        say(&format!("{spans} kept for the collector at {host}{place}: set {set} to it to send them"));
    }
    if left > 0 {
        return Err(failure(format!(
            "{} can't be sent to {endpoint} now and will be kept{reason}",
            counted(left, "span")
        )));
    }
    if refused > 0 {
        return Err(failure(format!("{} refused by {endpoint} and dropped{reason}", counted(refused, "span"))));
    }
    if sessions_left > 0 {
        let sessions = counted(sessions_left, "session");
        return Err(failure(format!(
            "the spans of {sessions} can't be sent now and will be kept: see the warnings above"
        )));
    }
    if sent == 0 && elsewhere.is_empty() {
        say("there is nothing to send");
    }
    Ok(ExitCode::Success.into())
}
