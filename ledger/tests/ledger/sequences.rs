//! Any sequence of reports, conclusions, wipes, lies, dumps and rebuilds ends in the state of
//! the store, and is never ahead of it on the way.

use nightshift_core::ids::RunId;
use nightshift_ledger::Keeper;
use nightshift_tests::random::Random;
use nightshift_tests::redis::RedisServer;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::checker::{check, check_never_ahead};
use crate::stage::{Stage, caught_up, keep, name, redis_at, run};

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A shard is decided; the keeper may not be told, as when a process dies in between.
    Decide { day: u32, generation: u32, shard: u32, is_told: bool },
    /// A run is concluded.
    Conclude { day: u32, generation: u32, is_told: bool },
    /// The server loses everything.
    Wipe,
    /// The server loses some keys.
    Lose(&'static str),
    /// The connections are cut.
    Cut,
    /// The server keeps its state for later.
    Save,
    /// It gets that state again.
    Load,
    /// It is killed and starts empty.
    Restart,
    /// It claims what is not true.
    Lie { day: u32, shard: u32 },
    /// The keeper is replaced by another.
    TakeOver,
    /// Somebody asks for a comparison.
    Reconcile,
    /// Everything told so far is written.
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let (day, generation, shard) = (1..4_u32, 1..3_u32, 0..12_u32);
    let decide = (day.clone(), generation.clone(), shard.clone(), prop::bool::weighted(0.95));
    let conclude = (day.clone(), generation, prop::bool::weighted(0.9));
    prop_oneof![
        20 => decide.prop_map(|(day, generation, shard, is_told)| {
            Step::Decide { day, generation, shard, is_told }
        }),
        4 => conclude.prop_map(|(day, generation, is_told)| {
            Step::Conclude { day, generation, is_told }
        }),
        1 => Just(Step::Wipe),
        1 => prop::sample::select(&["meta", "writers", "dates"][..]).prop_map(Step::Lose),
        1 => Just(Step::Cut),
        1 => Just(Step::Save),
        1 => Just(Step::Load),
        1 => Just(Step::Restart),
        1 => (day, shard).prop_map(|(day, shard)| Step::Lie { day, shard }),
        1 => Just(Step::TakeOver),
        1 => Just(Step::Reconcile),
        3 => Just(Step::Settle),
    ]
}

/// A server, a store and a keeper to which things happen.
struct World {
    server: RedisServer,
    stage: Stage,
    keeper: Keeper,
    is_saved: bool,
    /// A lie stands until a rebuild; until then the ledger is ahead, by no fault of its own.
    has_lies: bool,
}

impl World {
    async fn new() -> Self {
        let (server, stage) = (RedisServer::start(), Stage::new().await);
        let keeper = keep(redis_at(&server.url()), &stage);
        Self { server, stage, keeper, is_saved: false, has_lies: false }
    }

    async fn take(&mut self, step: &Step) {
        let handle = self.keeper.handle();
        match step {
            Step::Decide { day, generation, shard, is_told } => {
                let run = run(*day, *generation);
                self.stage.claim(&run).await;
                self.stage.decide(&run, *shard).await;
                if *is_told {
                    handle.shard_decided(&run, nightshift_core::ids::ShardIndex(*shard));
                }
            }
            Step::Conclude { day, generation, is_told } => {
                let run = run(*day, *generation);
                self.stage.claim(&run).await;
                let verdict = self.stage.conclude(&run).await;
                if *is_told {
                    handle.run_concluded(&verdict);
                }
            }
            Step::Wipe => drop(self.server.cli(&["FLUSHALL"])),
            Step::Lose(key) => {
                self.server.cli(&["DEL", &format!("nightshift:{{numbers}}:{key}")]).number();
            }
            Step::Cut => drop(self.server.cli(&["CLIENT", "KILL", "TYPE", "normal"])),
            Step::Save => {
                self.server.save_dump();
                self.is_saved = true;
            }
            Step::Load if self.is_saved => self.server.load_dump(),
            Step::Load => {}
            Step::Restart => self.server.restart(),
            Step::Lie { day, shard } => self.lie(&run(*day, 1), *shard),
            Step::TakeOver => self.keeper = keep(redis_at(&self.server.url()), &self.stage),
            Step::Reconcile => handle.reconcile(&name()),
            Step::Settle => caught_up(&handle).await,
        }
    }

