//! One `nightshift backfill`: the steps of the shell, between any two of which it may die.
//!
//! It is an async function that nobody but the schedule wakes: at each [`Process::pause`] any
//! other process may take its steps, or this one may be dropped for good.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use nightshift_core::backfill::{
    Concluded, Dead, Decided, Indexed, Open, Rules, Step, Store, Stored, Tick, Turn, Work,
};
use nightshift_core::conclusion::FinalState;
use nightshift_core::decide::Release;
use nightshift_core::ids::Partition;
use nightshift_core::settle::{Backoff, CreateReply, Decision, ReadBack, settle_document};
use nightshift_core::spec::Order;

use crate::broken::Broken;
use crate::judge::{self, Call};
use crate::store::{Away, Document, Key, Name, Plan, SHARDS};
use crate::world::{World, entry, fingerprint, generation, model_digest};

/// Waits do not matter here, only their number.
const BACKOFF: Backoff =
    Backoff { first: Duration::ZERO, longest: Duration::ZERO, creates_max: 3, unreadable_max: 1 };
/// Any jitter will do where nobody waits.
const JITTER: f64 = 0.5;

/// The process ends: the store has failed it, or what it needs is gone. The next tick goes on.
struct End;

impl From<Away> for End {
    fn from(Away: Away) -> Self {
        Self
    }
}

/// How a create was settled.
enum Settled {
    Mine,
    Others(Document),
}

struct Process {
    world: Rc<RefCell<World>>,
    number: u64,
    /// The step at which it began.
    began: u64,
    /// The model that it has loaded; the one that is deployed when it is needed first.
    model: Cell<Option<u8>>,
}

/// Pending once, then ready.
struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.0, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// One tick of the process `number`.
pub(crate) async fn backfill(world: Rc<RefCell<World>>, number: u64) {
    let began = world.borrow().step;
    let process = Process { world, number, began, model: Cell::new(None) };
    // Whatever ended it early, the next tick finds.
    let _ended = process.tick().await;
}

impl Process {
    async fn pause(&self) {
        Pause(false).await;
    }

    /// A look at something that others may change between two looks.
    async fn glance(&self) {
        let pauses = self.world.borrow_mut().chance.one_in(4);
        if pauses {
            self.pause().await;
        }
    }

    fn breaks(&self, broken: Broken) -> bool {
        self.world.borrow().breaks(broken)
    }

    fn model(&self) -> u8 {
        let model = self.model.get().unwrap_or_else(|| self.world.borrow().model);
        self.model.set(Some(model));
        model
    }

    async fn tick(&self) -> Result<(), End> {
        let (mut tick, silent, is_lost) = self.begin();
        let mut plans: BTreeMap<Partition, Plan> = BTreeMap::new();
        let mut finals: BTreeMap<Partition, Indexed> = BTreeMap::new();
        let decided = loop {
            self.glance().await;
            match tick.step() {
                Step::AskStore(dates) => {
                    for date in dates {
                        let says = match self.standing(date).await {
                            Ok(_) if silent.contains(&date) => Store::Says(Stored::default()),
                            Ok((stored, done)) => {
                                finals.extend(done.map(|done| (date, done)));
                                Store::Says(stored)
                            }
                            Err(Away) => Store::Unavailable("the store fails".into()),
                        };
                        tick.store(date, says);
                    }
                }
                Step::AskModel => {
                    let first = self.breaks(Broken::ModelOfTheFirstDay);
                    tick.model(model_digest(if first { 1 } else { self.model() }));
                }
                Step::AskInput(date) => self.look_at_input(date, &mut tick, &mut plans),
                Step::Decided(decided) => break decided,
            }
        };
        let unsaid = decided.iter().filter(|one| one.instruction.writes_back());
        let untold: Vec<_> =
            unsaid.filter_map(|one| Some((one.partition, *finals.get(&one.partition)?))).collect();
        self.tell(&untold, is_lost).await?;
        for Decided { partition, instruction, turn } in decided {
            if let (Turn::Now, Some(work)) = (turn, instruction.work()) {
                self.run(partition, work, plans.get(&partition).copied()).await?;
            }
        }
        Ok(())
    }

