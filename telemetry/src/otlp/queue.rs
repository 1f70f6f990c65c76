//! What waits to be sent.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::Notify;

/// Most spans that wait, a few megabytes: half a minute of the shortest shards.
pub(crate) const WAITING_MAX: usize = 16_384;
/// Most spans in one message, unless one tree has more.
const BATCH_SPANS: usize = 1_024;
/// Most bytes in one message, likewise; receivers take 1 MiB and more.
const BATCH_BYTES: usize = 512 << 10;

/// Spans that wait, tree by tree.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// Told when a batch is full.
    pub(crate) full: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    trees: VecDeque<Vec<Span>>,
    spans: usize,
    dropped: u64,
}

impl Queue {
    /// Takes in a tree, or drops it if there is no room.
    pub(crate) fn push(&self, tree: Vec<Span>) {
        let mut waiting = self.lock();
        if waiting.spans + tree.len() > WAITING_MAX {
            waiting.dropped += tree.len() as u64;
            return;
        }
        waiting.spans += tree.len();
        waiting.trees.push_back(tree);
        if waiting.spans >= BATCH_SPANS {
            self.full.notify_one();
        }
    }

    /// The trees of the next message; none if nothing waits.
    pub(crate) fn next(&self) -> Option<Vec<Vec<Span>>> {
        let mut waiting = self.lock();
        let (mut batch, mut spans, mut bytes) = (Vec::new(), 0, 0);
        while let Some(tree) = waiting.trees.front() {
            let size: usize = tree.iter().map(Message::encoded_len).sum();
            let fits = spans + tree.len() <= BATCH_SPANS && bytes + size <= BATCH_BYTES;
            if !batch.is_empty() && !fits {
                break;
            }
            (spans, bytes) = (spans + tree.len(), bytes + size);
            waiting.spans -= tree.len();
            batch.extend(waiting.trees.pop_front());
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Takes back what could not be sent, ahead of what came later, as far as there is room.
    pub(crate) fn put_back(&self, batch: Vec<Vec<Span>>) {
        let mut waiting = self.lock();
        for tree in batch.into_iter().rev() {
            if waiting.spans + tree.len() > WAITING_MAX {
                waiting.dropped += tree.len() as u64;
            } else {
                waiting.spans += tree.len();
                waiting.trees.push_front(tree);
            }
        }
    }

    /// Counts spans that were sent for nothing.
    pub(crate) fn drop_spans(&self, spans: usize) {
        self.lock().dropped += spans as u64;
    }

    /// Spans that were dropped since this was asked last.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Whole between calls, so a panic elsewhere cannot break it.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(spans: usize) -> Vec<Span> {
        vec![Span { name: "x".repeat(100), ..Span::default() }; spans]
    }

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_counted() {
        let queue = Queue::default();
        for _ in 0..WAITING_MAX / 8 + 3 {
            queue.push(tree(8));
        }
        assert_eq!(queue.take_dropped(), 24);
        assert_eq!(queue.take_dropped(), 0);
        let mut spans = 0;
        while let Some(batch) = queue.next() {
            spans += batch.iter().map(Vec::len).sum::<usize>();
        }
        assert_eq!(spans, WAITING_MAX);
    }

    #[test]
    fn no_tree_is_split_and_no_message_is_large() {
        let queue = Queue::default();
        (0..500).for_each(|_| queue.push(tree(7)));
        while let Some(batch) = queue.next() {
            assert!(batch.iter().all(|tree| tree.len() == 7));
            assert!(batch.iter().map(Vec::len).sum::<usize>() <= BATCH_SPANS);
        }
    }

    #[test]
    fn what_could_not_be_sent_comes_first_again() {
        let queue = Queue::default();
        queue.push(tree(1));
        let batch = queue.next().unwrap();
        queue.push(tree(2));
        queue.put_back(batch);
        assert_eq!(queue.next().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    }
}
