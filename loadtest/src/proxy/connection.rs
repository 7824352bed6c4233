//! One connection through the proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::peer::ports_of;
use super::{Sky, Weather, Whose};

const CHUNK: usize = 16 << 10;
/// Chunks that are read and not yet passed on; full, the sender feels it.
const IN_FLIGHT: usize = 256;
/// Of what a client says first, this much is kept, to know it by.
const OPENING: usize = 4 << 10;
const DRIP_EVERY: Duration = Duration::from_millis(300);

/// What is known of a connection, and the weather that it meets.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// The client's port.
    port: u16,
    /// What the client said first.
    opening: Arc<Mutex<Vec<u8>>>,
    sky: watch::Receiver<Sky>,
    weather: Weather,
    /// Bytes of replies that passed in this weather.
    passed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Request,
    Reply,
}

impl Connection {
    pub(super) fn new(port: u16, sky: watch::Receiver<Sky>) -> Self {
        let mut connection = Self {
            port,
            opening: Arc::default(),
            sky,
            weather: Weather::Fair,
            passed: 0,
        };
        connection.look_up(|_, id| ports_of(id).contains(&port));
        connection
    }

    /// Carries bytes both ways until both sides have ended or the weather cuts it; then the client gets a reset.
    pub(super) async fn carry(self, mut client: TcpStream, to: SocketAddr) {
        let refused = self.clone().refused();
        let cut = tokio::select! {
            biased;
            () = refused => true,
            ended = self.pump_both(&mut client, to) => ended.is_err(),
        };
        if cut && let Err(error) = client.set_zero_linger() {
            tracing::debug!("a connection cannot be reset: {error}");
        }
    }

    async fn pump_both(self, client: &mut TcpStream, to: SocketAddr) -> io::Result<()> {
        let mut server = TcpStream::connect(to).await?;
        server.set_nodelay(true)?;
        client.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let requests = self.clone().pump(Way::Request, from_client, to_server);
        let replies = self.pump(Way::Reply, from_server, to_client);
        tokio::try_join!(requests, replies).map(|((), ())| ())
    }

    async fn pump(mut self, way: Way, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let (hand_over, mut waiting) = mpsc::channel(IN_FLIGHT);
        let reading = async move {
            loop {
                let mut chunk = Vec::with_capacity(CHUNK);
                if from.read_buf(&mut chunk).await? == 0 {
                    return Ok(());
                }
                if hand_over.send((Instant::now(), chunk)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let writing = async move {
            while let Some((came, chunk)) = waiting.recv().await {
                if way == Way::Request {
                    self.remember(&chunk);
                }
                self.pass(way, came, &chunk, &mut to).await?;
            }
            to.shutdown().await
        };
        tokio::try_join!(reading, writing).map(|((), ())| ())
    }

    /// Passes bytes on as the weather allows; it may change while they wait.
    async fn pass(
        &mut self,
        way: Way,
        came: Instant,
        bytes: &[u8],
        to: &mut WriteHalf<'_>,
    ) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = match (self.now(), way) {
                (Weather::Refusing, _) => return Err(io::ErrorKind::ConnectionReset.into()),
                (Weather::Silent, _) | (Weather::Mute, Way::Reply) => {
                    self.changed().await;
                    continue;
                }
                (Weather::Slow(each_way), _) if came.elapsed() < each_way => {
                    self.changed_before(came + each_way).await;
                    continue;
                }
                (Weather::Cutting(after), Way::Reply) => match after.saturating_sub(self.passed) {
                    0 => return Err(io::ErrorKind::ConnectionReset.into()),
                    left => left,
                },
                (Weather::Dripping, Way::Reply) => {
                    self.changed_before(Instant::now() + DRIP_EVERY).await;
                    1
                }
                _ => rest.len(),
            };
            let (now, later) = rest.split_at(most.min(rest.len()));
            to.write_all(now).await?;
            self.passed += now.len();
            rest = later;
        }
        Ok(())
    }

    fn remember(&self, chunk: &[u8]) {
        let mut opening = self.opening.lock();
        let room = OPENING.saturating_sub(opening.len());
        opening.extend(chunk.iter().take(room));
    }

    /// The weather that this connection meets now.
    fn now(&mut self) -> Weather {
        let is_new = self.sky.has_changed().unwrap_or(false);
        // What a client says may come later than the weather that is for those who say it.
        if is_new || matches!(self.sky.borrow().whose, Whose::Saying(_)) {
            let port = self.port;
            self.look_up(|sky, _| sky.ports.contains(&port));
        }
        self.weather
    }

    /// `is_of_process` says whether it is of the one that the weather is for: of a connection that stood when that
    /// changed, the sky knows.
    fn look_up(&mut self, is_of_process: impl FnOnce(&Sky, u32) -> bool) {
        let sky = self.sky.borrow_and_update().clone();
        let is_meant = match sky.whose {
            Whose::All => true,
            Whose::Process(id) => is_of_process(&sky, id),
            Whose::Saying(text) => {
                let opening = self.opening.lock();
                opening.windows(text.len()).any(|said| said == text.as_bytes())
            }
        };
        let weather = if is_meant { sky.weather } else { Weather::Fair };
        if self.weather != weather {
            self.weather = weather;
            self.passed = 0;
        }
    }

    async fn changed(&mut self) {
        if self.sky.changed().await.is_err() {
            // The proxy ends, and this connection with it.
            std::future::pending::<()>().await;
        }
        self.sky.mark_changed();
    }

    async fn changed_before(&mut self, deadline: Instant) {
        tokio::select! {
            () = self.changed() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }

    /// Resolves when connections are refused, whether or not anything is sent.
    async fn refused(mut self) {
        while self.now() != Weather::Refusing {
            self.changed().await;
        }
    }
}
