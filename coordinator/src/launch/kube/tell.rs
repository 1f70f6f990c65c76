//! Repeating what was understood as Events on a run's Job, for `kubectl describe`.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use nightshift_core::describe::describe;
use tokio::sync::mpsc;

use super::MANAGER;

/// Events that wait to be sent; more are dropped, since status and logs say the same.
const WAITING_MAX: usize = 64;
/// Longest note that the API server takes, in bytes.
const NOTE_MAX_BYTES: usize = 1_024;
/// Longest try to send one; an Event is not worth more.
const BOUND: std::time::Duration = std::time::Duration::from_secs(10);

/// What is to be told about a Job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) job: ObjectReference,
    pub(super) reason: String,
    pub(super) text: String,
}

/// Sends Events one after the other; nobody waits for them.
#[derive(Debug)]
pub(super) struct Teller {
    waiting: mpsc::Sender<Told>,
}

impl Teller {
    pub(super) fn start(client: Client) -> Self {
        let (waiting, mut told) = mpsc::channel::<Told>(WAITING_MAX);
        let instance = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
        let recorder = Recorder::new(client, Reporter { controller: MANAGER.to_owned(), instance });
        nightshift_telemetry::spawn("tell", async move {
            while let Some(Told { job, reason, text }) = told.recv().await {
                let event = Event {
                    type_: EventType::Warning,
                    reason: camel_case(&reason),
                    note: Some(text[..text.floor_char_boundary(NOTE_MAX_BYTES)].to_owned()),
                    action: "Explain".to_owned(),
                    secondary: None,
                };
                match tokio::time::timeout(BOUND, recorder.publish(&event, &job)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(error = describe(&error), "an Event was not taken");
                    }
                    Err(_) => tracing::debug!("an Event was not taken in time"),
                }
            }
        });
        Self { waiting }
    }

    pub(super) fn tell(&self, told: Told) {
        // Full, or nobody sends any more: see WAITING_MAX.
        let _ = self.waiting.try_send(told);
    }
}

/// `oom_killed` as `OomKilled`, the form of reasons in Kubernetes.
fn camel_case(reason: &str) -> String {
    let words = reason.split('_').filter_map(|word| {
        let mut chars = word.chars();
        Some(chars.next()?.to_ascii_uppercase().to_string() + chars.as_str())
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_look_like_those_of_kubernetes() {
        assert_eq!(camel_case("oom_killed"), "OomKilled");
        assert_eq!(camel_case("exit_78"), "Exit78");
        assert_eq!(camel_case("__a"), "A");
    }
}
