//! Requests that no honest client sends: each is refused with words, and costs next to nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use nightshift_proto::limits::{
    ACQUIRE_MAX, ACQUIRE_WAIT_MAX_MS, LEASES_MAX, REQUEST_MAX_BYTES, TOP_LEVEL_FIELDS_MAX,
};
use nightshift_proto::wire::{
    AcquireRequest, GetRequest, HeartbeatRequest, LeaseId, LeaseProgress, Phase, ReleaseRequest,
    ReportRequest, SpecSource, StartRequest, Token, WatchRequest, report_request,
};
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::grpc::{Client, scoring, wish};
use nightshift_tests::http2::Stalling;
use nightshift_tests::waiting::wait_for;
use prost::Message;
use prost::bytes::Bytes;
use tonic::{Code, Status};

/// How much more memory the coordinator may take at its peak, whatever is sent: less than any of
/// the large messages has.
const PEAK_MORE_MAX_KB: u64 = 64 << 10;
/// Size of the largest message.
const HUGE_BYTES: usize = 100 << 20;
/// What a stalling client sends of its message: as much as HTTP/2 lets it, unasked.
const HALF_BYTES: usize = 60_000;
/// Clients that misbehave at the same time.
const CLIENTS: usize = 50;
const RUN: &str = "flights-all-g1";

/// A coordinator with one run, which must serve an honest client while it is maltreated.
struct Maltreated {
    cluster: Cluster,
    before_kb: u64,
    stop: Arc<AtomicBool>,
    honest: Option<JoinHandle<u64>>,
    served: Arc<AtomicU64>,
}

impl Maltreated {
    fn start() -> Self {
        let bench = Bench::with(&SpecText::default(), "flights.parquet", 2_000);
        let mut cluster = Cluster::start(bench, Setting::default());
        assert_eq!(cluster.submit("all"), RUN);
        let before_kb = cluster.coordinator().peak_kb();
        let stop = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicU64::new(0));
        let honest = std::thread::spawn({
            let (client, stop, served) =
                (cluster.coordinator().client(), Arc::clone(&stop), Arc::clone(&served));
            move || honest(&client, &stop, &served)
        });
        Self { cluster, before_kb, stop, honest: Some(honest), served }
    }

    fn client(&mut self) -> Client {
        self.cluster.coordinator().client()
    }

    /// Waits until the honest client was served once more, from question to answer.
    fn serves(&self) {
        let seen = self.served.load(Ordering::Relaxed);
        wait_for("the honest client is served", || {
            (self.served.load(Ordering::Relaxed) >= seen + 2).then_some(())
        });
    }

    /// Fails if that took too much memory or kept the honest client from being served.
    fn judge(mut self) {
        self.serves();
        self.stop.store(true, Ordering::Relaxed);
        let answers = self.honest.take().unwrap().join().unwrap();
        self.cluster.assert_sound();
        let peak_kb = self.cluster.coordinator().peak_kb();
        eprintln!("{answers} honest calls served; peak {} kB, then {peak_kb} kB", self.before_kb);
        assert!(
            peak_kb <= self.before_kb + PEAK_MORE_MAX_KB,
            "the peak of memory rose from {} kB to {peak_kb} kB",
            self.before_kb
        );
    }
}

fn honest(client: &Client, stop: &AtomicBool, served: &AtomicU64) -> u64 {
    while !stop.load(Ordering::Relaxed) {
        client.heartbeat(scoring("honest", [])).unwrap();
        let get = GetRequest { run: RUN.to_owned(), shard: None, open_shards_max: 0 };
        client.wait(client.runs().get(get)).unwrap();
        served.fetch_add(1, Ordering::Relaxed);
    }
    served.load(Ordering::Relaxed)
}

fn lease(shard: u32) -> LeaseId {
    let token = Some(Token { epoch: 1, sequence: shard.into() });
    LeaseId { run: RUN.to_owned(), shard, token }
}

/// Field 2 of a message, `count` times, empty: two bytes on the wire each.
fn empty_elements(count: usize) -> Bytes {
    [0x12, 0x00].repeat(count).into()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, codes: &[Code], says: &[&str]) {
    let status = answer.expect_err("this must be refused");
    assert!(codes.contains(&status.code()), "{status:?} is none of {codes:?}");
    for words in says {
        assert!(status.message().contains(words), "{status:?} does not say `{words}`");
    }
}

/// What a message beyond the limit on bytes is answered with.
const TOO_LARGE: [Code; 3] = [Code::OutOfRange, Code::ResourceExhausted, Code::InvalidArgument];

