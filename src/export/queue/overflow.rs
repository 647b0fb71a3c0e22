//! Moves spans from the queue to the spool.

use std::sync::Arc;

use crate::export::journal::ExportResult;
use crate::export::options::BatchOptions;
use crate::export::problems::Problems;
use crate::export::root_cause;
use crate::export::session::QueuedSession;
use crate::export::spool::Spool;

pub(super) struct Overflow {
    /// `None` without a state directory.
    pub(super) spool: Option<Spool>,
    pub(super) options: BatchOptions,
    pub(super) problems: Arc<Problems>,
    /// Whether the spool has batches that were not there before.
    pub(super) has_spooled: bool,
}

impl Overflow {
    /// Moves the oldest spans that are not in flight, while the queue is longer than allowed.
    pub(super) fn shorten(&mut self, session: &mut QueuedSession) {
        while session.waiting() > session.in_flight + self.options.max_queue_size
            && self.move_batch(session, session.in_flight)
        {}
    }

    /// Moves all spans.
    pub(super) fn empty(&mut self, session: &mut QueuedSession) {
        while session.waiting() > 0 && self.move_batch(session, 0) {}
    }

    /// Moves a batch that starts at index `from`. Returns false if the spans stay in the queue, because they are in the journal and the spool
    /// can't be written.
    fn move_batch(&mut self, session: &mut QueuedSession, from: usize) -> bool {
        let (request, count) = session.batch(from, self.options.max_export_batch_size);
        let result = match self.spool.as_ref().map(|spool| spool.put(&request)) {
            Some(Ok(put)) => {
                self.problems.check_dropped(&put);
                self.has_spooled = true;
                ExportResult::Spooled
            }
            Some(Err(error)) => {
                let is_in_journal = session.is_in_journal();
                let consequence = if is_in_journal { "they stay in the session's journal" } else { "they are lost" };
                let problem = format!("spans can't be kept in the spool ({}): {consequence}", root_cause(&error));
                self.problems.set("spool", &problem);
                if is_in_journal {
                    return false;
                }
                ExportResult::Lost
            }
            None => ExportResult::Lost,
        };
        self.problems.check_journal(session.remove(from, count, result));
        true
    }
}
