//! Stores that ignore the condition of a create, and one or two processes in front of them.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::*;
use crate::faulty::{Fault, Faulty, Lie, Seen};
use crate::root::key;

/// Times that let a test end, and a busy machine keep up.
const REQUEST: Duration = Duration::from_secs(3);

fn name(letter: char) -> Name {
    let token = format!("01ARZ3NDEKTSV4RRFFQ69G5FA{letter}").parse().unwrap();
    Name { token, who: format!("process {letter}") }
}

async fn hold(store: Arc<dyn ObjectStore>, letter: char) -> Result<Hold, StoreError> {
    let lost = watch::Sender::new(None);
    Hold::take("memory", store, name(letter), Times::of(REQUEST), lost).await
}

/// A store that ignores conditions, behind a process that decides.
async fn decided(faulty: Faulty) -> Creating {
    let truth: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clerk = Clerk::new(hold(truth, 'A').await.unwrap());
    Creating::by_clerk(Arc::new(faulty.with_lie(Lie::Overwrites)), Arc::new(clerk))
}

async fn create(store: &dyn ObjectStore, path: &Path, bytes: &str) -> object_store::Result<()> {
    let payload = PutPayload::from(Bytes::from(bytes.to_owned()));
    store.put_opts(path, payload, PutOptions::from(PutMode::Create)).await.map(drop)
}

async fn read(store: &dyn ObjectStore, path: &Path) -> String {
    let bytes = store.get(path).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn of_twenty_racing_creates_one_wins_and_stays() {
    let store = decided(Faulty::new(Arc::new(InMemory::new()))).await;
    let path = Path::from("record");
    let racers: Vec<String> = (0..20).map(|racer| format!("racer {racer}")).collect();
    let ends = join_all(racers.iter().map(|bytes| create(&store, &path, bytes))).await;
    let won: Vec<&String> =
        ends.iter().zip(&racers).filter(|(end, _)| end.is_ok()).map(|(_, racer)| racer).collect();
    assert_eq!(won.len(), 1, "{ends:?}");
    assert_eq!(read(&store, &path).await, *won[0]);
    assert!(create(&store, &path, "late").await.is_err());
    assert_eq!(read(&store, &path).await, *won[0]);
}

#[tokio::test]
async fn what_was_sent_without_an_answer_stands_whether_it_happened_or_not() {
    for happens in [true, false] {
        let inner = Arc::new(InMemory::new());
        let faulty = Faulty::new(inner).with_creates([Fault { happens, sees: Seen::Timeout }]);
        let store = decided(faulty).await;
        let path = Path::from("record");
        create(&store, &path, "first").await.unwrap_err();
        // The first may still arrive, so the second must not be what counts until then.
        let second = create(&store, &path, "second").await.unwrap_err();
        assert!(matches!(second, object_store::Error::AlreadyExists { .. }), "{second}");
        assert_eq!(read(&store, &path).await, "first", "happened: {happens}");
    }
}

#[tokio::test]
async fn the_same_bytes_may_be_sent_again() {
    let faults = [Fault { happens: false, sees: Seen::ServerError }];
    let store = decided(Faulty::new(Arc::new(InMemory::new())).with_creates(faults)).await;
    let path = Path::from("record");
    create(&store, &path, "mine").await.unwrap_err();
    create(&store, &path, "mine").await.unwrap();
    assert_eq!(read(&store, &path).await, "mine");
}

#[tokio::test]
async fn a_process_that_finds_another_alive_is_refused_and_one_that_left_is_followed() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let first = hold(Arc::clone(&store), 'A').await.unwrap();
    let refused = hold(Arc::clone(&store), 'B').await.unwrap_err();
    assert!(refused.to_string().contains("memory is held by process A, since "), "{refused}");
    first.check().unwrap();
    first.stop();
    first.check().unwrap_err();
    first.release().await;
    hold(store, 'B').await.unwrap().check().unwrap();
}

#[tokio::test]
async fn a_process_that_died_is_followed_when_it_has_been_silent_for_long() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let first = hold(Arc::clone(&store), 'A').await.unwrap();
    // No sign of life from now on, and no word that it has ended.
    first.stop();
    let began = tokio::time::Instant::now();
    hold(store, 'B').await.unwrap().check().unwrap();
    assert!(began.elapsed() > REQUEST * 2, "after {:?}", began.elapsed());
}

#[tokio::test]
async fn of_processes_that_start_together_one_goes_on() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let starts = ['A', 'B', 'C', 'D'].map(|letter| hold(Arc::clone(&store), letter));
    let ends = join_all(starts).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
}

#[tokio::test]
async fn a_process_whose_root_was_taken_writes_nothing_more_and_says_so() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lost = watch::Sender::new(None);
    let mut told = lost.subscribe();
    let times = Times::of(REQUEST);
    let held = Hold::take("memory", Arc::clone(&store), name('A'), times, lost).await.unwrap();
    let holder = store.get(&key(&Object::Holder)).await.unwrap().bytes().await.unwrap();
    let other = String::from_utf8(holder.to_vec()).unwrap().replace("5FAA", "5FAB");
    store.put(&key(&Object::Holder), PutPayload::from(other.into_bytes())).await.unwrap();
    let why = tokio::time::timeout(REQUEST * 4, told.wait_for(Option::is_some)).await;
    let why = why.unwrap().unwrap().clone().unwrap();
    assert!(why.contains("this process writes nothing more there"), "{why}");
    held.check().unwrap_err();
}
