//! Answers of the drain's commands (RESP2), read as they come: names stay where they arrived.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

/// Longest line that is still believed to be one.
const MAX_LINE: usize = 16 * 1024;
/// Strings that room is made for at once, whatever an answer announces.
const MAX_ROOM: usize = 100_000;
const LINE_END: &[u8] = b"\r\n";

/// What a node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A list.
    Strings(Strings),
    /// A number.
    Number(i64),
    /// The error line without its `-` and line end.
    Error(Bytes),
}

/// Strings of one answer, in its own memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    bytes: Bytes,
    places: Vec<Place>,
}

/// Where a string stands; nothing for nil.
type Place = Option<(u32, u32)>;

/// What came is no such answer: the connection cannot be trusted any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was answered is not what the Redis protocol allows here")]
pub(crate) struct Broken;

/// Finds answers in what has arrived, and looks at each byte once however it was cut.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Up to where the answer under way was looked at.
    at: usize,
    /// Strings that it still lacks, once its head was read.
    missing: Option<usize>,
    places: Vec<Place>,
}

impl Strings {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Each in turn.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> {
        self.places.iter().map(|place| {
            let (from, to) = (*place)?;
            self.bytes.get(from as usize..to as usize)
        })
    }
}

impl<'a> FromIterator<&'a [u8]> for Strings {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(strings: I) -> Self {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for string in strings {
            let from = bytes.len();
            bytes.extend_from_slice(string);
            places.push(place(from, bytes.len()).unwrap_or_default());
        }
        Self {
            bytes: bytes.into(),
            places,
        }
    }
}

impl Scanner {
    /// Takes the next whole answer out of the buffer; nothing where more has to arrive.
    ///
    /// # Errors
    /// What arrived is no answer.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Answer>, Broken> {
        if self.missing.is_none() {
            let Some(line) = line(buffer)? else {
                return Ok(None);
            };
            let end = line.len() + LINE_END.len();
            match line.split_first() {
                Some((b'*', count)) => {
                    // A nil list is none at all.
                    let count = usize::try_from(number(count)?).unwrap_or(0);
                    self.places.reserve_exact(count.min(MAX_ROOM));
                    (self.missing, self.at) = (Some(count), end);
                }
                Some((b':', digits)) => {
                    let number = number(digits)?;
                    drop(buffer.split_to(end));
                    return Ok(Some(Answer::Number(number)));
                }
                Some((b'-', _)) => {
                    let mut error = buffer.split_to(end).freeze();
                    error.truncate(end - LINE_END.len());
                    return Ok(Some(Answer::Error(error.slice(1..))));
                }
                _ => return Err(Broken),
            }
        }
        while let Some(missing @ 1..) = self.missing {
            let Some((place, end)) = string(buffer, self.at)? else {
                return Ok(None);
            };
            self.places.push(place);
            (self.missing, self.at) = (Some(missing - 1), end);
        }
        self.missing = None;
        let bytes = buffer.split_to(std::mem::take(&mut self.at)).freeze();
        let places = std::mem::take(&mut self.places);
        Ok(Some(Answer::Strings(Strings { bytes, places })))
    }
}

/// The string that begins at `at`, and where the next one does; nothing where more has to arrive.
fn string(buffer: &[u8], at: usize) -> Result<Option<(Place, usize)>, Broken> {
    let Some(line) = line(buffer.get(at..).unwrap_or_default())? else {
        return Ok(None);
    };
    let (b'$', digits) = line.split_first().ok_or(Broken)? else {
        return Err(Broken);
    };
    let from = at + line.len() + LINE_END.len();
    let Ok(length) = usize::try_from(number(digits)?) else {
        return Ok(Some((None, from)));
    };
    let to = from.checked_add(length).ok_or(Broken)?;
    match buffer.get(to..to.saturating_add(LINE_END.len())) {
        Some(LINE_END) => Ok(Some((place(from, to)?, to + LINE_END.len()))),
        Some(_) => Err(Broken),
        None => Ok(None),
    }
}

fn place(from: usize, to: usize) -> Result<Place, Broken> {
    let position = |at| u32::try_from(at).map_err(|_| Broken);
    Ok(Some((position(from)?, position(to)?)))
}

