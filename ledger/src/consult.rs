//! Asking ledger and store how dates stand, and telling the ledger what the store has said.
//!
//! For whoever comes, asks, does something and goes, as a backfill does. A process that stays
//! has a [`Keeper`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use nightshift_core::backfill::{Index, Indexed};
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::ids::{Partition, SpecName};
use nightshift_core::layout::Object;
use nightshift_core::root::{Root, RootId};
use nightshift_storage::standing::{Onlooker, Standing};
use nightshift_storage::{Reader, StoreError};

use crate::changes::{DATES_PER_BATCH, SHARDS_PER_BATCH};
use crate::survey::entry_of;
use crate::{
    Changes, DateEntry, Gap, Keeper, Ledger, LedgerError, Lost, Reason, ServedRoot, Stamp,
};

/// Dates that the store is asked about at the same time; each is a few small reads.
const ASKED_MAX: usize = 16;
/// Time for making a ledger anew from the finals: far more than ten years of dates take.
const REBUILD_MAX: Duration = Duration::from_secs(60);

/// Where the facts about the dates of a spec are.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The spec's name.
    pub name: SpecName,
    /// The output, unless nothing was ever written.
    pub output: Option<Output>,
    /// The ledger, if there is one.
    pub ledger: Option<Arc<dyn Ledger>>,
}

/// An output root that exists.
#[derive(Debug, Clone)]
pub struct Output {
    /// The root, to read.
    pub reader: Reader,
    /// Its identity, unless nobody has given it one yet.
    pub root_id: Option<RootId>,
}

/// What a ledger has to be told.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// Finals that were read from the store, or made there.
    pub finals: &'a [Final],
    /// Dates without input.
    pub gaps: &'a [Partition],
    /// When it was looked for.
    pub now: Timestamp,
}

/// Whether the ledger could be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// There is none.
    None,
    /// It indexes this output.
    Current,
    /// It is empty, another output's or another version's, and has to be made anew.
    Lost(Lost),
    /// It does not answer.
    Unavailable {
        /// The kind of failure.
        reason: Reason,
        /// What was met and what to do.
        why: String,
    },
}

impl Output {
    /// Looks for the output root at `uri`; none if nothing is there.
    ///
    /// # Errors
    /// If the root does not answer, or cannot be read.
    pub async fn find(uri: &str) -> Result<Option<Self>, StoreError> {
        let reader = match Reader::open(uri).await {
            Err(StoreError::Missing { .. }) => return Ok(None),
            reader => reader?,
        };
        let root: Option<Root> = reader.read(&Object::Root).await?;
        Ok(Some(Self { reader, root_id: root.map(|root| root.root_id) }))
    }
}

impl Sources {
    /// What the ledger says about `dates`, in one round trip, and whether it could be used.
    pub async fn index(&self, dates: &[Partition]) -> (Vec<(Partition, Index)>, IndexState) {
        let all = |index: Index| dates.iter().map(|date| (*date, index.clone())).collect();
        let root_id = self.output.as_ref().and_then(|output| output.root_id.as_ref());
        // Without an identity of the output no answer could be believed.
        let (Some(ledger), Some(root_id)) = (&self.ledger, root_id) else {
            return (all(Index::Silent), IndexState::None);
        };
        match ledger.dates(&self.name, root_id, dates).await {
            Ok(entries) => {
                let index = |date: &Partition| (*date, index_of(entries.get(date)));
                (dates.iter().map(index).collect(), IndexState::Current)
            }
            Err(LedgerError::Lost(lost)) => (all(Index::Silent), IndexState::Lost(lost)),
            Err(error) => {
                let (reason, why) = (error.reason(), error.to_string());
                (all(Index::Unavailable), IndexState::Unavailable { reason, why })
            }
        }
    }

    /// What the store says about `dates`.
    pub async fn standings(
        &self,
        dates: &[Partition],
        onlooker: &Onlooker,
    ) -> Vec<(Partition, Result<Standing, StoreError>)> {
        let ask = |date| async move { (date, self.standing(date, onlooker).await) };
        stream::iter(dates.to_vec()).map(ask).buffer_unordered(ASKED_MAX).collect().await
    }

