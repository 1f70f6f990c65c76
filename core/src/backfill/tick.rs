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
    dates: BTreeMap<Partition, Known>,
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
        let dates = dates.into_iter().map(|(date, index)| (date, Known::new(index))).collect();
        Self { rules, order, dates_max, model: None, dates }
    }

    /// The store has answered.
    pub fn store(&mut self, partition: Partition, says: Store) {
        if let Some(known) = self.dates.get_mut(&partition) {
            known.store = Some(says);
        }
    }

    /// Somebody has looked at the input.
    pub fn input(&mut self, partition: Partition, found: Input) {
        if let Some(known) = self.dates.get_mut(&partition) {
            known.input = Some(found);
        }
    }

    /// The model was found.
    pub fn model(&mut self, digest: Digest) {
        self.model = Some(digest);
    }

    /// What to find out next, or what to do.
    pub fn step(&self) -> Step {
        let judged: Vec<(Partition, Judgement)> =
            self.dates.iter().map(|(date, known)| (*date, self.judge(known))).collect();
        let needing = |need: Need| {
            let needs = move |(date, judgement): &(Partition, Judgement)| {
                (*judgement == Judgement::Need(need)).then_some(*date)
            };
            judged.iter().filter_map(needs)
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
        self.choose(judged)
    }

    fn judge(&self, known: &Known) -> Judgement {
        judge(known, self.rules, self.model)
    }

    /// Gives out the places of the tick; asks for the input of a date when its turn has come.
    fn choose(&self, mut judged: Vec<(Partition, Judgement)>) -> Step {
        if self.order == Order::Newest {
            judged.reverse();
        }
        let mut places = self.dates_max;
        let mut decided = Vec::with_capacity(judged.len());
        for (partition, judgement) in judged {
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
            decided.push(Decided { partition, instruction, turn });
        }
        decided.sort_by_key(|decided| decided.partition);
        Step::Decided(decided)
    }
}