/// The line that a buffer begins with, without its end; nothing where more has to arrive.
fn line(buffer: &[u8]) -> Result<Option<&[u8]>, Broken> {
    let begin = buffer.get(..MAX_LINE.min(buffer.len())).unwrap_or_default();
    match memchr(b'\n', begin) {
        Some(end) => begin
            .get(..end)
            .and_then(|line| line.strip_suffix(b"\r"))
            .map(Some)
            .ok_or(Broken),
        None if buffer.len() > MAX_LINE => Err(Broken),
        None => Ok(None),
    }
}

fn number(digits: &[u8]) -> Result<i64, Broken> {
    let text = std::str::from_utf8(digits).map_err(|_| Broken)?;
    text.parse().map_err(|_| Broken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scanned(text: &[u8]) -> Result<Vec<Answer>, Broken> {
        let (mut scanner, mut buffer) = (Scanner::default(), BytesMut::from(text));
        std::iter::from_fn(|| scanner.next(&mut buffer).transpose()).collect()
    }

    fn strings(answer: &Answer) -> Vec<Option<&[u8]>> {
        match answer {
            Answer::Strings(strings) => strings.iter().collect(),
            other => panic!("{other:?}"),
        }
    }

    /// What it says, wherever it stands.
    fn plain(answer: &Answer) -> Result<Vec<Option<&[u8]>>, &Answer> {
        match answer {
            Answer::Strings(_) => Ok(strings(answer)),
            other => Err(other),
        }
    }

    #[test]
    fn each_answer_is_told_apart() {
        let answers = scanned(b"*2\r\n$3\r\na\r\n\r\n$-1\r\n:12\r\n-MOVED 1 h:2\r\n*0\r\n*-1\r\n").unwrap();
        assert_eq!(strings(&answers[0]), [Some(&b"a\r\n"[..]), None]);
        assert_eq!(answers[1], Answer::Number(12));
        assert_eq!(answers[2], Answer::Error(Bytes::from_static(b"MOVED 1 h:2")));
        assert!(strings(&answers[3]).is_empty() && strings(&answers[4]).is_empty());
        assert_eq!(answers.len(), 5);
    }

    #[test]
    fn what_is_no_answer_breaks_the_connection() {
        for broken in [
            "+OK\r\n",
            "$1\r\na\r\n",
            "x\r\n",
            "\r\n",
            ":1\n",
            ":one\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n$1\r\nabc\r\n",
            "*1\r\n$18446744073709551615\r\n",
        ] {
            assert_eq!(scanned(broken.as_bytes()), Err(Broken), "{broken:?}");
        }
        assert_eq!(scanned(&[b'-'; MAX_LINE + 1]), Err(Broken));
        assert_eq!(scanned(&[b'-'; MAX_LINE]), Ok(vec![]));
    }

    fn answer() -> impl Strategy<Value = Vec<u8>> {
        let string = prop_oneof![
            Just(b"$-1\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
                [format!("${}\r\n", bytes.len()).as_bytes(), &bytes, LINE_END].concat()
            }),
        ];
        prop_oneof![
            any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
            "-[A-Z]{1,9} [a-z:. 0-9]{0,40}\r\n".prop_map(String::into_bytes),
            prop::collection::vec(string, 0..8).prop_map(|all| [
                format!("*{}\r\n", all.len()).as_bytes(),
                &all.concat()
            ]
            .concat()),
        ]
    }

    proptest! {
        #[test]
        fn however_answers_are_cut_they_are_the_same(
            answers in prop::collection::vec(answer(), 1..5),
            cuts in prop::collection::vec(1..30_usize, 1..20),
        ) {
            let text = answers.concat();
            let whole = scanned(&text).unwrap();
            prop_assert_eq!(whole.len(), answers.len());
            let (mut scanner, mut buffer, mut rest) = (Scanner::default(), BytesMut::new(), &text[..]);
            let (mut found, mut cuts) = (Vec::new(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                buffer.extend_from_slice(now);
                rest = later;
                while let Some(answer) = scanner.next(&mut buffer).unwrap() {
                    found.push(answer);
                }
            }
            prop_assert!(found.iter().map(plain).eq(whole.iter().map(plain)), "{:?} of {:?}", found, whole);
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(scanned(&bytes));
        }
    }
}
