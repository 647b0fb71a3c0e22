//! Sends what earlier browsers left: the spool, and the sessions whose browser and hosts were killed together.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::base::directories::StateDirectory;
use crate::export::destination::Destination;
use crate::export::journal::{self, ExportResult, Journal};
use crate::export::options::{BatchOptions, Endpoint};
use crate::export::otlp;
use crate::export::session::QueuedSession;
use crate::export::spool::Spool;
use crate::export::sweep;
use crate::export::transport::{Answer, Transport};

/// The result of a flush.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// Spans that the collector accepted.
    pub(crate) sent: usize,
    /// Spans that the collector rejected for good.
    pub(crate) refused: usize,
    /// Spans that are still to be sent.
    pub(crate) left: usize,
    /// Sessions whose spans can't be moved to the spool.
    pub(crate) sessions_left: usize,
    /// Spans for other collectors, which stay.
    pub(crate) elsewhere: BTreeMap<Destination, usize>,
    /// Why spans are left or were refused.
    pub(crate) reason: Option<String>,
}

/// Moves the spans of ended sessions, and of sessions whose browser has ended, to the spool. Skips journals that a host has locked. Returns how many
/// sessions could not be moved.
pub(crate) fn adopt(state: &StateDirectory, options: &BatchOptions) -> usize {
    sweep::sweep(state);
    let spool = Spool::new(state.spool(), None);
    let mut failed = 0;
    for entry in fs::read_dir(state.sessions()).into_iter().flatten().flatten() {
        if let Err(error) = adopt_session(&entry.path(), &spool, options)
            && !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotFound)
        {
            tracing::warn!("the spans in {} can't be moved to the spool: {error}", entry.path().display());
            // A journal that is unreadable was renamed.
            failed += usize::from(error.kind() != ErrorKind::InvalidData && entry.path().is_file());
        }
    }
    failed
}

fn adopt_session(path: &Path, spool: &Spool, options: &BatchOptions) -> io::Result<()> {
    if path.extension().is_none_or(|extension| extension != journal::EXTENSION) {
        return Ok(());
    }
    let journal = Journal::open_existing(path)?;
    let Some(mut session) = QueuedSession::of_journal(journal)? else { return Ok(()) };
    // A session that a new trace replaced may be closed while its browser runs.
    if !session.is_closed() && session.start.browser.is_alive() {
        return Ok(());
    }
    // The end is unknown: 0 stands for the time of the last observation.
    session.close(0)?;
    while session.waiting() > 0 {
        let (request, count) = session.batch(0, options.max_export_batch_size);
        let added = spool.put_for(session.start.destination.as_ref(), &request)?;
        if let Some(message) = added.dropped_message() {
            tracing::warn!("{message}");
        }
        if let Err(error) = session.remove(0, count, ExportResult::Spooled) {
            // The journal still has these spans. They must not be in the spool too, or each start would add them again.
            fs::remove_file(&added.path)?;
            return Err(error);
        }
    }
    session.finish();
    Ok(())
}

/// Sends everything that is left for this collector, until it is unavailable; from a user also what was left for the collectors of runs. The error
/// names the setting or file that can't be used.
pub(crate) fn flush(state: &StateDirectory, options: &BatchOptions, endpoint: &Endpoint) -> Result<Flushed, String> {
    let sessions_left = adopt(state, options);
    let spool = Spool::new(state.spool(), Some(Destination::of(endpoint)));
    let spool = if endpoint.run.is_none() { spool.with_runs() } else { spool };
    let transport = Transport::new(endpoint)?;
    let mut flushed = Flushed { sessions_left, elsewhere: spool.spans_elsewhere(), ..Flushed::default() };
    let mut tried = HashSet::new();
    // A batch that another process sends at the moment is skipped and not counted.
    while let Some(next) = spool.next_except(&tried) {
        let batch = match next {
            Ok(batch) => batch,
            Err(unusable) => {
                flushed.left += unusable.spans;
                flushed.reason = Some(unusable.reason);
                tried.insert(unusable.path);
                continue;
            }
        };
        tried.insert(batch.path.clone());
        let spans = otlp::count(&batch.request);
        match transport.send(&batch.request) {
            Answer::Accepted { rejected, message } => {
                let rejected = rejected.min(spans);
                flushed.sent += spans - rejected;
                flushed.refused += rejected;
                flushed.reason = flushed.reason.or(Some(message).filter(|message| !message.is_empty()));
                batch.remove()?;
            }
            Answer::Refused(reason) => {
                flushed.refused += spans;
                flushed.reason = Some(reason);
                batch.remove()?;
            }
            // The collector may fail on this batch alone.
            Answer::Failed { reason, .. } => {
                flushed.reason = Some(reason);
                flushed.left += spans;
            }
            Answer::Unavailable { reason, .. } => {
                flushed.reason = Some(reason);
                flushed.left = spool.spans();
                break;
            }
        }
    }
    Ok(flushed)
}
