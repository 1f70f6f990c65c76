//! Ports for servers that are killed and started again.

use std::net::{Ipv4Addr, TcpListener};

use crate::random::Random;
use crate::waiting::wait_for;

/// Ports that no kernel gives to outgoing connections: while a server is dead, nobody else takes
/// its port, and nobody who calls it can come to be connected with itself.
const PORTS: std::ops::Range<u64> = 12_000..31_000;

/// A port of this machine on which nobody listens.
pub fn free_port() -> u16 {
    let [port] = free_ports();
    port
}

/// `N` of them, none of them twice.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let mut random = Random::from_clock();
    // All are held until the last is found.
    let held: [TcpListener; N] = std::array::from_fn(|_| {
        wait_for("a free port", || {
            let port = PORTS.start + random.below(PORTS.end - PORTS.start);
            let port = u16::try_from(port).unwrap();
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
        })
    });
    held.map(|listener| listener.local_addr().unwrap().port())
}
