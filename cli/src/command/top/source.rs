//! Where `top` looks: a coordinator, or the documents of an output.

use nightshift_core::ids::RunId;
use nightshift_proto::limits::OPEN_SHARDS_MAX;
use nightshift_proto::runs::get::{FoundRun, GetRun};
use nightshift_worker::front::failure::Failure;

use super::model::Look;
use crate::command::status::runs::{Wanted, fetch};
use crate::coordinator::{CallError, Coordinator};
use crate::prose;

mod output;

pub(super) use output::Output;

/// Where is looked.
#[derive(Debug)]
pub(super) enum Source {
    Coordinator(Box<Coordinator>),
    Output(Output),
}

/// Why a look came to nothing.
#[derive(Debug)]
pub(super) struct Blind {
    /// For whoever looks on.
    pub(super) reason: String,
    /// For whoever does not.
    pub(super) failure: Failure,
    /// Whether looking again is of no use, unless it has gone well before.
    pub(super) for_good: bool,
}

impl From<CallError> for Blind {
    fn from(error: CallError) -> Self {
        Self {
            reason: prose::one_line(error.reason()),
            for_good: error.is_refusal(),
            failure: error.into(),
        }
    }
}

impl Source {
    /// Whom is asked, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Coordinator(coordinator) => coordinator.address().to_string(),
            Self::Output(output) => output.place().to_owned(),
        }
    }

    /// Looks at all runs that are wanted.
    pub(super) async fn look(&mut self, wanted: &Wanted) -> Result<Look, Blind> {
        match self {
            Self::Coordinator(coordinator) => {
                let found = fetch(coordinator, wanted).await?;
                let ready = coordinator.is_ready().await;
                Ok(Look { runs: found.runs, more: found.more, ready })
            }
            Self::Output(output) => output.look(wanted).await,
        }
    }

    /// Looks closely at one run; none if it is not there.
    pub(super) async fn look_closely(&mut self, run: &RunId) -> Result<Option<FoundRun>, Blind> {
        match self {
            Self::Coordinator(coordinator) => {
                let get = GetRun { open_shards_max: OPEN_SHARDS_MAX, ..GetRun::of(run.clone()) };
                match coordinator.get(get).await {
                    Ok(found) => Ok(Some(found)),
                    Err(error) if error.is_unknown() => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
            Self::Output(output) => Ok(output.details(run)),
        }
    }
}
