//! The little of the Redis protocol (RESP2) that goes out by hand, because it runs once a hint: the writer's
//! `SET name value NX`, with the answers to it, and the drain's commands. Nothing of the writer's allocates once the buffers
//! have grown.

use std::ops::Range;

use secrecy::ExposeSecret;

use crate::connect::Credentials;
use crate::value::AgeValue;

/// Longest error line that is still believed to be one.
const MAX_LINE: usize = 16 * 1024;

/// One answer to a SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// `+OK`: the name is new.
    Ok,
    /// Nil: the name was there already.
    Nil,
    /// The error line without its `-` and line end.
    Error(&'a [u8]),
}

/// What stands at the start of a receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan<'a> {
    /// A whole answer, and how many bytes it took.
    Reply(Reply<'a>, usize),
    /// More bytes are needed.
    Incomplete,
    /// Not an answer to a SET: the connection cannot be trusted any further.
    Broken,
}

/// Appends `SET name value NX` and returns where in `out` the name stands.
pub(crate) fn put_set(out: &mut Vec<u8>, name: &[u8], value: AgeValue) -> Range<usize> {
    out.extend_from_slice(b"*4\r\n$3\r\nSET\r\n");
    let name = put_bulk(out, name);
    let (digits, start) = decimal(u64::from(value.get()));
    put_bulk(out, digits.get(start..).unwrap_or_default());
    out.extend_from_slice(b"$2\r\nNX\r\n");
    name
}

/// Appends `AUTH`.
pub(crate) fn put_auth(out: &mut Vec<u8>, credentials: &Credentials) {
    let username = credentials.username.as_deref();
    out.extend_from_slice(if username.is_some() { b"*3\r\n" } else { b"*2\r\n" });
    put_bulk(out, b"AUTH");
    if let Some(username) = username {
        put_bulk(out, username.as_bytes());
    }
    put_bulk(out, credentials.password.expose_secret().as_bytes());
}

/// Appends `PING`.
pub(crate) fn put_ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
}

/// A command of the drain's: its words, and then names.
pub(crate) fn command<'a>(
    words: &[&'a [u8]],
    names: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Vec<u8> {
    /// Of a string beside its own bytes, up to a million of these.
    const FRAME: usize = 12;
    let sizes = words
        .iter()
        .copied()
        .chain(names.clone())
        .map(|text| text.len() + FRAME);
    let mut out = Vec::with_capacity(FRAME + sizes.sum::<usize>());
    let (digits, start) = decimal((words.len() + names.len()) as u64);
    out.push(b'*');
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    for text in words.iter().copied().chain(names) {
        put_bulk(&mut out, text);
    }
    out
}

/// Reads the answer at the start of `buffer`.
pub(crate) fn scan(buffer: &[u8]) -> Scan<'_> {
    const OK: &[u8] = b"+OK\r\n";
    const NIL: &[u8] = b"$-1\r\n";
    if buffer.starts_with(OK) {
        Scan::Reply(Reply::Ok, OK.len())
    } else if buffer.starts_with(NIL) {
        Scan::Reply(Reply::Nil, NIL.len())
    } else if OK.starts_with(buffer) || NIL.starts_with(buffer) {
        Scan::Incomplete
    } else if buffer.starts_with(b"-") {
        scan_error(buffer)
    } else {
        Scan::Broken
    }
}

fn scan_error(buffer: &[u8]) -> Scan<'_> {
    match buffer.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => match buffer.get(1..end) {
            Some(line) => Scan::Reply(Reply::Error(line), end + 2),
            None => Scan::Broken,
        },
        None if buffer.len() > MAX_LINE => Scan::Broken,
        None => Scan::Incomplete,
    }
}

fn put_bulk(out: &mut Vec<u8>, bytes: &[u8]) -> Range<usize> {
    let (digits, start) = decimal(bytes.len() as u64);
    out.push(b'$');
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    let from = out.len();
    out.extend_from_slice(bytes);
    let to = out.len();
    out.extend_from_slice(b"\r\n");
    from..to
}

/// The decimal digits of a number, right-aligned, and where they start.
fn decimal(number: u64) -> ([u8; 20], usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    (digits, start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn a_set_is_encoded_as_redis_reads_it() {
        let mut out = b"before".to_vec();
        let name = put_set(&mut out, b"0:{h}s/", AgeValue::OPENED);
        assert_eq!(
            out,
            b"before*4\r\n$3\r\nSET\r\n$7\r\n0:{h}s/\r\n$4\r\n5000\r\n$2\r\nNX\r\n"
        );
        assert_eq!(&out[name], b"0:{h}s/");
    }

    #[test]
    fn a_command_is_its_words_and_its_names() {
        let names: [&[u8]; 2] = [b"0:{h}s/", b""];
        assert_eq!(
            command(&[b"UNLINK"], names.into_iter()),
            b"*3\r\n$6\r\nUNLINK\r\n$7\r\n0:{h}s/\r\n$0\r\n\r\n"
        );
        assert_eq!(
            command(&[b"CLUSTER", b"1"], [].into_iter()),
            b"*2\r\n$7\r\nCLUSTER\r\n$1\r\n1\r\n"
        );
    }

    #[test]
    fn authentication_names_the_user_where_there_is_one() {
        let encoded = |username: Option<&str>| {
            let mut out = Vec::new();
            let password = SecretString::from("pw");
            put_auth(
                &mut out,
                &Credentials {
                    username: username.map(str::to_owned),
                    password,
                },
            );
            out
        };
        assert_eq!(encoded(None), b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n");
        assert_eq!(
            encoded(Some("me")),
            b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n"
        );
    }

    #[test]
    fn each_answer_is_told_apart() {
        assert_eq!(scan(b"+OK\r\n$-1"), Scan::Reply(Reply::Ok, 5));
        assert_eq!(scan(b"$-1\r\n"), Scan::Reply(Reply::Nil, 5));
        assert_eq!(
            scan(b"-OOM no\r\n+OK\r\n"),
            Scan::Reply(Reply::Error(b"OOM no"), 9)
        );
        for broken in ["x", "+PONG\r\n", "$3\r\nabc\r\n", ":1\r\n", "\r\n"] {
            assert_eq!(scan(broken.as_bytes()), Scan::Broken, "{broken:?}");
        }
        assert_eq!(scan(&[&b"-"[..], &[b'x'; MAX_LINE]].concat()), Scan::Broken);
    }

    proptest! {
        #[test]
        fn a_cut_answer_waits_for_the_rest(reply in prop_oneof![
            Just("+OK\r\n".to_owned()), Just("$-1\r\n".to_owned()), "-[A-Z]{1,9} [a-z:. 0-9]{0,40}\r\n",
        ]) {
            for cut in 0..reply.len() {
                prop_assert_eq!(scan(&reply.as_bytes()[..cut]), Scan::Incomplete);
            }
            let whole = matches!(scan(reply.as_bytes()), Scan::Reply(_, taken) if taken == reply.len());
            prop_assert!(whole);
        }

        #[test]
        fn answers_of_any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = scan(&bytes);
        }

        #[test]
        fn numbers_are_written_in_decimal(number: u64) {
            let (digits, start) = decimal(number);
            let text = number.to_string();
            prop_assert_eq!(&digits[start..], text.as_bytes());
        }
    }
}
