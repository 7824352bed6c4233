//! The first words on a connection of the writer: AUTH where it is configured, then PING, so that a node that
//! accepts connections and answers nothing never gets a SET.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connect::{Credentials, Duplex};
use crate::resp::{put_auth, put_ping};

/// Far more than both answers need.
const MAX_BYTES: usize = 4 * 1024;

/// Greets the node; the caller sets the deadline.
pub(crate) async fn greet(stream: &mut dyn Duplex, credentials: Option<&Credentials>) -> io::Result<()> {
    let mut request = Vec::new();
    if let Some(credentials) = credentials {
        put_auth(&mut request, credentials);
    }
    put_ping(&mut request);
    stream.write_all(&request).await?;

    let lines = if credentials.is_some() { 2 } else { 1 };
    let mut answer = Vec::new();
    loop {
        if answer.iter().filter(|&&byte| byte == b'\n').count() >= lines {
            return check(&answer);
        }
        if stream.read_buf(&mut answer).await? == 0 || answer.len() > MAX_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The node's first error, if there is one.
fn check(answer: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(answer);
    match text.lines().find(|line| !line.starts_with('+')) {
        Some(line) => Err(io::Error::other(line.trim_start_matches('-').to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use tokio::io::duplex;

    use super::*;

    async fn greeted(answer: &[u8], password: bool) -> (Result<(), String>, Vec<u8>) {
        let (mut near, mut far) = duplex(4_096);
        far.write_all(answer).await.unwrap();
        let credentials = password.then(|| Credentials {
            username: None,
            password: SecretString::from("pw"),
        });
        let result = greet(&mut near, credentials.as_ref())
            .await
            .map_err(|error| error.to_string());
        drop(near);
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        (result, sent)
    }

    #[tokio::test]
    async fn a_node_that_answers_is_greeted() {
        let (result, sent) = greeted(b"+PONG\r\n", false).await;
        assert_eq!((result, &*sent), (Ok(()), &b"*1\r\n$4\r\nPING\r\n"[..]));
        let (result, sent) = greeted(b"+OK\r\n+PONG\r\n", true).await;
        assert_eq!(
            (result, &*sent),
            (
                Ok(()),
                &b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*1\r\n$4\r\nPING\r\n"[..]
            )
        );
    }

    #[tokio::test]
    async fn the_first_error_is_the_reason() {
        let (result, _) = greeted(b"-WRONGPASS no\r\n-NOAUTH no\r\n", true).await;
        assert_eq!(result, Err("WRONGPASS no".to_owned()));
        let (result, _) = greeted(b"-LOADING wait\r\n", false).await;
        assert_eq!(result, Err("LOADING wait".to_owned()));
    }
}