    fn lie(&mut self, run: &RunId, shard: u32) {
        let key = format!("nightshift:{{numbers}}:run:{run}:done");
        self.server.cli(&["SADD", &key, &(1000 + shard).to_string()]).number();
        self.server.cli(&["SADD", "nightshift:{numbers}:runs", &run.to_string()]).number();
        self.has_lies = true;
    }

    /// What was not told and what was lost in silence is found by a comparison.
    async fn end(self) {
        self.keeper.handle().reconcile(&name());
        caught_up(&self.keeper.handle()).await;
        check(&self.server, self.stage.path());
    }
}

async fn play(steps: &[Step]) {
    let mut world = World::new().await;
    for step in steps {
        world.take(step).await;
        if !world.has_lies {
            check_never_ahead(&world.server, world.stage.path());
        }
    }
    world.end().await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Environment variable with the number of sequences to try.
const ROUNDS_VARIABLE: &str = "NIGHTSHIFT_TEST_ROUNDS";
/// Sequences in the ordinary suite.
const ROUNDS: u32 = 12;

fn rounds() -> u32 {
    let given = std::env::var(ROUNDS_VARIABLE).ok();
    given.map_or(ROUNDS, |text| text.parse().expect("the rounds are a whole number"))
}

#[test]
fn any_sequence_ends_in_the_state_of_the_store() {
    let mut config = Config { cases: rounds(), failure_persistence: None, ..Config::default() };
    // Servers and stores are slow to make: the steps that are left tell enough.
    config.max_shrink_iters = 200;
    if config.rng_seed == RngSeed::Random {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        config.rng_seed = RngSeed::Fixed(now.as_secs() ^ u64::from(now.subsec_nanos()));
    }
    let RngSeed::Fixed(seed) = config.rng_seed else { unreachable!() };
    let steps = prop::collection::vec(step(), 1..60);
    let result = TestRunner::new(config).run(&steps, |steps| {
        runtime().block_on(play(&steps));
        Ok(())
    });
    if let Err(error) = result {
        panic!("to repeat: PROPTEST_RNG_SEED={seed}\n{error}");
    }
}

/// Two processes serve the same root; each is told half of what happens, at the same time, and
/// the server is wiped and cut at random.
#[test]
fn two_coordinators_at_once() {
    let mut random = Random::for_test("two_coordinators_at_once");
    runtime().block_on(async {
        let (server, stage) = (RedisServer::start(), Stage::new().await);
        let keepers = [(); 2].map(|()| keep(redis_at(&server.url()), &stage));
        for day in 1..6 {
            stage.claim(&run(day, 1)).await;
            for shard in 0..40 {
                stage.decide(&run(day, 1), shard).await;
                let handle = keepers[random.below(2) as usize].handle();
                handle.shard_decided(&run(day, 1), nightshift_core::ids::ShardIndex(shard));
                match random.below(60) {
                    0 => drop(server.cli(&["FLUSHALL"])),
                    1 => drop(server.cli(&["CLIENT", "KILL", "TYPE", "normal"])),
                    _ => {}
                }
                check_never_ahead(&server, stage.path());
            }
            if day % 2 == 0 {
                let verdict = stage.conclude(&run(day, 1)).await;
                keepers.iter().for_each(|keeper| keeper.handle().run_concluded(&verdict));
            }
        }
        for keeper in &keepers {
            caught_up(&keeper.handle()).await;
        }
        // A wipe that neither has noticed yet.
        keepers[0].handle().reconcile(&name());
        caught_up(&keepers[0].handle()).await;
        caught_up(&keepers[1].handle()).await;
        check(&server, stage.path());
        // Neither takes the other's work for a loss.
        let rebuilds = keepers.iter().map(|keeper| keeper.handle().counters().rebuilds());
        assert!(rebuilds.sum::<u64>() < 60);
    });
}