    /// Asks the ledger. Dates of which a broken rule takes its silence for the store's come second.
    fn begin(&self) -> (Tick, Vec<Partition>, bool) {
        let mut world = self.world.borrow_mut();
        let believes = world.breaks(Broken::ForeignIsBelieved);
        let index = |date: &Partition| (*date, world.ledger.index(*date, believes));
        let indexed: Vec<_> = world.dates.iter().map(index).collect();
        let is_absence = world.breaks(Broken::SilenceIsAbsence);
        let silent = |one: &&(Partition, _)| {
            is_absence && matches!(one.1, nightshift_core::backfill::Index::Silent)
        };
        let silent = indexed.iter().filter(silent).map(|(date, _)| *date).collect();
        let is_lost = world.ledger.is_lost() && !world.ledger.is_away() && !believes;
        let rules = Rules { reprocess: world.reprocess, force: false };
        let order = if world.chance.one_in(2) { Order::Oldest } else { Order::Newest };
        let places = if world.chance.one_in(4) { 3 } else { 1 };
        (Tick::new(rules, order, places, indexed), silent, is_lost)
    }

    fn look_at_input(
        &self,
        date: Partition,
        tick: &mut Tick,
        plans: &mut BTreeMap<Partition, Plan>,
    ) {
        let model = self.model();
        let world = self.world.borrow();
        let (mut input, plan) = world.input(date, model);
        if world.breaks(Broken::InputIsNotLookedAt)
            && let Some((_, _, plan)) = world.store.verdicts(date).last()
        {
            let fingerprint = fingerprint(plan);
            input = nightshift_core::backfill::Input::Present { fingerprint };
        }
        plans.extend(plan.map(|plan| (date, plan)));
        tick.input(date, input);
    }

    /// What the store says about a date, read by and by, and what the ledger may be told of it.
    async fn standing(&self, date: Partition) -> Result<(Stored, Option<Indexed>), Away> {
        self.glance().await;
        let claimed = {
            let mut world = self.world.borrow_mut();
            let World { store, chance, .. } = &mut *world;
            store.answers(chance)?;
            store.newest(date, Name::Claim)
        };
        let (concluded, done) = self.concluded(date).await;
        let newest = concluded.map(|concluded| concluded.generation.get());
        let Some(n) = claimed.filter(|claimed| Some(*claimed) > newest) else {
            return Ok((Stored { concluded, open: None }, done));
        };
        let open = self.held(date, n).await;
        if !open.is_alive && !self.breaks(Broken::GoneIsUnfinished) {
            // Who is gone may have come to the end meanwhile.
            let (again, done) = self.concluded(date).await;
            if again.is_some_and(|again| again.generation.get() >= n) {
                return Ok((Stored { concluded: again, open: None }, done));
            }
        }
        Ok((Stored { concluded, open: Some(open) }, done))
    }

    /// The newest final of a date, and what the ledger may be told of it.
    async fn concluded(&self, date: Partition) -> (Option<Concluded>, Option<Indexed>) {
        self.glance().await;
        let world = self.world.borrow();
        let newest = world.store.newest(date, Name::Final);
        let verdict = newest.and_then(|n| Some((n, world.store.verdict(date, n)?)));
        let concluded = verdict.map(|(n, (state, plan))| Concluded {
            generation: generation(n),
            state,
            release: Release::Open,
            model: model_digest(plan.model),
            fingerprint: fingerprint(plan),
            retries: world.store.claim(date, n).map_or(0, |(_, retry, _)| retry),
        });
        let done = verdict.filter(|(_, (state, _))| *state == FinalState::Succeeded);
        (concluded, done.map(|(n, (_, plan))| entry(n, plan)))
    }

