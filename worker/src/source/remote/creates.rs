//! Records that the coordinator creates, because the store cannot tell who was first.
//!
//! The worker settles as ever: what is not a clean answer means reading the record back, and
//! where there is none the same bytes are sent again. So it does no harm that a call is lost,
//! comes twice, or meets the next coordinator.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use nightshift_core::layout::Object;
use nightshift_proto::leases::create_record::{CreateRecord, RecordAnswered, RecordState};
use nightshift_proto::names::WorkerName;
use nightshift_proto::wire;
use nightshift_proto::wire::shard_leases_client::ShardLeasesClient;
use nightshift_storage::deciding::{Answer, Decider};
use tonic::transport::{Channel, Endpoint};

use super::calls::{self, CallError};

/// How long a coordinator that is away is asked again before the record is looked at.
const ASK_MAX: Duration = Duration::from_secs(20);
/// Pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one call may take: the coordinator writes to the store meanwhile.
const DEADLINE: Duration = Duration::from_secs(20);

/// The coordinator, as the one who creates records.
#[derive(Debug)]
pub(super) struct Creates {
    client: ShardLeasesClient<Channel>,
    worker: WorkerName,
}

impl Creates {
    /// Asks the coordinator at `endpoint`; connects on the first call. To be called within a
    /// runtime.
    pub(super) fn at(endpoint: &Endpoint, worker: WorkerName) -> Self {
        let channel = endpoint.clone().connect_timeout(calls::DEADLINE).connect_lazy();
        Self { client: ShardLeasesClient::new(channel), worker }
    }

    async fn ask(&self, create: CreateRecord) -> Answer {
        let began = Instant::now();
        loop {
            let request =
                calls::with_deadline(wire::CreateRecordRequest::from(create.clone()), DEADLINE);
            let mut client = self.client.clone();
            let status = match client.create_record(request).await.map(tonic::Response::into_inner)
            {
                Ok(answer) => {
                    return match RecordAnswered::try_from(answer) {
                        Ok(RecordAnswered { state: RecordState::Created }) => Answer::Created,
                        Ok(RecordAnswered { state: RecordState::Exists }) => Answer::Exists,
                        Err(error) => Answer::Unclear(crate::describe(&error)),
                    };
                }
                Err(status) => status,
            };
            match CallError::of(&status) {
                CallError::Refused { text, .. } => return Answer::Refused(text),
                CallError::Away { text } if began.elapsed() >= ASK_MAX => {
                    return Answer::Unclear(text);
                }
                CallError::Away { text } => {
                    tracing::debug!(text, "the record could not be created yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Decider for Creates {
    fn create(&self, object: Object, bytes: Vec<u8>) -> BoxFuture<'_, Answer> {
        async move {
            match object {
                Object::Record { run, shard } => {
                    let worker = self.worker.clone();
                    self.ask(CreateRecord { worker, run, shard, record: bytes }).await
                }
                other => Answer::Refused(format!("{other} is not for a worker to create")),
            }
        }
        .boxed()
    }
}