#[test]
fn large_messages_are_refused_without_being_held() {
    let mut target = Maltreated::start();
    for message in [Bytes::from(vec![0; HUGE_BYTES]), empty_elements(1_000_000)] {
        for method in ["ShardLeases/Heartbeat", "ShardLeases/Acquire", "Runs/Start"] {
            let answer = target.client().raw(method, message.clone());
            refused(answer, &TOO_LARGE, &["length"]);
            target.serves();
        }
    }
    let leases = (0..100_000).map(lease);
    let heartbeat = scoring("worker", leases);
    assert!(heartbeat.encoded_len() > REQUEST_MAX_BYTES);
    refused(target.client().heartbeat(heartbeat), &TOO_LARGE, &["length"]);
    let yaml = "#".repeat(HUGE_BYTES);
    let spec = Some(SpecSource { yaml, ..SpecSource::default() });
    let start = StartRequest { spec, ..StartRequest::default() };
    refused(target.client().start(start), &TOO_LARGE, &["length"]);
    target.judge();
}

#[test]
fn lists_within_the_limit_on_bytes_are_counted_before_they_are_unfolded() {
    let mut target = Maltreated::start();
    let client = target.client();
    let invalid = [Code::InvalidArgument];
    let most = empty_elements(REQUEST_MAX_BYTES / 2);
    refused(client.raw("ShardLeases/Heartbeat", most.clone()), &invalid, &["fields"]);
    refused(client.raw("ShardLeases/Release", most), &invalid, &["fields"]);
    let few = empty_elements(TOP_LEVEL_FIELDS_MAX);
    refused(client.raw("ShardLeases/Heartbeat", few), &invalid, &[]);
    let more = (0..=LEASES_MAX as u32).map(lease);
    refused(client.heartbeat(scoring("worker", more)), &invalid, &["`leases`", "1001", "1000"]);
    let leases = (0..=LEASES_MAX as u32).map(lease).collect();
    let release = ReleaseRequest { worker_id: "worker".to_owned(), leases, leaving: false };
    refused(client.release(release), &invalid, &["`leases`", "1001"]);
    let just = (0..LEASES_MAX as u32).map(lease);
    let answer = client.heartbeat(scoring("worker", just)).unwrap();
    assert_eq!(answer.answers.len(), LEASES_MAX);
    target.judge();
}

#[test]
fn values_beyond_their_limits_are_refused_by_name() {
    let mut target = Maltreated::start();
    let client = target.client();
    let acquire = |change: fn(&mut AcquireRequest), says: &[&str]| {
        let mut request = wish("worker", "r", 1);
        change(&mut request);
        refused(client.acquire(request), &[Code::InvalidArgument], says);
    };
    acquire(|request| request.max = u32::MAX, &["`max`", "4294967295", &ACQUIRE_MAX.to_string()]);
    acquire(|request| request.max = 0, &["`max`", "it is 0"]);
    let wait_ms = ACQUIRE_WAIT_MAX_MS.to_string();
    acquire(|request| request.wait_ms = ACQUIRE_WAIT_MAX_MS + 1, &["`wait_ms`", &wait_ms]);
    acquire(|request| request.wait_ms = u32::MAX, &["`wait_ms`"]);
    acquire(|request| request.worker_id = "w".repeat(10_000), &["`worker_id`", "10000", "128"]);
    acquire(|request| request.worker_id.clear(), &["`worker_id`", "empty"]);
    acquire(|request| request.worker_id = "a\u{1b}[31m".to_owned(), &["`worker_id`", "byte 1"]);
    acquire(|request| request.request_id = "r".repeat(10_000), &["`request_id`"]);
    acquire(|request| request.run = "../../etc/passwd".to_owned(), &["`run`"]);
    let get =
        GetRequest { run: "no-such-2013-01-01-g1".to_owned(), shard: None, open_shards_max: 0 };
    let answer = client.wait(client.runs().get(get)).map(drop);
    refused(answer, &[Code::NotFound], &["no-such-2013-01-01-g1"]);
    let report = ReportRequest {
        worker_id: "worker".to_owned(),
        lease: Some(lease(0)),
        attempt: "not-a-ulid".to_owned(),
        outcome: Some(report_request::Outcome::Lost(Default::default())),
        batch_size: 0,
    };
    refused(client.report(report.clone()), &[Code::InvalidArgument], &["`attempt`"]);
    let nothing = ReportRequest { lease: None, ..report };
    refused(client.report(nothing), &[Code::InvalidArgument], &["`lease`", "missing"]);
    target.judge();
}

