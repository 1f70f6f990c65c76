//! Calls through the generated client and server, joined in memory.

use futures::executor::block_on;
use proptest::prelude::*;
use tonic::{Code, Request, Response, Status};

use super::*;
use crate::limits::{LEASES_MAX, REQUEST_MAX_BYTES};
use crate::wire;
use crate::wire::shard_leases_client::ShardLeasesClient;
use crate::wire::shard_leases_server::{ShardLeases, ShardLeasesServer};

/// Answers with how many leases it was sent.
struct Counting;

#[tonic::async_trait]
impl ShardLeases for Counting {
    async fn acquire(
        &self,
        _: Request<wire::AcquireRequest>,
    ) -> Result<Response<wire::AcquireResponse>, Status> {
        Err(Status::unimplemented("acquire"))
    }

    async fn heartbeat(
        &self,
        _: Request<wire::HeartbeatRequest>,
    ) -> Result<Response<wire::HeartbeatResponse>, Status> {
        Err(Status::unimplemented("heartbeat"))
    }

    async fn release(
        &self,
        request: Request<wire::ReleaseRequest>,
    ) -> Result<Response<wire::ReleaseResponse>, Status> {
        let released = request.into_inner().leases.len() as u32;
        Ok(Response::new(wire::ReleaseResponse { released }))
    }

    async fn report(
        &self,
        _: Request<wire::ReportRequest>,
    ) -> Result<Response<wire::ReportResponse>, Status> {
        Err(Status::unimplemented("report"))
    }

    async fn create_record(
        &self,
        _: Request<wire::CreateRecordRequest>,
    ) -> Result<Response<wire::CreateRecordResponse>, Status> {
        Err(Status::unimplemented("create_record"))
    }
}

fn release(leases: usize, worker_bytes: usize) -> Result<u32, Status> {
    let server = ShardLeasesServer::new(Counting).max_decoding_message_size(REQUEST_MAX_BYTES);
    let request = wire::ReleaseRequest {
        worker_id: "w".repeat(worker_bytes),
        leases: vec![wire::LeaseId::default(); leases],
        leaving: false,
    };
    let reply = block_on(ShardLeasesClient::new(server).release(request));
    reply.map(|reply| reply.into_inner().released)
}

#[test]
fn a_call_arrives() {
    assert_eq!(release(LEASES_MAX, 8).unwrap(), LEASES_MAX as u32);
}

#[test]
fn too_many_elements_are_refused_before_they_exist() {
    // The worker's name is a field too.
    assert_eq!(release(TOP_LEVEL_FIELDS_MAX - 1, 8).unwrap(), TOP_LEVEL_FIELDS_MAX as u32 - 1);
    for leases in [TOP_LEVEL_FIELDS_MAX, 100_000, 500_000] {
        let status = release(leases, 8).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{leases}: {status}");
        assert!(status.message().contains("more than 2048 fields"), "{status}");
    }
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let (one_million_leases, a_long_name) = (release(1_000_000, 8), release(0, 100 << 20));
    for outcome in [one_million_leases, a_long_name] {
        assert_eq!(outcome.unwrap_err().code(), Code::OutOfRange);
    }
}

#[test]
fn a_group_counts_what_is_in_it() {
    let group_of = |fields: usize| {
        let mut bytes = vec![0x0b];
        bytes.extend([0x10, 0x01].repeat(fields));
        bytes.push(0x0c);
        bytes
    };
    assert!(!has_too_many_fields(&group_of(TOP_LEVEL_FIELDS_MAX - 2)));
    assert!(has_too_many_fields(&group_of(TOP_LEVEL_FIELDS_MAX - 1)));
}

proptest! {
    #[test]
    fn counts_every_kind_of_field(
        kinds in prop::collection::vec(0..4_usize, 0..8),
        repeats in 0..600_usize,
    ) {
        let one: Vec<u8> = kinds.iter().flat_map(|kind| match kind {
            0 => vec![0x08, 0x96, 0x01],
            1 => vec![0x09, 1, 2, 3, 4, 5, 6, 7, 8],
            2 => vec![0x0a, 0x02, 0x08, 0x01],
            _ => vec![0x0d, 1, 2, 3, 4],
        }).collect();
        let fields = kinds.len() * repeats;
        prop_assert_eq!(has_too_many_fields(&one.repeat(repeats)), fields > TOP_LEVEL_FIELDS_MAX);
    }

    #[test]
    fn takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        // A field takes two bytes at least, so few bytes are never too many fields.
        if has_too_many_fields(&bytes) {
            prop_assert!(bytes.len() > TOP_LEVEL_FIELDS_MAX);
        }
    }
}
