//! Spawning tasks that say who they are.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument;

/// Spawns a task on the current runtime, within the current span, under a name that its log
/// lines carry as `task`. The handle gives the task's result; dropping it detaches the task.
///
/// # Panics
/// Outside a tokio runtime, as [`tokio::spawn`] does.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // A filter may drop the task's own span; the spans around it must not go with it.
    let named = tracing::error_span!("task", task = name);
    let span = if named.is_disabled() { tracing::Span::current() } else { named };
    #[allow(clippy::disallowed_methods, reason = "this is the function that others must use")]
    tokio::spawn(future.instrument(span))
}

#[cfg(test)]
mod tests;
