use super::*;
use crate::stub::{RUN, Stub};

async fn fleet(denied: Option<u32>) -> (tempfile::TempDir, Stub, Fleet, Arc<Records>) {
    let folder = tempfile::tempdir().unwrap();
    let (address, stub) = Stub::serve(&folder.path().join("out"), 300, denied).await;
    let (output, spare) = (folder.path().join("out"), folder.path().join("spare"));
    let records = Records::prepare(&output, spare, RUN.parse().unwrap(), 200).await.unwrap();
    let fleet = Fleet::connect(address, 10, 3).await.unwrap();
    (folder, stub, fleet, Arc::new(records))
}

fn job(pairs: u32, rate: Option<u32>) -> Job {
    Job { run: RUN.to_owned(), pairs, rate, time_max: Duration::from_secs(600) }
}

#[tokio::test]
async fn every_pair_is_one_shard_with_its_record() {
    let (_folder, stub, fleet, records) = fleet(None).await;
    let seen = fleet.perform(&job(120, None), &records).await.unwrap();
    assert_eq!(seen.pairs, 120);
    assert_eq!(stub.told.lock().unwrap().reported, (0..120).collect());
    assert_eq!(stub.told.lock().unwrap().workers.len(), 10);
    // At a rate, and after others: the next shards.
    let seen = fleet.perform(&job(80, Some(100_000)), &records).await.unwrap();
    assert_eq!(seen.pairs, 80);
    assert_eq!(stub.told.lock().unwrap().reported, (0..200).collect());
    for latencies in [seen.acquire, seen.report] {
        assert!(latencies.quantiles().p50_ms > 0.0);
    }
}

#[tokio::test]
async fn pairs_are_due_at_even_distances() {
    let turns = Turns::new(&job(3, Some(10)));
    let due: Vec<_> = std::iter::from_fn(|| turns.take()).collect();
    let since_start = due.iter().map(|due| due.duration_since(turns.started).as_millis());
    assert_eq!(since_start.collect::<Vec<_>>(), [0, 100, 200]);
    assert_eq!(turns.taken(), 3);
    let over = Turns::new(&Job { time_max: Duration::ZERO, ..job(3, None) });
    assert_eq!((over.take(), over.taken()), (None, 0));
}

#[tokio::test]
async fn a_measurement_that_is_not_what_it_seems_fails() {
    // A report that is not believed, and a shard without a record.
    let (_folder, _stub, fleet_with_denial, records) = fleet(Some(7)).await;
    let failed = fleet_with_denial.perform(&job(100, None), &records).await.unwrap_err();
    assert!(failed.to_string().contains("NO_RECORD"), "{failed:#}");
    let (_folder, _stub, fleet, records) = fleet(None).await;
    let failed = fleet.perform(&job(250, None), &records).await.unwrap_err();
    assert!(failed.to_string().contains("no record was prepared"), "{failed:#}");
}
