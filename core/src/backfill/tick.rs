//! From many dates to those that are done now.

use std::collections::BTreeMap;

use crate::backfill::facts::{Index, Input, Known, Store};
use crate::backfill::instruction::Instruction;
use crate::backfill::judge::{Judgement, Need, Rules, judge};
use crate::ids::{Digest, Partition};
use crate::spec::Order;

/// One tick: facts go in by [`Tick::store`], [`Tick::input`] and [`Tick::model`], and
/// [`Tick::step`] says what to find out next until everything is decided.
#[derive(Debug, Clone)]
pub struct Tick {
    rules: Rules,
    order: Order,
    dates_max: usize,
    model: Option<Digest>,
    dates: BTreeMap<Partition, Judged>,
}

/// A date, and what follows from what is known of it. It is judged again when something is found
/// out about it, not at each step: a window of years has as many steps as dates.
#[derive(Debug, Clone)]
struct Judged {
    known: Known,
    judgement: Judgement,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask the store about these dates.
    AskStore(Vec<Partition>),
    /// Find the digest of the model.
    AskModel,
    /// Look at the input of this date.
    AskInput(Partition),
    /// Carry this out; in the order of the calendar.
    Decided(Vec<Decided>),
}

/// What is decided about one date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The date, or `all`.
    pub partition: Partition,
    /// What to do about it.
    pub instruction: Instruction,
    /// Whether this tick does it.
    pub turn: Turn,
}

/// Whether a tick does something about a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is one of those that are done now.
    Now,
    /// It waits for a later tick; whether it has input was not looked at.
    Later,
    /// There is nothing to do, or nothing that can be done.
    Never,
}

impl Turn {
    /// What is done now about a date with this instruction, as one word: that of the instruction,
    /// or `later`.
    pub fn action(self, instruction: &Instruction) -> &'static str {
        match self {
            Self::Later => "later",
            Self::Now | Self::Never => instruction.action(),
        }
    }
}

impl Tick {
    /// A tick over `dates`, which does at most `dates_max` of them in this order.
    pub fn new(
        rules: Rules,
        order: Order,
        dates_max: usize,
        dates: impl IntoIterator<Item = (Partition, Index)>,
    ) -> Self {
        let judged = |index| {
            let known = Known::new(index);
            let judgement = judge(&known, rules, None);
            Judged { known, judgement }
        };
        let dates = dates.into_iter().map(|(date, index)| (date, judged(index))).collect();
        Self { rules, order, dates_max, model: None, dates }
    }

    /// The store has answered.
    ///
    /// Where it knows of a verdict that the ledger did not, somebody may have done the date from
    /// newer input than was looked at before; a look from before is forgotten then, so that what
    /// they made is not taken for stale.
    pub fn store(&mut self, partition: Partition, says: Store) {
        self.found_out(partition, |known| {
            if lags(&known.index, &says) {
                known.input = None;
            }
            known.store = Some(says);
        });
    }

    /// Somebody has looked at the input.
    pub fn input(&mut self, partition: Partition, found: Input) {
        self.found_out(partition, |known| known.input = Some(found));
    }

    /// The model was found.
    pub fn model(&mut self, digest: Digest) {
        self.model = Some(digest);
        for Judged { known, judgement } in self.dates.values_mut() {
            *judgement = judge(known, self.rules, self.model);
        }
    }

    fn found_out(&mut self, partition: Partition, learn: impl FnOnce(&mut Known)) {
        if let Some(Judged { known, judgement }) = self.dates.get_mut(&partition) {
            learn(known);
            *judgement = judge(known, self.rules, self.model);
        }
    }

    /// What to find out next, or what to do.
    pub fn step(&self) -> Step {
        let needing = |need: Need| {
            let needs = move |(date, judged): (&Partition, &Judged)| {
                (judged.judgement == Judgement::Need(need)).then_some(*date)
            };
            self.dates.iter().filter_map(needs)
        };
        let ask: Vec<Partition> = needing(Need::Store).collect();
        if !ask.is_empty() {
            return Step::AskStore(ask);
        }
        if needing(Need::Model).next().is_some() {
            return Step::AskModel;
        }
        if let Some(date) = needing(Need::Fingerprint).next() {
            return Step::AskInput(date);
        }
        match self.order {
            Order::Oldest => self.choose(self.dates.iter()),
            Order::Newest => self.choose(self.dates.iter().rev()),
        }
    }

    /// Gives out the places of the tick; asks for the input of a date when its turn has come.
    fn choose<'a>(&self, judged: impl Iterator<Item = (&'a Partition, &'a Judged)>) -> Step {
        let mut places = self.dates_max;
        let mut decided = Vec::with_capacity(self.dates.len());
        for (partition, Judged { judgement, .. }) in judged {
            let partition = *partition;
            let (instruction, turn) = match judgement {
                Judgement::IfInput(_) if places > 0 => return Step::AskInput(partition),
                Judgement::Do(instruction) if instruction.is_work() && places > 0 => {
                    places -= 1;
                    (instruction, Turn::Now)
                }
                Judgement::IfInput(instruction) => (instruction, Turn::Later),
                Judgement::Do(instruction) if instruction.is_work() => (instruction, Turn::Later),
                Judgement::Do(instruction) => (instruction, Turn::Never),
                // Asked for before; a date that still needs something is nobody's to run.
                Judgement::Need(_) => continue,
            };
            decided.push((partition, instruction, turn));
        }
        decided.sort_by_key(|(partition, ..)| *partition);
        let decided = decided.into_iter().map(|(partition, instruction, turn)| Decided {
            partition,
            instruction: instruction.clone(),
            turn,
        });
        Step::Decided(decided.collect())
    }
}

/// Whether the store knows of another verdict than the ledger.
fn lags(index: &Index, says: &Store) -> bool {
    match (index, says) {
        (Index::Done(done), Store::Says(stored)) => {
            stored.concluded.is_some_and(|concluded| concluded.generation != done.generation)
        }
        _ => false,
    }
}
