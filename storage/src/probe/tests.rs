use std::sync::Arc;

use object_store::memory::InMemory;

use super::*;
use crate::error::Class;
use crate::faulty::{Fault, Faulty, Lie, Seen};

async fn probe(store: &Faulty) -> Result<(), StoreError> {
    check(store, "memory", Doubt::Refused, |_| std::future::ready(Ok(()))).await
}

async fn left(store: &InMemory) -> usize {
    store.list(None).count().await
}

#[tokio::test]
async fn an_honest_store_passes_and_is_left_empty() {
    let inner = Arc::new(InMemory::new());
    probe(&Faulty::new(inner.clone())).await.unwrap();
    assert_eq!(left(&inner).await, 0);
}

#[tokio::test]
async fn a_store_that_breaks_a_promise_is_refused_with_the_reason() {
    for (lie, words) in [
        (Lie::Overwrites, "a second create is refused: it was accepted"),
        (Lie::HidesObjects, "a listing shows the object: []"),
        (Lie::GarblesReads, "the first bytes are read back: others were"),
    ] {
        let inner = Arc::new(InMemory::new());
        let error = probe(&Faulty::new(inner.clone()).with_lie(lie)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{lie:?}: {error}");
        assert_eq!(error.class(), Class::Invalid);
        assert_eq!(left(&inner).await, 0, "{lie:?} left objects behind");
    }
}

#[tokio::test]
async fn a_race_without_a_winner_or_with_a_false_one_is_refused() {
    let truth = Fault { happens: true, sees: Seen::Truth };
    let hidden = Fault { happens: true, sees: Seen::AlreadyExists };
    let inner = Arc::new(InMemory::new());
    let store = Faulty::new(inner.clone()).with_creates([truth, truth, hidden]);
    let error = probe(&store).await.unwrap_err();
    assert!(error.to_string().contains("one winner: it had 0"), "{error}");
    assert_eq!(left(&inner).await, 0);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_called_a_liar() {
    for (sees, class) in [
        (Seen::Reset, Class::Io),
        (Seen::Forbidden403, Class::Permission),
        (Seen::NoSpace, Class::Io),
    ] {
        let fault = Fault { happens: false, sees };
        let store = Faulty::new(Arc::new(InMemory::new())).with_creates([fault]);
        let error = probe(&store).await.unwrap_err();
        assert!(!matches!(error, StoreError::ProbeFailed { .. }), "{error}");
        assert_eq!(error.class(), class, "{error}");
    }
}
