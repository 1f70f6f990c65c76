//! The `nightshift-sidecar` command.

fn main() {}
