//! The protocol `nightshift.v1`: its `.proto` files, the code made from them, and typed values.
//!
//! A message is understood once, at the edge: bytes become a type of [`wire`], and that becomes
//! a domain value or an error that names the field. Behind the edge nothing is optional that must
//! be there, no number is beyond its limit and no text is an id that is not one. In the order of
//! a message's way in:
//!
//! 1. [`limits`] bounds every size; [`codec`] refuses bytes that would unfold into far more memory.
//! 2. [`wire`] holds the generated types, clients and servers. Only the gRPC shells use them.
//! 3. [`field`] says why one field is refused; [`names`] are the ids that only the protocol has.
//! 4. [`leases`] are the messages between worker and coordinator, [`pods`] those of sidecars, and
//!    [`runs`] those of operators.
//! 5. [`refusal`] turns an error into what the caller is told.
//!
//! Domain values go out through `From`, which checks nothing: whoever builds a value that breaks
//! a limit has it refused by the reader.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod limits;
pub mod codec;
pub mod wire;
pub mod field;
pub mod names;
pub mod leases;
pub mod pods;
pub mod runs;
pub mod refusal;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod tests;
