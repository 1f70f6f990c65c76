//! The `nightshift-coordinator` command.

fn main() {}