    /// What the store says about one date.
    ///
    /// # Errors
    /// If the store does not answer, or a document cannot be read.
    pub async fn standing(
        &self,
        date: Partition,
        onlooker: &Onlooker,
    ) -> Result<Standing, StoreError> {
        match &self.output {
            Some(output) => output.reader.standing(&self.name, date, onlooker).await,
            None => Ok(Standing::default()),
        }
    }

    /// Whether the output has an identity, so that a ledger can be about it.
    pub fn is_identified(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.root_id.is_some())
    }

    /// Which of `dates` had no input when somebody looked, as far as the ledger knows: for people.
    /// Nothing without a ledger, or with one that does not answer or is another output's.
    pub async fn gaps(&self, dates: &[Partition]) -> BTreeMap<Partition, Gap> {
        let root_id = self.output.as_ref().and_then(|output| output.root_id.as_ref());
        let (Some(ledger), Some(root_id)) = (&self.ledger, root_id) else {
            return BTreeMap::new();
        };
        ledger.gaps(&self.name, root_id, dates).await.unwrap_or_default()
    }

    /// Tells the ledger the news. One that is not this output's is made anew from all finals. An
    /// output in which nothing was ever run has no ledger.
    ///
    /// # Errors
    /// If the ledger does not take it. The store has the finals all the same, and whoever looks
    /// for an input next time tells of the gap.
    pub async fn tell(&self, state: &IndexState, news: News<'_>) -> Result<(), LedgerError> {
        let Some(Output { reader, root_id: Some(root_id) }) = &self.output else { return Ok(()) };
        let Some(ledger) = &self.ledger else { return Ok(()) };
        match state {
            IndexState::Lost(_) => {}
            IndexState::Current if news.finals.is_empty() && news.gaps.is_empty() => return Ok(()),
            _ => {
                let told = tell(ledger.as_ref(), &self.name, root_id, reader, news).await;
                if !matches!(told, Err(LedgerError::Lost(_))) {
                    return told;
                }
            }
        }
        let (name, root) = (self.name.clone(), root_id.clone());
        let served = ServedRoot { name, root_id: root, reader: reader.clone() };
        rebuild(Arc::clone(ledger), served).await?;
        // The finals are in it now; of gaps the store knows nothing.
        let news = News { finals: &[], ..news };
        tell(ledger.as_ref(), &self.name, root_id, reader, news).await
    }
}

fn index_of(entry: Option<&DateEntry>) -> Index {
    match entry {
        Some(entry) if entry.state == FinalState::Succeeded && !entry.withheld => {
            Index::Done(Indexed {
                generation: entry.generation,
                model: entry.model,
                fingerprint: entry.fingerprint,
            })
        }
        _ => Index::Silent,
    }
}

async fn tell(
    ledger: &dyn Ledger,
    name: &SpecName,
    root_id: &RootId,
    reader: &Reader,
    news: News<'_>,
) -> Result<(), LedgerError> {
    let News { finals, gaps, now } = news;
    let mut changes = Changes::default();
    for verdict in finals {
        // Where the approval cannot be read, the store is asked again the next time.
        let entry = entry_of(reader, root_id, verdict).await;
        changes.conclude(entry.unwrap_or_else(|_| DateEntry::new(root_id, verdict)));
    }
    gaps.iter().for_each(|date| changes.miss(*date, Gap::first(root_id, now)));
    for piece in changes.pieces(SHARDS_PER_BATCH, DATES_PER_BATCH) {
        ledger.apply(name, &Stamp::in_passing(root_id), &piece).await?;
    }
    Ok(())
}

/// Makes a ledger say what the store says, as a keeper does when it starts.
///
/// # Errors
/// If that fails, or takes longer than a minute.
pub async fn rebuild(ledger: Arc<dyn Ledger>, served: ServedRoot) -> Result<(), LedgerError> {
    let keeper = Keeper::start(ledger);
    let handle = keeper.handle();
    handle.serve(served);
    let is_done = tokio::time::timeout(REBUILD_MAX, handle.caught_up()).await.is_ok();
    keeper.stop().await;
    if is_done {
        return Ok(());
    }
    let why = format!("it was not made anew within {} s", REBUILD_MAX.as_secs());
    Err(LedgerError::Unavailable { reason: Reason::Timeout, why })
}