    async fn held(&self, date: Partition, n: u32) -> Open {
        let (epoch, opener) = self.world.borrow().store.epoch(date, n);
        self.glance().await;
        let (claimant, _, _) = self.world.borrow().store.claim(date, n).unwrap_or_default();
        let holder = if epoch > 0 { opener } else { claimant };
        let is_alive = self.world.borrow_mut().seems_alive(holder, self.number);
        self.glance().await;
        let planned = self.world.borrow().store.plan(date, n);
        Open {
            generation: generation(n),
            planned: planned.filter(|_| !is_alive).map(|plan| model_digest(plan.model)),
            epoch,
            holder: holder.to_string(),
            is_forced: false,
            is_alive,
        }
    }

    /// Does a date, unless another process is faster, and tells the ledger.
    async fn run(&self, partition: Partition, work: Work, fresh: Option<Plan>) -> Result<(), End> {
        let n = work.generation().get();
        if let (Work::Join(_), Some(Document::Plan(planned))) =
            (work, self.read((partition, n, Name::Plan)).await?)
            && planned.model != self.model()
        {
            return Err(End);
        }
        let model = self.model();
        let planned = fresh.or_else(|| self.world.borrow().input(partition, model).1);
        let Some(fresh) = planned else { return Ok(()) };
        if !self.take(partition, work).await? {
            return Ok(());
        }
        let plan = self.open(partition, n, fresh).await?;
        let pending = self.pending(partition, n).await?;
        if let Work::Start { .. } = work {
            self.open_epoch(partition, n).await?;
        }
        if plan.model != self.model() {
            return Err(End);
        }
        for shard in pending {
            let scored = self.score(partition, n, shard, plan).await;
            if scored.is_err() && !self.breaks(Broken::FinalWithoutRecords) {
                return scored;
            }
        }
        self.conclude(partition, n, plan).await
    }

    /// A claim, or the next epoch of a run: one process gets it.
    async fn take(&self, partition: Partition, work: Work) -> Result<bool, End> {
        let taken = match work {
            Work::Join(dead) => {
                self.take_dead(partition, dead).await?
                    && !self.is_replaced(partition, dead.generation.get()).await?
            }
            Work::Start { generation, inherit, retry, instead_of } => {
                if let Some(dead) = instead_of
                    && !self.take_dead(partition, dead).await?
                {
                    return Ok(false);
                }
                let inherits = inherit.map(|from| from.get());
                let claim = Document::Claim { by: self.number, retry, inherits };
                let settled =
                    self.settle((partition, generation.get(), Name::Claim), claim).await?;
                matches!(settled, Settled::Mine) || self.breaks(Broken::NoClaim)
            }
        };
        let mut world = self.world.borrow_mut();
        match work {
            Work::Join(_) => world.sum.joins += u64::from(taken),
            Work::Start { retry, .. } => world.sum.retries += u64::from(taken && retry > 0),
        }
        Ok(taken)
    }

    async fn take_dead(&self, partition: Partition, dead: Dead) -> Result<bool, End> {
        if self.breaks(Broken::NoEpoch) {
            return Ok(true);
        }
        let key = (partition, dead.generation.get(), Name::Epoch(dead.epoch + 1));
        let settled = self.settle(key, Document::Epoch { by: self.number }).await?;
        Ok(matches!(settled, Settled::Mine))
    }

    /// Whether a later generation was claimed in the place of a dead run.
    async fn is_replaced(&self, partition: Partition, n: u32) -> Result<bool, End> {
        self.pause().await;
        let mut world = self.world.borrow_mut();
        let World { store, chance, .. } = &mut *world;
        store.answers(chance)?;
        Ok(store.newest(partition, Name::Claim) > Some(n))
    }

