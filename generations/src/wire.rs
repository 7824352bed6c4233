//! The writer's wire format, for its benchmark and nobody else.

use crate::resp::{self, Scan};
use crate::value::AgeValue;

/// Appends `SET name value NX`.
pub fn put_set(out: &mut Vec<u8>, name: &[u8], value: AgeValue) {
    let _where_the_name_stands = resp::put_set(out, name, value);
}

/// How many whole answers stand at the start of a buffer.
#[must_use]
pub fn answers(buffer: &[u8]) -> usize {
    let (mut rest, mut answers) = (buffer, 0);
    while let Scan::Reply(_, taken) = resp::scan(rest) {
        rest = rest.get(taken..).unwrap_or_default();
        answers += 1;
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_answer() {
        let mut out = Vec::new();
        put_set(&mut out, b"0:{h}s/", AgeValue::OPENED);
        assert!(out.starts_with(b"*4\r\n$3\r\nSET"));
        assert_eq!(answers(b"+OK\r\n$-1\r\n+O"), 2);
    }
}
