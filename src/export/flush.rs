//! Sends what earlier browsers left: the spool, and the sessions whose browser and hosts were killed together.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use crate::base::directories::StateDirectory;
use crate::export::journal::Journal;
use crate::export::otlp;
use crate::export::record::{Fate, Record};
use crate::export::settings::{Settings, Target};
use crate::export::spool::{self, Spool, Walk};
use crate::export::transport::{Answer, Transport};

/// Whatever is older and still hidden belongs to no process that lives.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a flush did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// Spans that the collector took.
    pub(crate) sent: usize,
    /// Spans that the collector did not want.
    pub(crate) refused: usize,
    /// Spans that are still to be sent.
    pub(crate) left: usize,
    /// Why spans are left, or were refused.
    pub(crate) reason: Option<String>,
}

/// Moves the spans of sessions that are over or whose browser has gone, and that no host has, to the spool.
pub(crate) fn adopt(state: &StateDirectory, settings: &Settings) {
    sweep(state.sessions());
    sweep(state.spool());
    let spool = Spool::new(state.spool(), spool::MOST_BYTES);
    for entry in fs::read_dir(state.sessions()).into_iter().flatten().flatten() {
        if let Err(error) = adopt_one(&entry.path(), &spool, settings)
            && !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotFound)
        {
            tracing::warn!("the session of {} can't be taken up: {error}", entry.path().display());
        }
    }
}

fn adopt_one(path: &Path, spool: &Spool, settings: &Settings) -> std::io::Result<()> {
    if path.extension().is_none_or(|extension| extension != "jsonl") {
        return Ok(());
    }
    let journal = Journal::open_existing(path)?;
    let Some(mut record) = Record::of_journal(journal)? else { return Ok(()) };
    // A session that a new trace has ended may be over before its browser is.
    if !record.is_closed() && record.begun().browser.is_alive() {
        return Ok(());
    }
    // The journal stays as it is until everything is in the spool: a full disk loses nothing.
    let journal = record.detach();
    // Nobody knows when it ended; the last that was seen of it is as good as any.
    record.close(0)?;
    while !record.waiting().is_empty() {
        let (request, count) = record.batch(0, settings);
        spool.put(&request)?;
        record.settle(0, count, Fate::Spooled)?;
    }
    if let Some(journal) = journal {
        journal.remove();
    }
    Ok(())
}

/// Removes what processes were writing when they were killed.
fn sweep(dir: &Path) {
    let is_old = |path: &Path| {
        path.metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > DAY))
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") && is_old(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Sends everything that is left, until the collector fails.
///
/// # Errors
///
/// A sentence that says which setting can't be used.
pub(crate) fn flush(state: &StateDirectory, settings: &Settings, target: &Target) -> Result<Flushed, String> {
    adopt(state, settings);
    let spool = Spool::new(state.spool(), spool::MOST_BYTES);
    let transport = Transport::new(target)?;
    let mut flushed = Flushed::default();
    let mut walk = Walk::default();
    while let Some(batch) = walk.next(&spool) {
        let spans = otlp::count(&batch.request);
        match transport.send(batch.request.clone()) {
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
            // It may be this batch alone that the collector fails over.
            Answer::Failed(reason) => {
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
    // What another process is sending now is that one's to tell.
    Ok(flushed)
}
