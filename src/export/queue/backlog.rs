//! The messages that wait for the queue's thread, which may have to wait for a disk.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::base::lock;
use crate::export::queue::Message;

/// Limit for the batches of observations that wait. It is twice what the extension sends without an acknowledgment, so a disk that is merely slow
/// costs no batch.
const MAX_BATCHES: usize = 128;

/// Limit for all messages, beyond which steps of tests are dropped: their navigations then stand below the context.
const MAX_MESSAGES: usize = 10_000;

/// A queue of messages. Drops the oldest batches of observations when there are too many.
#[derive(Default)]
pub(super) struct Backlog {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    batches: usize,
    /// The number of observations that were dropped.
    dropped: u64,
}

impl Backlog {
    /// Adds a message. Never waits for the thread.
    pub(super) fn add(&self, message: Message) {
        let mut state = lock(&self.state);
        if matches!(message, Message::Step(_) | Message::Iteration(_)) && state.messages.len() >= MAX_MESSAGES {
            return;
        }
        state.batches += usize::from(is_batch(&message));
        state.messages.push_back(message);
        if state.batches > MAX_BATCHES {
            state.drop_oldest();
        }
        self.arrived.notify_one();
    }

    /// Takes the next message, or returns `None` if none arrives before `deadline`.
    pub(super) fn next(&self, deadline: Option<Instant>) -> Option<Message> {
        let mut state = lock(&self.state);
        loop {
            if let Some(message) = state.take() {
                return Some(message);
            }
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return None,
                Some(left) => self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

impl State {
    /// Takes the first message. A batch counts what was dropped before it as lost.
    fn take(&mut self) -> Option<Message> {
        let mut message = self.messages.pop_front()?;
        if let Message::Observed(observed) = &mut message {
            self.batches -= 1;
            observed.dropped = observed.dropped.saturating_add(self.dropped);
        }
        Some(message)
    }

    fn drop_oldest(&mut self) {
        let oldest = self.messages.iter().position(is_batch).and_then(|at| self.messages.remove(at));
        if let Some(Message::Observed(observed)) = oldest {
            self.batches -= 1;
            self.dropped += observed.observations.len() as u64;
        }
    }
}

fn is_batch(message: &Message) -> bool {
    matches!(message, Message::Observed(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::observation::{Observation, Observed};

    fn batch(number: usize) -> Message {
        let (worker, number) = ("worker".to_owned(), number as u64);
        let observations = vec![Observation::TabClosed { time: 0.0, tab_id: 7 }; 3];
        Message::Observed(Observed { worker, number, dropped: 0, session: None, observations })
    }

    /// Returns the numbers of the batches that wait, and what each says was dropped.
    fn batches(backlog: &Backlog) -> Vec<(usize, u64)> {
        let messages = std::iter::from_fn(|| backlog.next(Some(Instant::now())));
        let number = |message| match message {
            Message::Observed(Observed { number, dropped, .. }) => Some((usize::try_from(number).unwrap(), dropped)),
            _ => None,
        };
        messages.filter_map(number).collect()
    }

    #[test]
    fn a_thread_that_does_not_go_on_costs_the_oldest_batches() {
        let backlog = Backlog::default();
        for number in 1..=4 * MAX_BATCHES {
            backlog.add(batch(number));
        }
        let dropped = 3 * MAX_BATCHES;
        let left = (dropped + 1..=4 * MAX_BATCHES).map(|number| (number, 3 * dropped as u64));
        assert_eq!(batches(&backlog), left.collect::<Vec<_>>());
        backlog.add(batch(1));
        assert_eq!(batches(&backlog), [(1, 3 * dropped as u64)]);
    }

    #[test]
    fn what_waits_within_the_limit_is_kept_in_order() {
        let backlog = Backlog::default();
        for number in 1..=MAX_BATCHES {
            backlog.add(batch(number));
        }
        assert_eq!(batches(&backlog), (1..=MAX_BATCHES).map(|number| (number, 0)).collect::<Vec<_>>());
    }

    #[test]
    fn no_other_message_is_dropped() {
        let backlog = Backlog::default();
        backlog.add(Message::ChannelEnded);
        for number in 1..=MAX_BATCHES + 1 {
            backlog.add(batch(number));
        }
        assert!(matches!(backlog.next(None), Some(Message::ChannelEnded)));
        assert_eq!(batches(&backlog).len(), MAX_BATCHES);
    }
}
