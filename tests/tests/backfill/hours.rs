//! Hour after hour with real processes, a real Redis and real files: what the simulation of
//! `nightshift-model` does in memory, in small.
//!
//! A round is some dozens of ticks over a window that grows to six dates. Processes are killed at
//! random moments; Redis is wiped, another output's, restored from an old copy or away; the store
//! fails; one date has its input late; the model is replaced, and rows arrive for dates that are
//! done. In the end each date has exactly one generation that is current, by its bytes, and no
//! shard of a date was scored that was current before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::binaries::example_model;
use nightshift_tests::place::Place;
use nightshift_tests::process::{Finished, Running};
use nightshift_tests::random::Random;
use nightshift_tests::redis::RedisServer;
use nightshift_tests::{flights, log, store};
use serde_json::Value;

use crate::ledger::META_KEY;
use crate::scene::{decisions, said};

const DATES: [&str; 6] =
    ["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04", "2013-01-05", "2013-01-06"];
/// The date whose input comes late, and the tick at which it comes.
const LATE: (&str, u32) = ("2013-01-03", 13);
/// Rows of a date: ten shards, so that most kills find one half done.
const ROWS: u64 = 2_000;
/// Rows that arrive late.
const ROWS_LATE: u64 = 10;
/// Ticks with faults.
const TICKS: u32 = 22;
/// Ticks between a date and the next one of the window.
const TICKS_PER_DATE: u32 = 3;
/// Tick at which the model is replaced.
const MODEL_TICK: u32 = 11;
/// Tick at which rows arrive for dates that are done.
const ROWS_TICK: u32 = 16;
/// Ticks without faults in which everything has to come right.
const CALM_TICKS: usize = 3 * DATES.len();
/// What makes a date stale, one of them a round.
const REPROCESS: [&str; 3] = ["never", "on-model-change", "on-any-change"];
/// Environment variable with another number of rounds.
const ROUNDS_VARIABLE: &str = "NIGHTSHIFT_TEST_ROUNDS";

/// What is wrong during a tick, besides kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Nothing,
    RedisWiped,
    RedisForeign,
    RedisOld,
    RedisAway,
    StoreFails,
}

const FAULTS: [Fault; 6] = [
    Fault::Nothing,
    Fault::RedisWiped,
    Fault::RedisForeign,
    Fault::RedisOld,
    Fault::RedisAway,
    Fault::StoreFails,
];

/// What a run computes from: its model, and of how many files.
type Made = (String, usize);

struct Round {
    bench: Bench,
    redis: RedisServer,
    reprocess: &'static str,
    /// Digests of models that are no longer there.
    old_models: BTreeSet<String>,
    /// How often each shard of a date was committed, by what it was made from.
    committed: BTreeMap<(String, Made, u32), u32>,
    /// The longest that a process took which nobody killed.
    tick: Duration,
    ticks: u32,
    kills: u32,
    attempts: usize,
}

fn every_date_ends_with_one_current_generation_whatever_happens_by_the_hour(place: &Place) {
    let mut random = Random::for_test(
        "every_date_ends_with_one_current_generation_whatever_happens_by_the_hour",
    );
    let rounds = std::env::var(ROUNDS_VARIABLE).ok().map(|text| text.parse().unwrap());
    let mut faults: BTreeMap<Fault, u32> = BTreeMap::new();
    for number in 0..rounds.unwrap_or(place.size(REPROCESS.len(), 1)) {
        // The one round in a bucket has all that happens.
        let at = REPROCESS.len() - 1 - number % REPROCESS.len();
        let mut round = Round::new(place, REPROCESS[at]);
        for tick in 0..TICKS {
            let mut fault = *random.one_of(&FAULTS);
            if place.is_bucket() && fault == Fault::StoreFails {
                // That is what proxies are for.
                fault = Fault::Nothing;
            }
            *faults.entry(fault).or_default() += 1;
            round.hour(tick, fault, &mut random);
        }
        round.comes_right();
        let Round { reprocess, ticks, kills, attempts, .. } = &round;
        eprintln!("{reprocess}: {ticks} ticks, {kills} killed, {attempts} attempts at shards");
        assert!(*kills > 0, "a round without a kill shows little");
    }
    eprintln!("{faults:?}");
}

impl Round {
    fn new(place: &Place, reprocess: &'static str) -> Self {
        let dates: Vec<&str> = DATES.into_iter().filter(|date| *date != LATE.0).collect();
        let bench = place.dated(&SpecText::default(), &dates, ROWS);
        let redis = RedisServer::start();
        redis.save_dump();
        let round = Self {
            bench,
            redis,
            reprocess,
            old_models: BTreeSet::new(),
            committed: BTreeMap::new(),
            tick: Duration::from_millis(200),
            ticks: 0,
            kills: 0,
            attempts: 0,
        };
        round.write_model(0.0);
        let text = fs::read_to_string(round.bench.spec()).unwrap();
        let (of_example, own) = (example_model(), round.bench.path("model"));
        let text = text.replace(of_example.to_str().unwrap(), own.to_str().unwrap());
        round.bench.write_spec(&text);
        round
    }

