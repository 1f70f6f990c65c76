//! What the tests of the built programs share. Nothing here is part of the product.
//!
//! Such a test is written in the order of these modules: a [`mod@bench`] folder with a spec, input
//! made from the flights of the example ([`flights`]), a [`process`] that is run, watched,
//! signalled or killed, and then [`store`] and [`tools`] that judge what it left behind. What
//! the tests choose at random comes from a [`random`] seed that is printed.
//!
//! A test of coordinator and workers has them in a [`cluster`], and looks into a
//! [`coordinator`] by [`grpc`] and [`http`]. Models come from a [`hub`] of our own, from a real MLflow
//! [`registry`] and from [`s3`] as moto plays it, where wanted by way of [`s3_faults`]. Other stores
//! are each a [`bucket_server`]; a [`mod@place`] says where input and output lie. A [`hook`] is whom a
//! run tells of itself, a [`collector`] who gets its traces.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this crate is only used by tests, where a panic is how a test fails"
)]

pub mod bench;
pub mod binaries;
pub mod bucket_server;
pub mod cluster;
pub mod collector;
pub mod coordinator;
pub mod flights;
pub mod grpc;
pub mod hold;
pub mod hook;
pub mod http;
pub mod http2;
pub mod hub;
pub mod kubernetes;
pub mod log;
pub mod place;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod random;
pub mod redis;
pub mod refusal;
pub mod registry;
pub mod s3;
pub mod s3_faults;
pub mod s3_listing;
pub mod server;
pub mod store;
pub mod terminal;
pub mod tools;
pub mod waiting;
