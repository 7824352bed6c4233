//! A TCP proxy whose weather changes: latency, silence, resets, cuts in mid-reply.
//!
//! Ours, because what exists is a server of its own with an HTTP API in front (Toxiproxy and its ports), which a
//! test would have to install, start and tell apart; and none of it knows *which process* a connection is of.

mod connection;
mod peer;

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use connection::Connection;
use peer::ports_of;

/// How the network behaves between clients and what they talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes at once.
    Fair,
    /// Everything passes this much later, each way.
    Slow(Duration),
    /// Nothing passes, nothing ends; what was sent passes when the weather changes.
    Silent,
    /// Requests pass, replies do not.
    Mute,
    /// Connections are reset, and new ones as well.
    Refusing,
    /// Each connection is reset once so many further bytes of replies have passed.
    Cutting(usize),
    /// Replies pass a byte at a time.
    Dripping,
}

/// Whose connections the weather is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    All,
    /// Those of the process of this number.
    Process(u32),
    /// Those whose first requests hold this text.
    Saying(&'static str),
}

/// The weather, and for whom; it is fair for all others.
#[derive(Clone, Debug)]
pub(crate) struct Sky {
    weather: Weather,
    whose: Whose,
    /// From where the process had connections when the weather changed, if it is for one.
    ports: Arc<HashSet<u16>>,
}

impl Sky {
    fn new(weather: Weather, whose: Whose) -> Self {
        let ports = match whose {
            Whose::Process(id) => ports_of(id),
            Whose::All | Whose::Saying(_) => HashSet::new(),
        };
        Self {
            weather,
            whose,
            ports: Arc::new(ports),
        }
    }
}

/// A proxy in front of one address. Gone, with every connection, when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    sky: watch::Sender<Sky>,
    _stop: DropGuard,
}

impl Proxy {
    /// Listens on a free loopback port and passes everything on to `to`, which may start to listen later.
    ///
    /// # Errors
    /// The system has no port left.
    pub async fn start(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("binding a proxy's port")?;
        let address = listener.local_addr().context("binding a proxy's port")?;
        let (sky, seen) = watch::channel(Sky::new(Weather::Fair, Whose::All));
        let stop = CancellationToken::new();
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(serve(listener, to, seen, stop.clone())),
        );
        Ok(Self {
            address,
            sky,
            _stop: stop.drop_guard(),
        })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather, also of the connections that stand.
    pub fn set(&self, weather: Weather, whose: Whose) {
        self.sky.send_replace(Sky::new(weather, whose));
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, sky: watch::Receiver<Sky>, stop: CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((client, from)) => {
                let connection = Connection::new(from.port(), sky.clone());
                tokio::spawn(
                    stop.clone()
                        .run_until_cancelled_owned(connection.carry(client, to)),
                );
            }
            // Out of descriptors, most likely: they come back as connections end.
            Err(error) => {
                tracing::warn!("a proxy cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
