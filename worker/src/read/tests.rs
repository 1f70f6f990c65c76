//! Reading gives the planned rows, whatever the format, the slices and the bytes.

mod fixtures;
mod hostile;
mod rejects;
mod roundtrip;
mod wide;
