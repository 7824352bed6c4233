//! Against a server that answers each byte with the same byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const LONG: Duration = Duration::from_secs(20);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn start() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "hello").await.unwrap(), "hello");
    (proxy, stream)
}

async fn say(stream: &mut TcpStream, words: &str) -> std::io::Result<String> {
    stream.write_all(words.as_bytes()).await?;
    let mut answer = vec![0; words.len()];
    let read = tokio::time::timeout(LONG, stream.read_exact(&mut answer)).await;
    read.expect("an answer comes in time")?;
    Ok(String::from_utf8(answer).unwrap())
}

/// What has come so far, when nothing more can come.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(LONG, stream.read_to_end(&mut bytes)).await;
    (bytes, ended.expect("it ends in time").is_err())
}

#[tokio::test]
async fn a_silent_connection_delivers_when_the_weather_changes() {
    let (proxy, mut stream) = start().await;
    proxy.set(Weather::Silent, Whose::All);
    stream.write_all(b"later").await.unwrap();
    let mut answer = [0; 5];
    tokio::select! {
        biased;
        _ = stream.read_exact(&mut answer) => panic!("it is not silent"),
        () = tokio::task::yield_now() => proxy.set(Weather::Fair, Whose::All),
    }
    tokio::time::timeout(LONG, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"later");
}

#[tokio::test]
async fn a_reply_is_cut_after_so_many_bytes() {
    let (proxy, mut stream) = start().await;
    proxy.set(Weather::Cutting(3), Whose::All);
    stream.write_all(b"a long answer").await.unwrap();
    // A reset may overtake what came before it.
    let (bytes, is_reset) = rest(&mut stream).await;
    assert!(bytes.len() <= 3 && is_reset, "{bytes:?}");
}

#[tokio::test]
async fn refused_connections_are_reset_also_when_nothing_is_sent() {
    let (proxy, mut stream) = start().await;
    proxy.set(Weather::Refusing, Whose::All);
    assert!(rest(&mut stream).await.1);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(rest(&mut stream).await.1);
}

#[tokio::test]
async fn slow_and_dripping_weather_lets_everything_pass() {
    let (proxy, mut stream) = start().await;
    proxy.set(Weather::Slow(Duration::from_millis(20)), Whose::All);
    assert_eq!(say(&mut stream, "slow").await.unwrap(), "slow");
    proxy.set(Weather::Dripping, Whose::All);
    assert_eq!(say(&mut stream, "ab").await.unwrap(), "ab");
}

#[tokio::test]
async fn weather_is_for_those_it_is_meant_for() {
    let (proxy, mut stream) = start().await;
    proxy.set(Weather::Refusing, Whose::Process(1));
    assert_eq!(say(&mut stream, "not me").await.unwrap(), "not me");
    proxy.set(Weather::Cutting(0), Whose::Saying("topic"));
    assert_eq!(say(&mut stream, "something").await.unwrap(), "something");
    stream.write_all(b"the topic").await.unwrap();
    assert!(rest(&mut stream).await.1);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "hello").await.unwrap(), "hello");
    proxy.set(Weather::Refusing, Whose::Process(std::process::id()));
    assert!(rest(&mut stream).await.1);
    let mut later = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(rest(&mut later).await.1);
}
