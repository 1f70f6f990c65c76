//! The protocol `nightshift.v1`: its `.proto` files and the code made from them.
//!
//! [`limits`] bounds every size; [`codec`] refuses bytes that would unfold into far more memory;
//! [`wire`] holds the generated types, clients and servers, for the gRPC shells alone.
#![deny(missing_docs)]

pub mod limits;
pub mod codec;
pub mod wire;
