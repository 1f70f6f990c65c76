use futures::future::join_all;

use super::*;

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(2)
        .build()
        .unwrap()
}

#[test]
fn every_reader_gets_its_own_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |n: usize| directory.path().join(n.to_string());
    for n in 0..500 {
        std::fs::write(path(n), n.to_string()).unwrap();
    }
    for slow in [false, true] {
        let reads = Arc::new(SmallReads::default());
        reads.slow.store(slow, Ordering::Relaxed);
        let runtime = runtime(2);
        let found = runtime.block_on(async {
            // Half of the callers go away before they are answered.
            join_all((0..1_000).map(async |n| {
                let read = reads.read(path(n % 600));
                if n % 2 == 0 {
                    return Some(read.await);
                }
                futures::FutureExt::now_or_never(read)
            }))
            .await
        });
        for (n, found) in found.into_iter().enumerate().filter(|(n, _)| n % 2 == 0) {
            match found.unwrap() {
                Ok(found) => assert_eq!(found.unwrap().bytes, (n % 600).to_string()),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::NotFound);
                    assert!(n % 600 >= 500);
                }
            }
        }
        let bound = Instant::now() + Duration::from_secs(60);
        while reads.lock().readers > 0 {
            assert!(Instant::now() < bound, "readers stay although nothing waits");
            std::thread::yield_now();
        }
        assert!(reads.lock().jobs.is_empty());
    }
}

#[test]
fn what_is_no_small_file_is_left_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let file = File::create(&path).unwrap();
    for (size, small) in [(0, true), (SMALL_MAX_BYTES, true), (SMALL_MAX_BYTES + 1, false)] {
        file.set_len(size).unwrap();
        let found = read_small(&path).unwrap();
        assert_eq!(found.map(|file| file.bytes.len() as u64), small.then_some(size));
    }
    assert!(read_small(directory.path()).unwrap().is_none(), "a directory");
    assert!(read_small(Path::new("/dev/zero")).unwrap().is_none(), "a device without an end");
}

#[tokio::test]
async fn slow_reads_get_more_readers_and_fast_ones_do_not() {
    for (slow, readers) in [(false, 100_usize.div_ceil(TAKEN_AT_ONCE)), (true, READERS_MAX)] {
        let reads = Arc::new(SmallReads { slow: slow.into(), ..SmallReads::default() });
        let job = || Job { path: PathBuf::new(), reply: oneshot::channel().0 };
        let gathering: Vec<_> = (0..100).filter_map(|_| reads.enqueue(job())).collect();
        assert_eq!(gathering.len(), 1, "one caller gathers for all");
        assert_eq!(reads.missing(&reads.lock()), readers);
    }
}
