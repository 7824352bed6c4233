//! Free loopback ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

use anyhow::Context;
use parking_lot::Mutex;

/// Below the ports that Linux gives to outgoing connections (`ip_local_port_range`): one of those would take a port
/// between the look and its use now and then.
const PORTS: Range<u16> = 10_000..32_000;
const BLOCK: u16 = 100;

/// The ports of this process: between a look and a port's use no other asker gets it, of this process or another.
static OURS: Mutex<Blocks> = Mutex::new(Blocks {
    held: Vec::new(),
    left: 0..0,
});

struct Blocks {
    /// Listeners at the first port of each block: while they stand, the block is nobody else's.
    held: Vec<TcpListener>,
    /// Of the newest block, what was not handed out yet.
    left: Range<u16>,
}

/// A loopback address whose port was free a moment ago.
///
/// # Errors
/// The system has no port left.
pub fn free() -> anyhow::Result<SocketAddr> {
    let mut ours = OURS.lock();
    loop {
        let mut addresses = ours.left.by_ref().map(loopback);
        if let Some(free) = addresses.find(|address| TcpListener::bind(address).is_ok()) {
            return Ok(free);
        }
        let (holder, block) = claim().with_context(|| format!("no block of free ports in {PORTS:?}"))?;
        ours.held.push(holder);
        ours.left = block;
    }
}

/// A block that nobody holds, and what holds it. Processes begin to look at different ones.
fn claim() -> Option<(TcpListener, Range<u16>)> {
    let firsts = || PORTS.step_by(BLOCK.into());
    let begin = rand::random_range(0..firsts().len());
    firsts()
        .cycle()
        .skip(begin)
        .take(firsts().len())
        .find_map(|first| {
            let holder = TcpListener::bind(loopback(first)).ok()?;
            Some((holder, first + 1..first + BLOCK))
        })
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_goes_to_two_askers() {
        let askers: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..BLOCK).map(|_| free().unwrap()).collect::<Vec<_>>()))
            .collect();
        let all: Vec<_> = askers
            .into_iter()
            .flat_map(|asker| asker.join().unwrap())
            .collect();
        let (several, distinct) = (all.len(), all.into_iter().collect::<HashSet<_>>());
        assert_eq!(distinct.len(), several);
        // No other process can claim a block of which a port was handed out.
        let first_of = |port: u16| port - (port - PORTS.start) % BLOCK;
        let is_held = |address: &SocketAddr| TcpListener::bind(loopback(first_of(address.port()))).is_err();
        assert!(distinct.iter().all(is_held));
    }
}
