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

/// Every create of a race is refused, whether one happened or none did.
#[tokio::test]
async fn a_race_over_a_network_that_tells_nobody_who_won_is_settled_by_what_is_stored() {
    let truth = Fault { happens: true, sees: Seen::Truth };
    let lost = Fault { happens: true, sees: Seen::Precondition412 };
    let nothing = Fault { happens: false, sees: Seen::Conflict409 };
    for ends in [vec![lost; RACERS], vec![nothing; RACERS]] {
        let inner = Arc::new(InMemory::new());
        let script = [truth, truth].into_iter().chain(ends);
        let store = Faulty::new(inner.clone()).with_creates(script);
        check(&store, "memory", Doubt::Settled, |_| std::future::ready(Ok(()))).await.unwrap();
        assert_eq!(store.creates_left(), 0);
        assert_eq!(left(&inner).await, 0);
    }
}

/// A store that says "exists" of everything and stores nothing cannot hold a verdict.
#[tokio::test]
async fn a_store_that_refuses_every_create_of_a_race_is_refused() {
    let truth = Fault { happens: true, sees: Seen::Truth };
    let nothing = Fault { happens: false, sees: Seen::AlreadyExists };
    let script = [truth, truth].into_iter().chain(vec![nothing; 200]);
    let store = Faulty::new(Arc::new(InMemory::new())).with_creates(script);
    let probed = check(&store, "memory", Doubt::Settled, |_| std::future::ready(Ok(())));
    let error = probed.await.unwrap_err();
    assert!(error.to_string().contains("create a probe object"), "{error}");
}