#[test]
fn unknown_fields_are_accepted_and_unknown_values_are_not() {
    let mut target = Maltreated::start();
    let client = target.client();
    // Field 999, of a version to come: a number, and a text.
    let unknown = [0xb8, 0x3e, 0x01, 0xc2, 0x3e, 0x03, b'n', b'e', b'w'];
    let message = [wish("worker", "r", 1).encode_to_vec(), unknown.to_vec()].concat();
    client.raw("ShardLeases/Acquire", message.into()).unwrap();
    let progress = LeaseProgress { lease: Some(lease(0)), phase: 77, rows_done: 0 };
    let worker_id = "worker".to_owned();
    let odd = HeartbeatRequest { worker_id: worker_id.clone(), leases: vec![progress.clone()] };
    refused(
        client.heartbeat(odd),
        &[Code::InvalidArgument],
        &["`leases`", "element 0", "`phase`", "77"],
    );
    let unset = LeaseProgress { phase: Phase::Unspecified.into(), ..progress };
    let unset = HeartbeatRequest { worker_id, leases: vec![unset] };
    refused(client.heartbeat(unset), &[Code::InvalidArgument], &["`phase`"]);
    refused(
        client.raw("ShardLeases/Acquire", Bytes::from_static(&[0x0a, 0xff])),
        &[Code::InvalidArgument, Code::Internal],
        &[],
    );
    refused(client.raw("ShardLeases/Nothing", Bytes::new()), &[Code::Unimplemented], &[]);
    target.judge();
}

#[test]
fn clients_that_stall_are_given_up_and_keep_nobody_waiting() {
    let mut target = Maltreated::start();
    let address = target.cluster.coordinator().grpc();
    let half = |method| {
        let mut client = Stalling::connect(address);
        client.begin(method, HALF_BYTES * 2, HALF_BYTES);
        client
    };
    // Half a message each, on a connection of its own.
    let stalled: Vec<Stalling> = (0..CLIENTS).map(|_| half("ShardLeases/Heartbeat")).collect();
    // Connections on which nothing is said at all, and some that only greet.
    let silent: Vec<TcpStream> =
        (0..CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let greeted: Vec<Stalling> = (0..CLIENTS).map(|_| Stalling::connect(address)).collect();
    target.serves();
    let endings = stalled.into_iter().map(|mut client| std::thread::spawn(move || client.ending()));
    let endings: Vec<JoinHandle<&str>> = endings.collect();
    let endings: Vec<&str> = endings.into_iter().map(|ending| ending.join().unwrap()).collect();
    assert!(endings.iter().all(|&ending| ending == "answered"), "{endings:?}");
    drop((silent, greeted));
    target.judge();
}

#[test]
fn watchers_that_never_read_cost_the_others_nothing() {
    let mut target = Maltreated::start();
    let client = target.client();
    let watch = WatchRequest { run: RUN.to_owned(), interval_ms: 100 };
    let streams: Vec<_> = (0..CLIENTS)
        .map(|_| client.wait(client.runs().watch(watch.clone())).unwrap().into_inner())
        .collect();
    // The run changes all the while.
    for request in 0..200 {
        let granted = client.acquire(wish("worker", &format!("r{request}"), 4)).unwrap();
        let leases: Vec<LeaseId> =
            granted.grants.into_iter().map(|grant| grant.lease.unwrap()).collect();
        assert!(!leases.is_empty(), "request {request} gets nothing");
        let (worker_id, count) = ("worker".to_owned(), leases.len() as u32);
        let release = ReleaseRequest { worker_id, leases, leaving: false };
        assert_eq!(client.release(release).unwrap().released, count);
    }
    target.serves();
    drop(streams);
    target.judge();
}

#[test]
fn another_page_or_shard_than_there_is_is_refused() {
    let mut target = Maltreated::start();
    let client = target.client();
    let get = GetRequest { run: RUN.to_owned(), shard: Some(1_000_000), open_shards_max: 0 };
    let answer = client.wait(client.runs().get(get)).map(drop);
    refused(answer, &[Code::InvalidArgument, Code::NotFound], &["shard"]);
    let watch = |interval_ms| WatchRequest { run: RUN.to_owned(), interval_ms };
    for interval_ms in [0, 99, u32::MAX] {
        let answer = client.wait(client.runs().watch(watch(interval_ms))).map(drop);
        refused(answer, &[Code::InvalidArgument], &["`interval_ms`"]);
    }
    target.judge();
}
