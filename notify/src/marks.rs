//! The marks of what was told, in the output root.

use futures::TryStreamExt;
use jiff::Timestamp;
use nightshift_core::ids::RunId;
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::report::telling::{Channel, TellingFacts, Told, Try};
use nightshift_storage::documents::Settled;
use nightshift_storage::error::StoreError;
use nightshift_storage::root::{Probed, Reader};

/// What the store says about one channel of a run.
pub(crate) async fn facts(
    root: &Reader,
    run: &RunId,
    channel: Channel,
) -> Result<TellingFacts, StoreError> {
    if root.exists(&Object::Told { run: run.clone(), channel }).await? {
        return Ok(TellingFacts { told: true, newest: None });
    }
    let prefix = Prefix::Tries(run.clone(), channel);
    let newest = root.list(&prefix).try_fold(None, async |newest: Option<u32>, listed| {
        Ok(match listed.object {
            Some(Object::Try { number, .. }) => newest.max(Some(number)),
            _ => newest,
        })
    });
    let Some(number) = newest.await? else { return Ok(TellingFacts::default()) };
    let tried: Option<Try> = root.read(&Object::Try { run: run.clone(), channel, number }).await?;
    // One that vanished in between was none.
    Ok(TellingFacts { told: false, newest: tried.map(|tried| (number, tried.at)) })
}

/// Notes a try; false if somebody else was faster.
pub(crate) async fn begin(
    root: &Probed,
    run: &RunId,
    channel: Channel,
    number: u32,
    by: &str,
) -> Result<bool, StoreError> {
    let object = Object::Try { run: run.clone(), channel, number };
    let (run, by, at) = (run.clone(), by.to_owned(), Timestamp::now());
    let tried = Try { version: Try::VERSION, run, channel, number, by, at };
    Ok(match root.create_once(&object, &tried).await? {
        Settled::Created => true,
        Settled::Existing(_) => false,
    })
}

/// Marks a channel as told.
pub(crate) async fn end(
    root: &Probed,
    run: &RunId,
    channel: Channel,
    by: &str,
) -> Result<(), StoreError> {
    let object = Object::Told { run: run.clone(), channel };
    let (run, by, at) = (run.clone(), by.to_owned(), Timestamp::now());
    let told = Told { version: Told::VERSION, run, channel, by, at };
    // Somebody else may have told too, which is as good.
    let (Settled::Created | Settled::Existing(_)) = root.create_once(&object, &told).await?;
    Ok(())
}