    /// The example's model, with another mean of its first feature.
    fn write_model(&self, mean: f64) {
        let folder = self.bench.path("model");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(example_model().join("model.safetensors"), folder.join("model.safetensors"))
            .unwrap();
        let config = fs::read(example_model().join("config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&config).unwrap();
        config["features"][0]["mean"] = mean.into();
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
    }

    /// What happens by itself at this tick, the fault, and up to three processes.
    fn hour(&mut self, tick: u32, fault: Fault, random: &mut Random) {
        if tick == LATE.1 {
            flights::write(&self.file(LATE.0, "flights"), ROWS);
        }
        if tick == MODEL_TICK {
            self.old_models = self.plans().into_values().map(|(model, _)| model).collect();
            self.write_model(20.0);
        }
        if tick == ROWS_TICK {
            for date in [DATES[0], DATES[1]] {
                let late = flights::numbered(&flights::real(), ROWS + 1, ROWS_LATE);
                flights::write_batches(&self.file(date, "late"), [late]);
            }
        }
        let away = self.begin(fault);
        let dates = (1 + (tick / TICKS_PER_DATE) as usize).min(DATES.len());
        self.tick(dates, 1 + random.below(3), Some(random));
        self.end(fault, away);
    }

    fn begin(&mut self, fault: Fault) -> Option<PathBuf> {
        match fault {
            Fault::Nothing => {}
            Fault::RedisWiped => drop(self.redis.cli(&["FLUSHALL"])),
            Fault::RedisForeign => {
                let foreign = ["HSET", META_KEY, "root_id", "01JZZZZZZZZZZZZZZZZZZZZZZZ"];
                drop(self.redis.cli(&foreign));
            }
            Fault::RedisOld => {
                self.redis.load_dump();
                self.redis.save_dump();
            }
            Fault::RedisAway => self.redis.kill(),
            Fault::StoreFails => {
                let finals = self.bench.output().join("_nightshift/v1/finals");
                let away = self.bench.path("finals-away");
                if finals.exists() {
                    fs::rename(&finals, &away).unwrap();
                    fs::write(&finals, "in the way").unwrap();
                    return Some(away);
                }
            }
        }
        None
    }

    fn end(&mut self, fault: Fault, away: Option<PathBuf>) {
        if fault == Fault::RedisAway {
            self.redis.restart();
        }
        if let Some(away) = away {
            let finals = self.bench.output().join("_nightshift/v1/finals");
            fs::remove_file(&finals).unwrap();
            fs::rename(&away, &finals).unwrap();
        }
        if fault == Fault::Nothing {
            // What an old copy is of, later on.
            self.redis.save_dump();
        }
    }

    /// Starts processes in the same moment, kills some of them if `kills`, and judges what they
    /// did. Gives what they said.
    fn tick(&mut self, dates: usize, count: u64, mut kills: Option<&mut Random>) -> Vec<Finished> {
        let current = self.current();
        let output = self.bench.output();
        let recorded: BTreeSet<(String, u32)> = self
            .plans()
            .into_keys()
            .flat_map(|run| {
                let shards = store::recorded(&output, &run);
                shards.into_iter().map(move |shard| (run.clone(), shard))
            })
            .collect();
        let running: Vec<Running> = (0..count).map(|_| self.backfill(dates)).collect();
        let mut ended = Vec::new();
        for process in running {
            let killed_after = kills
                .as_mut()
                .and_then(|random| (!random.one_in(3)).then(|| random.up_to(self.tick)));
            if let Some(after) = killed_after {
                // The moment is what is random here; nothing waits for a state.
                std::thread::sleep(after);
                let process = process.kill();
                self.kills += u32::from(process.was_killed());
                ended.push(process);
            } else {
                let process = process.finish();
                self.tick = self.tick.max(process.elapsed);
                ended.push(process);
            }
        }
        self.ticks += 1;
        // Of those that lived to their end, each shard is begun by one at most.
        let mut begun: BTreeSet<(String, u32)> = BTreeSet::new();
        for process in &ended {
            self.judge(process, &current, &recorded);
            for one in log::events(&process.stderr, "inference started") {
                let is_first = process.was_killed() || begun.insert((one.run, one.shard));
                assert!(is_first, "shard {} was begun by two: {process}", one.shard);
            }
        }
        ended
    }

    fn backfill(&self, dates: usize) -> Running {
        let range = format!("{}..{}", DATES[0], DATES[dates - 1]);
        let flags = ["--dates", &range, "--output-format", "json", "--workers", "1"];
        let process = self.bench.command("backfill").args(flags);
        let process = process.args(["--reprocess", self.reprocess]);
        process.env("REDIS_URL", self.redis.url()).logged().start()
    }

    /// No shard is begun that has a record, or of a date that was current before the tick; none is
    /// committed twice from the same.
    fn judge(
        &mut self,
        process: &Finished,
        current: &BTreeSet<String>,
        recorded: &BTreeSet<(String, u32)>,
    ) {
        let plans = self.plans();
        for begun in log::events(&process.stderr, "inference started") {
            self.attempts += 1;
            let date = date_of(&begun.run);
            assert!(!current.contains(&date), "{date} was current: {process}");
            let again = recorded.contains(&(begun.run.clone(), begun.shard));
            assert!(!again, "shard {} had a record: {process}", begun.shard);
        }
        for done in log::events(&process.stderr, "shard committed") {
            let key = (date_of(&done.run), plans[&done.run].clone(), done.shard);
            let times = self.committed.entry(key).or_default();
            *times += u32::from(done.won);
            assert!(*times <= 1, "{done:?} was made before from the same: {process}");
        }
    }

    /// Everything that is still to be done is done, and then nothing.
    fn comes_right(&mut self) {
        for _ in 0..CALM_TICKS {
            let ended = self.tick(DATES.len(), 1, None).remove(0).expect(0);
            if decisions(&ended).iter().all(|decision| decision.ends_with("done skip")) {
                break;
            }
        }
        let idle = self.tick(DATES.len(), 1, None).remove(0).expect(0);
        assert!(decisions(&idle).iter().all(|said| said.ends_with("done skip")), "{idle}");
        assert!(log::started(&idle.stderr).is_empty(), "{idle}");
        assert_eq!(said(&idle)["ledger"], "current");
        for date in DATES {
            let succeeded = self.succeeded(date);
            let current = succeeded.iter().filter(|made| self.is_current(date, made)).count();
            assert_eq!(current, 1, "{}: {date} has {succeeded:?}", self.reprocess);
        }
        let runs = u32::try_from(self.plans().len()).unwrap();
        // Runs that were left because their model is gone stay open for good.
        let audit = self.bench.auditor().runs(runs).open();
        let counts = audit.redis(self.redis.port()).passes();
        assert_eq!(counts["redis_dates"], DATES.len(), "the ledger has every date: {counts}");
    }

    fn current(&self) -> BTreeSet<String> {
        let is_current =
            |date: &&str| self.succeeded(date).iter().any(|made| self.is_current(date, made));
        DATES.iter().filter(|date| is_current(date)).map(|date| (*date).to_owned()).collect()
    }

    /// What the generations of a date that succeeded were made from.
    fn succeeded(&self, date: &str) -> Vec<Made> {
        let of_date = self.plans().into_iter().filter(|(run, _)| date_of(run) == date);
        let output = self.bench.output();
        let succeeded = |run: &str| {
            let generation = run.rsplit_once("-g").unwrap().1.parse().unwrap();
            let verdict = store::verdict(&output, date, generation);
            verdict.is_some_and(|verdict| verdict["state"] == "succeeded")
        };
        of_date.filter(|(run, _)| succeeded(run)).map(|(_, made)| made).collect()
    }

    /// Whether this is what would be made now, as far as the setting cares.
    fn is_current(&self, date: &str, (model, files): &Made) -> bool {
        let folder = self.bench.path(&format!("in/date={date}"));
        let is_new_model = !self.old_models.contains(model);
        match self.reprocess {
            "never" => true,
            "on-model-change" => is_new_model,
            _ => is_new_model && *files == store::names(&folder, "parquet").len(),
        }
    }

    /// What each run that has a plan is made from.
    fn plans(&self) -> BTreeMap<String, Made> {
        let output = self.bench.output();
        let runs = output.join("_nightshift/v1/runs");
        let plan = |run: String| {
            let text = fs::read(runs.join(&run).join("plan.json")).ok()?;
            let plan: Value = serde_json::from_slice(&text).unwrap();
            let model = plan["model"]["digest"].as_str().unwrap().to_owned();
            Some((run, (model, plan["inputs"].as_array().unwrap().len())))
        };
        store::runs(&output).into_iter().filter_map(plan).collect()
    }

    fn file(&self, date: &str, name: &str) -> PathBuf {
        self.bench.path(&format!("in/date={date}/{name}.parquet"))
    }
}

/// The date of a run of the spec.
fn date_of(run: &str) -> String {
    run.trim_start_matches("flights-").rsplit_once("-g").unwrap().0.to_owned()
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    every_date_ends_with_one_current_generation_whatever_happens_by_the_hour,
}
