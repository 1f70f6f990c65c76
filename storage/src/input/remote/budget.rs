//! What the objects that one process reads may hold of their bytes together.
//!
//! Many objects are open at a time, and most of them are not being read: a shard ended there. So
//! whoever fetches more has the others let go of what was read longest ago.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::{Span, lock};

/// Most bytes that all objects hold together: what eight threads hold, each in an object of its
/// own.
pub(crate) const HELD_BYTES_MAX: u64 = 8 * super::KEPT_BYTES_MAX;
/// Objects that were read last, which keep the spans that their readers stand in.
const RECENT: usize = 16;
/// Spans that an object keeps that is being read: the one, and the one that follows it.
pub(super) const SPANS_MIN: usize = 2;

/// The spans of one object, the one used last at the end.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) spans: Mutex<VecDeque<Arc<Span>>>,
    bytes: AtomicU64,
}

/// All objects that hold something, the one that fetched last at the end.
#[derive(Default)]
pub(in crate::input) struct Budget {
    objects: Mutex<VecDeque<Weak<Kept>>>,
}

impl Kept {
    pub(super) fn of(spans: impl IntoIterator<Item = Arc<Span>>) -> Self {
        let kept =
            Self { spans: Mutex::new(spans.into_iter().collect()), bytes: AtomicU64::new(0) };
        kept.trim(&mut lock(&kept.spans), u64::MAX, SPANS_MIN);
        kept
    }

    /// Lets go of the spans that were used longest ago until at most `bytes` are held, or `least`
    /// spans are left.
    pub(super) fn trim(&self, spans: &mut VecDeque<Arc<Span>>, bytes: u64, least: usize) {
        let mut held: u64 = spans.iter().map(|span| span.end - span.start).sum();
        while spans.len() > least && held > bytes {
            held -= spans.pop_front().map_or(0, |span| span.end - span.start);
        }
        self.bytes.store(held, Ordering::Relaxed);
    }

    fn held(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Budget {
    /// `by` has fetched something; its lock must not be held.
    pub(super) fn fetched(&self, by: &Arc<Kept>) {
        self.fetched_within(by, HELD_BYTES_MAX);
    }

    fn fetched_within(&self, by: &Arc<Kept>, held_max: u64) {
        let mut objects = lock(&self.objects);
        objects.retain(|object| object.strong_count() > 0 && !std::ptr::eq(object.as_ptr(), &**by));
        objects.push_back(Arc::downgrade(by));
        let all: Vec<Arc<Kept>> = objects.iter().filter_map(Weak::upgrade).collect();
        drop(objects);
        let idle = all.len().saturating_sub(RECENT);
        let leasts = std::iter::repeat_n(0, idle).chain(std::iter::repeat(SPANS_MIN));
        let mut held: u64 = all.iter().map(|kept| kept.held()).sum();
        for (kept, least) in all.iter().zip(leasts) {
            if held <= held_max {
                return;
            }
            let before = kept.held();
            let excess = held - held_max;
            kept.trim(&mut lock(&kept.spans), before.saturating_sub(excess), least);
            held = held.saturating_sub(before.saturating_sub(kept.held()));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::State;
    use super::*;

    const SPAN: u64 = 100;

    fn object(spans: u64) -> Arc<Kept> {
        let span = |n| Span::new(n * SPAN, (n + 1) * SPAN, true, State::Here(Bytes::new()));
        Arc::new(Kept::of((0..spans).map(|n| Arc::new(span(n)))))
    }

    #[test]
    fn what_was_read_longest_ago_goes_first_and_readers_keep_their_place() {
        let budget = Budget::default();
        let objects: Vec<Arc<Kept>> = (0..30).map(|_| object(8)).collect();
        for object in &objects {
            budget.fetched_within(object, 50 * SPAN);
        }
        let held: Vec<u64> = objects.iter().map(|object| object.held() / SPAN).collect();
        let together: u64 = held.iter().sum();
        assert!(together <= 50, "{held:?}");
        assert_eq!(held[..14], [0; 14], "nobody reads them any more");
        assert!(held[14..].iter().all(|spans| *spans >= 2), "{held:?}");
        assert_eq!(held[29], 8, "the last one has all of its own");
        // Read again, an object counts among the last ones.
        budget.fetched_within(&objects[14], 2 * SPAN);
        budget.fetched_within(&object(1), 2 * SPAN);
        assert_eq!(objects[14].held(), 2 * SPAN);
        assert_eq!(objects[15].held(), 0);
    }

    #[test]
    fn an_object_that_is_gone_holds_nothing() {
        let budget = Budget::default();
        for _ in 0..100 {
            budget.fetched_within(&object(8), 10 * SPAN);
        }
        let last = object(8);
        budget.fetched_within(&last, 10 * SPAN);
        assert_eq!(last.held(), 8 * SPAN);
        assert_eq!(lock(&budget.objects).len(), 1);
    }
}
