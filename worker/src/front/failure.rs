//! How a command fails, and what each error of a worker means for its exit code.

use crate::session::RunError;
use nightshift_core::exit::Exit;
pub use nightshift_telemetry::failure::{Failure, colours};

use super::dates::InvalidDate;

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let failure = Self::new(error.exit(), crate::describe(&error));
        match error.run() {
            Some(run) => failure.of(run, None),
            None => failure,
        }
    }
}

impl From<InvalidDate> for Failure {
    fn from(error: InvalidDate) -> Self {
        Self::new(Exit::Usage, error)
    }
}