    /// The stored plan of the run, and the shards that it takes over.
    async fn open(&self, partition: Partition, n: u32, fresh: Plan) -> Result<Plan, End> {
        let key = (partition, n, Name::Plan);
        let plan = match self.read(key).await? {
            Some(Document::Plan(stored)) if !self.breaks(Broken::OwnPlan) => stored,
            _ => {
                let claim = self.read((partition, n, Name::Claim)).await?;
                let inherits = match claim {
                    Some(Document::Claim { inherits: Some(from), .. }) => {
                        self.inheritance(partition, from, fresh).await?
                    }
                    _ => None,
                };
                let fresh = Plan { inherits, ..fresh };
                match self.settle(key, Document::Plan(fresh)).await? {
                    Settled::Others(Document::Plan(stored)) if !self.breaks(Broken::OwnPlan) => {
                        stored
                    }
                    _ => fresh,
                }
            }
        };
        for shard in 0..SHARDS {
            if plan.inherits.is_some_and(|(_, shards)| shards & (1 << shard) != 0) {
                let attempt = self.world.borrow_mut().next_attempt();
                let record = Document::Record { attempt, committed: true };
                self.settle((partition, n, Name::Record(shard)), record).await?;
            }
        }
        Ok(plan)
    }

    /// The committed shards of a generation, if it computed the same.
    async fn inheritance(
        &self,
        partition: Partition,
        from: u32,
        fresh: Plan,
    ) -> Result<Option<(u32, u8)>, End> {
        self.pause().await;
        let world = self.world.borrow();
        let same = world.store.plan(partition, from).filter(|plan| plan.is_same_work(fresh));
        if same.is_none() || world.breaks(Broken::NothingIsInherited) {
            return Ok(None);
        }
        let committed = |shard: &u8| world.store.record(partition, from, *shard) == Some(true);
        let shards = (0..SHARDS).filter(committed).fold(0, |bits, shard| bits | 1 << shard);
        Ok(Some((from, shards)))
    }

    async fn pending(&self, partition: Partition, n: u32) -> Result<Vec<u8>, End> {
        let mut pending = Vec::new();
        for shard in 0..SHARDS {
            let record = self.read((partition, n, Name::Record(shard))).await?;
            if record.is_none() || self.breaks(Broken::RecordsAreIgnored) {
                pending.push(shard);
            }
        }
        Ok(pending)
    }

    async fn open_epoch(&self, partition: Partition, n: u32) -> Result<(), End> {
        let mut number = self.world.borrow().store.epoch(partition, n).0 + 1;
        loop {
            let key = (partition, n, Name::Epoch(number));
            match self.settle(key, Document::Epoch { by: self.number }).await? {
                Settled::Mine => return Ok(()),
                Settled::Others(_) => number += 1,
            }
        }
    }

    /// Calls the model, and settles the record of the shard.
    async fn score(&self, partition: Partition, n: u32, shard: u8, plan: Plan) -> Result<(), End> {
        self.pause().await;
        let call = Call { partition, n, shard, plan, by: self.number, began: self.began };
        judge::call(&mut self.world.borrow_mut(), call);
        self.pause().await;
        let record = {
            let mut world = self.world.borrow_mut();
            let committed = !world.shard_fails(partition, n);
            Document::Record { attempt: world.next_attempt(), committed }
        };
        let settled = self.settle((partition, n, Name::Record(shard)), record).await?;
        let mut world = self.world.borrow_mut();
        world.calling.remove(&(partition, n, shard));
        if let (Settled::Mine, Document::Record { committed: true, .. }) = (settled, record) {
            judge::committed(&mut world, call);
        }
        Ok(())
    }

    /// The final, once every shard is decided; then the ledger may know.
    async fn conclude(&self, partition: Partition, n: u32, plan: Plan) -> Result<(), End> {
        let mut committed = Vec::new();
        for shard in 0..SHARDS {
            match self.read((partition, n, Name::Record(shard))).await? {
                Some(Document::Record { committed: is, .. }) => committed.push(is),
                _ if self.breaks(Broken::FinalWithoutRecords) => {}
                _ => return Ok(()),
            }
        }
        let state = match self.breaks(Broken::FailedIsSucceeded) {
            true => FinalState::Succeeded,
            false => judge::verdict(&committed),
        };
        let of = Plan { ..plan };
        let done = state == FinalState::Succeeded || self.breaks(Broken::LedgerOfFailures);
        let told: Vec<_> = done.then(|| (partition, entry(n, plan))).into_iter().collect();
        if self.breaks(Broken::LedgerBeforeFinal) {
            self.tell(&told, false).await?;
        }
        self.settle((partition, n, Name::Final), Document::Final { state, of }).await?;
        self.tell(&told, false).await
    }

