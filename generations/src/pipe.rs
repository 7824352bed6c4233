//! The connection of the drain's commands, which carry names by the thousand: requests as they go over the wire,
//! answers where they arrived.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::{mpsc, oneshot};

use crate::answer::{Answer, Scanner};
use crate::connect::Duplex;

/// Requests that wait to be written.
const QUEUE: usize = 256;
/// Room for what is read at once.
const READ: usize = 64 * 1024;
/// Bytes that wait to be written, from which on no further request joins them.
const WRITE: usize = 256 * 1024;

/// A request, and who waits for its answer.
struct Request {
    wire: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

/// The connection's side of whoever asks; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pipe {
    requests: mpsc::Sender<Request>,
}

/// The connection is gone, with or without the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl Pipe {
    /// A pipe over a stream whose node has greeted, and what drives it: until it fails or nobody asks any more.
    pub(crate) fn new(stream: Box<dyn Duplex>) -> (Self, impl Future<Output = ()> + Send) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let driver = async {
            if let Err(error) = drive(stream, queue).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a connection to Redis has ended"
                );
            }
        };
        (Self { requests }, driver)
    }

    /// Asks one command. Dropping the future does not take it back.
    ///
    /// # Errors
    /// The connection ended before the answer.
    pub(crate) async fn ask(&self, wire: Vec<u8>) -> Result<Answer, Gone> {
        let (answer, answered) = oneshot::channel();
        let request = Request { wire, answer };
        self.requests.send(request).await.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}

/// Writes requests together as they come, and reads before it writes, so that neither side waits for the other with full
/// buffers.
async fn drive(stream: Box<dyn Duplex>, mut queue: mpsc::Receiver<Request>) -> io::Result<()> {
    let (mut reader, mut writer) = split(stream);
    let (mut incoming, mut outgoing) = (BytesMut::new(), BytesMut::new());
    let mut waiting = VecDeque::new();
    let mut scanner = Scanner::default();
    loop {
        // Answers that are still read keep the memory they stand in.
        incoming.reserve(READ);
        tokio::select! {
            biased;
            read = reader.read_buf(&mut incoming) => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                while let Some(answer) = scanner.next(&mut incoming).map_err(io::Error::other)? {
                    let asker: oneshot::Sender<Answer> =
                        waiting.pop_front().ok_or_else(|| io::Error::other("an answer that nobody asked for"))?;
                    // Nobody may be waiting for it any more.
                    drop(asker.send(answer));
                }
            }
            wrote = writer.write(&outgoing), if !outgoing.is_empty() => match wrote? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                bytes => outgoing.advance(bytes),
            },
            request = queue.recv(), if outgoing.len() < WRITE => {
                let Some(request) = request else {
                    return Ok(());
                };
                let mut next = Some(request);
                while let Some(Request { wire, answer }) = next {
                    outgoing.extend_from_slice(&wire);
                    waiting.push_back(answer);
                    next = (outgoing.len() < WRITE).then(|| queue.try_recv().ok()).flatten();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    fn pipe() -> (Pipe, DuplexStream, JoinHandle<()>) {
        let (near, far) = duplex(1 << 20);
        let (pipe, driver) = Pipe::new(Box::new(near));
        (pipe, far, tokio::spawn(driver))
    }

    async fn read(far: &mut DuplexStream, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        far.read_exact(&mut read).await.unwrap();
        read
    }

    #[tokio::test]
    async fn answers_come_to_whoever_asked_in_turn() {
        let (pipe, mut far, _driver) = pipe();
        let asked = |wire: &'static [u8]| {
            let pipe = pipe.clone();
            async move { pipe.ask(wire.to_vec()).await }
        };
        let answering = async {
            assert_eq!(read(&mut far, 3).await, b"abc");
            far.write_all(b":1\r\n-OOM n").await.unwrap();
            far.write_all(b"o\r\n*0\r\n").await.unwrap();
        };
        let (first, second, third, ()) = tokio::join!(asked(b"a"), asked(b"b"), asked(b"c"), answering);
        assert_eq!(first, Ok(Answer::Number(1)));
        assert_eq!(second, Ok(Answer::Error("OOM no".into())));
        assert!(matches!(third, Ok(Answer::Strings(none)) if none.len() == 0));
    }

    #[tokio::test]
    async fn who_no_longer_waits_keeps_nobody_from_an_answer() {
        let (pipe, mut far, _driver) = pipe();
        {
            let given_up = pipe.ask(b"a".to_vec());
            tokio::pin!(given_up);
            tokio::select! {
                biased;
                _ = &mut given_up => panic!("nobody has answered"),
                asked = read(&mut far, 1) => assert_eq!(asked, b"a"),
            }
        }
        let answering = async {
            assert_eq!(read(&mut far, 1).await, b"b");
            far.write_all(b":1\r\n:2\r\n").await.unwrap();
        };
        let (answer, ()) = tokio::join!(pipe.ask(b"b".to_vec()), answering);
        assert_eq!(answer, Ok(Answer::Number(2)));
    }

    #[tokio::test]
    async fn whoever_waits_is_told_when_the_connection_ends() {
        for end in ["", "+OK\r\n"] {
            let (pipe, mut far, driver) = pipe();
            let ending = async {
                read(&mut far, 1).await;
                far.write_all(end.as_bytes()).await.unwrap();
                drop(far);
            };
            let (answer, ()) = tokio::join!(pipe.ask(b"a".to_vec()), ending);
            assert_eq!(answer, Err(Gone));
            driver.await.unwrap();
            assert_eq!(pipe.ask(b"b".to_vec()).await, Err(Gone));
        }
        // What is answered without a question.
        let (pipe, mut far, driver) = pipe();
        far.write_all(b":1\r\n").await.unwrap();
        driver.await.unwrap();
        assert_eq!(pipe.ask(b"a".to_vec()).await, Err(Gone));
    }
}
