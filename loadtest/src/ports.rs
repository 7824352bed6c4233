//! Free loopback ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context;
use rand::Rng;

/// Below the ports that Linux gives to outgoing connections (`ip_local_port_range`): one of those would take a port
/// between the look and its use now and then.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
const ATTEMPTS: usize = 100;

/// A loopback address whose port was free a moment ago.
///
/// # Errors
/// The system has no port left.
pub(crate) fn free() -> anyhow::Result<SocketAddr> {
    let mut random = rand::rng();
    let ports = std::iter::repeat_with(|| random.random_range(PORTS)).take(ATTEMPTS);
    let mut addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    addresses
        .find(is_free)
        .with_context(|| format!("no free port of {ATTEMPTS} tried in {PORTS:?}"))
}
