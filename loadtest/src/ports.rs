//! Free loopback ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;

/// Below the ports that Linux gives to outgoing connections (`ip_local_port_range`): one of those would take a port
/// between the look and its use now and then.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
const ATTEMPTS: usize = 100;

/// Ports are handed out in turn, so that none goes to two askers of this process; other processes began elsewhere.
static NEXT: LazyLock<AtomicUsize> = LazyLock::new(|| AtomicUsize::new(rand::random_range(0..PORTS.len())));

/// A loopback address whose port was free a moment ago.
///
/// # Errors
/// The system has no port left.
pub fn free() -> anyhow::Result<SocketAddr> {
    let port = || {
        PORTS
            .clone()
            .nth(NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len())
    };
    let mut addresses = std::iter::from_fn(port)
        .take(ATTEMPTS)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    addresses
        .find(is_free)
        .with_context(|| format!("no free port of {ATTEMPTS} tried in {PORTS:?}"))
}
