//! Addresses that no model comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses at which clouds hand out the credentials of a machine: AWS, Azure, Google and
/// OpenStack; AWS for containers; AWS over IPv6; Alibaba Cloud; Oracle.
const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];
const METADATA_NAMES: [&str; 3] =
    ["metadata.google.internal", "metadata", "instance-data.ec2.internal"];

/// Whether `host` (a name, or an address with or without brackets) hands out credentials of the
/// machine, so that a request there must never be made for the sake of a model. A name that
/// resolves to such an address is not seen here.
pub fn refused_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let name = host.to_ascii_lowercase();
    match name.parse() {
        Ok(IpAddr::V4(address)) => METADATA_V4.contains(&address),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => METADATA_V4.contains(&address),
            None => METADATA_V6.contains(&address),
        },
        Err(_) => METADATA_NAMES.contains(&name.as_str()),
    }
}
