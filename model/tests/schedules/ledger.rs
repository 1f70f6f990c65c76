//! The ledger: what it says of dates, whose it is, and what can happen to it.

use std::collections::BTreeMap;

use nightshift_core::backfill::{Index, Indexed};
use nightshift_core::ids::Partition;

use crate::random::Random;

/// Earlier states that are kept, for a server that comes up with one of them.
const COPIES_MAX: usize = 8;

/// Whose entries they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Owner {
    /// Nobody's: it is empty.
    #[default]
    Nobody,
    /// This output's.
    Ours,
    /// Another output's, in which every date is done.
    Another,
}

#[derive(Debug, Clone, Default)]
struct Held {
    owner: Owner,
    dates: BTreeMap<Partition, Indexed>,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    held: Held,
    is_away: bool,
    copies: Vec<Held>,
}

impl Ledger {
    /// Whether it has to be made anew before it is of use.
    pub(crate) fn is_lost(&self) -> bool {
        self.held.owner != Owner::Ours
    }

    pub(crate) fn is_away(&self) -> bool {
        self.is_away
    }

    /// What it says about a date; `believes` whatever it says, even if it is another's.
    pub(crate) fn index(&self, date: Partition, believes: bool) -> Index {
        if self.is_away {
            return Index::Unavailable;
        }
        match self.held.dates.get(&date) {
            Some(done) if believes || !self.is_lost() => Index::Done(*done),
            _ => Index::Silent,
        }
    }

    /// Makes it this output's; its entries follow.
    pub(crate) fn begin_anew(&mut self, keeps: bool) {
        if !keeps {
            self.held.dates.clear();
        }
        self.held.owner = Owner::Ours;
    }

    /// Says that a date is done, or that it is not.
    pub(crate) fn set(&mut self, date: Partition, entry: Option<Indexed>) {
        match entry {
            Some(entry) => self.held.dates.insert(date, entry),
            None => self.held.dates.remove(&date),
        };
    }

    /// The entries, if they are this output's.
    pub(crate) fn entries(&self) -> Option<&BTreeMap<Partition, Indexed>> {
        (!self.is_lost()).then_some(&self.held.dates)
    }

    /// Goes away, or comes back.
    pub(crate) fn is_reached(&mut self, reached: bool) {
        self.is_away = !reached;
    }

    /// Something happens to it. `lie` is what another output's would say of a date.
    pub(crate) fn misfortune(&mut self, dates: &[Partition], lie: Indexed, chance: &mut Random) {
        if self.copies.len() < COPIES_MAX {
            self.copies.push(self.held.clone());
        } else {
            let at = chance.below(COPIES_MAX as u64) as usize;
            self.copies[at] = self.held.clone();
        }
        match chance.below(5) {
            0 => self.held = Held::default(),
            1 => {
                let dates = dates.iter().map(|date| (*date, lie)).collect();
                self.held = Held { owner: Owner::Another, dates };
            }
            // An old copy comes up: after a failover, or from a backup.
            2 => self.held = chance.one_of(&self.copies).clone(),
            3 => {
                let lost = chance.one_of(dates);
                self.held.dates.remove(lost);
            }
            _ => self.is_away = true,
        }
    }
}
