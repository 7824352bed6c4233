use std::io;

use axum::body::Bytes;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Far longer than any of these tests takes: what ends within it ended for another reason.
const NEVER: Duration = Duration::from_secs(3_600);

/// Longest time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

struct Port {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Port {
    async fn open(connections: usize, deadline: Duration) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap(), "a test").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new()
            .route("/", get(async || "ok\n"))
            .route(
                "/peer",
                get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
            )
            .route("/ignores", post(async || "done\n"))
            .route("/reads", post(async |body: Bytes| body.len().to_string()))
            .route("/stuck", get(async || std::future::pending::<()>().await));
        let shutdown = CancellationToken::new();
        let bounds = Bounds {
            connections,
            deadline,
        };
        let serving = tokio::spawn(serve_within(bounds, listener, routes, shutdown.clone()));
        Self {
            address,
            shutdown,
            serving,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request and reads until the connection ends.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    async fn works(&self) -> bool {
        self.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .ends_with("ok\n")
    }
}

/// Everything until the other side closes, politely or not.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer));
    drop(read.await.expect("the connection ends"));
    String::from_utf8(answer).unwrap()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0; 1];
    let read = timeout(PATIENCE, stream.read(&mut byte)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn a_connection_carries_one_request_and_knows_its_client() {
    let port = Port::open(8, NEVER).await;
    let mut stream = port.connect().await;
    stream
        .write_all(b"GET /peer HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mine = stream.local_addr().unwrap().to_string();
    assert!(read_to_end(&mut stream).await.ends_with(&mine));
}

#[tokio::test]
async fn a_client_that_sends_its_header_slowly_is_cut_off() {
    let port = Port::open(8, Duration::from_millis(200)).await;
    let mut loris = port.connect().await;
    loris.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
    assert!(is_closed(&mut loris).await);
    assert!(port.works().await);
}

#[tokio::test]
async fn a_handler_that_does_not_end_is_cut_off() {
    let port = Port::open(8, Duration::from_millis(200)).await;
    assert_eq!(port.ask("GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
}

#[tokio::test]
async fn a_thousand_idle_connections_keep_nobody_out() {
    let port = Port::open(BOUNDS.connections, NEVER).await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(port.connect().await);
    }
    assert!(port.works().await);
    // Of a thousand the oldest made room.
    for stream in &mut idle[..1_000 - BOUNDS.connections] {
        assert!(is_closed(stream).await);
    }
    drop(idle);
    assert!(port.works().await);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let port = Port::open(8, NEVER).await;
    let answer = port
        .ask("POST /ignores HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let answer = port
        .ask("POST /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with('5'),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_where_it_is_read_and_where_it_is_not() {
    let port = Port::open(8, NEVER).await;
    for path in ["/ignores", "/reads"] {
        let mut stream = port.connect().await;
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        let ended: io::Result<()> = async {
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        .await;
        assert!(ended.is_err());
    }
    assert!(port.works().await);
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let port = Port::open(8, NEVER).await;
    let header = "x".repeat(2 * MAX_HEADER_BYTES);
    let answer = port
        .ask(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {header}\r\n\r\n"))
        .await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_end_does_not_wait_for_clients() {
    let port = Port::open(8, NEVER).await;
    let mut idle = port.connect().await;
    assert!(port.works().await);
    port.shutdown.cancel();
    port.serving.await.unwrap();
    assert!(is_closed(&mut idle).await);
}