    /// Tells the ledger what the store says about dates; all of it, if it is made anew.
    async fn tell(&self, told: &[(Partition, Indexed)], is_lost: bool) -> Result<(), End> {
        if told.is_empty() && !is_lost {
            return Ok(());
        }
        self.pause().await;
        if self.world.borrow().ledger.is_away() {
            return Ok(());
        }
        if self.world.borrow().ledger.is_lost() {
            return self.make_anew().await;
        }
        for (partition, done) in told {
            self.tell_one(*partition, Some(*done)).await;
        }
        Ok(())
    }

    /// Makes the ledger say what the finals say.
    async fn make_anew(&self) -> Result<(), End> {
        let keeps = self.breaks(Broken::RebuildKeepsEntries);
        self.world.borrow_mut().ledger.begin_anew(keeps);
        let dates = self.world.borrow().store.dates();
        for date in dates {
            let verdict = {
                let mut world = self.world.borrow_mut();
                let World { store, chance, .. } = &mut *world;
                store.answers(chance)?;
                let newest = store.newest(date, Name::Final);
                newest.and_then(|n| Some((n, store.verdict(date, n)?)))
            };
            self.glance().await;
            if let Some((n, (state, plan))) = verdict {
                let done = state == FinalState::Succeeded;
                self.tell_one(date, done.then(|| entry(n, plan))).await;
            }
        }
        Ok(())
    }

    async fn tell_one(&self, partition: Partition, done: Option<Indexed>) {
        self.glance().await;
        let mut world = self.world.borrow_mut();
        // It says whose it is in the same transaction.
        if world.ledger.is_away() || world.ledger.is_lost() {
            return;
        }
        if let Some(done) = done {
            judge::told(&mut world, partition, done);
        }
        world.ledger.set(partition, done);
    }

    async fn read(&self, key: Key) -> Result<Option<Document>, Away> {
        self.pause().await;
        let mut world = self.world.borrow_mut();
        let World { store, chance, .. } = &mut *world;
        store.read(key, chance)
    }

    /// Creates a document once, or finds out who did.
    async fn settle(&self, key: Key, document: Document) -> Result<Settled, End> {
        let mut step = Decision::<(), Document>::RetrySameBytes {
            after: Duration::ZERO,
            then: settle_document(BACKOFF),
        };
        loop {
            step = match step {
                Decision::RetrySameBytes { then, .. } => {
                    self.pause().await;
                    let reply = self.create(key, document);
                    let is_unknown = matches!(reply, CreateReply::Unknown(_));
                    if is_unknown && self.breaks(Broken::UnknownIsWon) {
                        return Ok(Settled::Mine);
                    }
                    then.answered(reply)
                }
                Decision::ReadBack { then, .. } => {
                    let found = match self.read(key).await {
                        Err(Away) => ReadBack::Unreadable,
                        Ok(None) => ReadBack::Absent,
                        Ok(Some(stored)) if stored == document => ReadBack::Mine,
                        Ok(Some(stored)) => ReadBack::Another(stored),
                    };
                    then.found(found, JITTER)
                }
                Decision::Won(()) => return Ok(Settled::Mine),
                Decision::Lost(stored) => return Ok(Settled::Others(stored)),
                Decision::Unsettled { .. } | Decision::Denied(_) => return Err(End),
            }
        }
    }

    fn create(&self, key: Key, document: Document) -> CreateReply {
        let mut world = self.world.borrow_mut();
        judge::created(&mut world, key, document);
        let World { store, chance, .. } = &mut *world;
        store.create(key, document, chance)
    }
}
