//! Why no Job can be made for a run.

use thiserror::Error;

use crate::overlay::Fault;

/// What stands against the Job of a run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidOrder {
    /// Zero workers, or more than a Job name has room for.
    #[error("{slots} workers are not possible; use 1 to 10000")]
    Slots {
        /// How many were asked for.
        slots: u32,
    },
    /// The spec's overlay says what a run cannot live with.
    #[error("spec.workers.podTemplate.{field} {problem}; {remedy}")]
    Overlay {
        /// Dotted path below `podTemplate`.
        field: String,
        /// What is wrong.
        problem: &'static str,
        /// What to write instead.
        remedy: &'static str,
    },
    /// The worker's arguments say already what the coordinator has to say.
    #[error(
        "the worker's args have `{flag}`, which the coordinator adds; remove it from the job template or spec.workers.podTemplate"
    )]
    Argument {
        /// The flag.
        flag: &'static str,
    },
    /// The overlay took the worker away.
    #[error(
        "no container of the worker Job is named `worker`; leave it in spec.workers.podTemplate"
    )]
    NoWorker,
    /// Template and overlay together have a value of another shape.
    #[error(
        "{field} of the worker Job is not {wanted}; correct the job template or spec.workers.podTemplate"
    )]
    Shape {
        /// Dotted path.
        field: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl InvalidOrder {
    pub(super) fn refused(fault: Fault) -> Self {
        let Fault { field, problem, remedy } = fault;
        Self::Overlay { field, problem, remedy }
    }

    pub(super) fn not_a_map(field: &str) -> Self {
        Self::Shape { field: field.to_owned(), wanted: "a map" }
    }

    pub(super) fn not_a_list(field: &str) -> Self {
        Self::Shape { field: field.to_owned(), wanted: "a list" }
    }
}
