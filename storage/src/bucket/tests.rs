use object_store::memory::InMemory;

use super::*;
use crate::faulty::Faulty;

async fn store(objects: u32) -> InMemory {
    let store = InMemory::new();
    for object in 0..objects {
        let path = ObjectPath::from(format!("a/{object:03}"));
        store.put_opts(&path, PutPayload::new(), PutOptions::default()).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_listing_that_breaks_off_goes_on_where_it_was() {
    let faulty = Faulty::new(Arc::new(store(20).await)).with_broken_listings(12);
    let listed: Vec<ObjectMeta> =
        resuming(Arc::new(faulty), Some(ObjectPath::from("a")), |error| error)
            .try_collect()
            .await
            .unwrap();
    let names: Vec<String> = listed.iter().map(|meta| meta.location.to_string()).collect();
    let wanted: Vec<String> = (0..20).map(|object| format!("a/{object:03}")).collect();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn a_listing_that_brings_nothing_is_given_up() {
    let faulty = Faulty::new(Arc::new(InMemory::new())).with_broken_listings(u32::MAX);
    let listed: Result<Vec<ObjectMeta>, _> =
        resuming(Arc::new(faulty), None, |error| error).try_collect().await;
    assert!(listed.is_err());
}
