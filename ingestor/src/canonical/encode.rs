//! Percent-encoding to the letter of RFC 3986: what its grammar does not allow is encoded, escapes get upper-case
//! digits, nothing is decoded.

/// Stands for itself in a path.
const PATH: u8 = 1;
/// Stands for itself in a query.
const QUERY: u8 = 2;
/// `%`, which stands for itself nowhere.
const PERCENT: u8 = 4;
/// `.`, of which dot segments are made.
const DOT: u8 = 8;
/// `;`, which starts a path parameter.
const SEMICOLON: u8 = 16;

static CLASSES: [u8; 256] = classes();

/// Two parts of a URL with a grammar of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `pchar` and `/`.
    Path,
    /// `pchar`, `/` and `?` without `'`, which browsers encode in a query.
    Query,
}

/// What a text is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    every: u8,
    any: u8,
}

impl Part {
    fn class(self) -> u8 {
        match self {
            Self::Path => PATH,
            Self::Query => QUERY,
        }
    }
}

impl Scan {
    /// Looks at each byte once, without a branch.
    pub(super) fn of(text: &str) -> Self {
        text.bytes().fold(Self { every: !0, any: 0 }, |seen, byte| {
            let class = class_of(byte);
            Self {
                every: seen.every & class,
                any: seen.any | class,
            }
        })
    }

    /// Whether all of it is allowed in `part`, if its `%` are escapes.
    pub(super) fn fits(self, part: Part) -> bool {
        self.every & part.class() != 0
    }

    pub(super) fn has_percent(self) -> bool {
        self.any & PERCENT != 0
    }

    pub(super) fn has_dot(self) -> bool {
        self.any & DOT != 0
    }

    pub(super) fn has_semicolon(self) -> bool {
        self.any & SEMICOLON != 0
    }
}

/// Appends `text`, encoded for `part`. A `%` that starts no escape is encoded itself.
pub(super) fn append(out: &mut String, text: &str, part: Part) {
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' && class_of(byte) & part.class() != 0 {
            out.push(char::from(byte));
        } else if let (b'%', [high, low, after @ ..]) = (byte, tail)
            && high.is_ascii_hexdigit()
            && low.is_ascii_hexdigit()
        {
            out.push('%');
            out.push(char::from(high.to_ascii_uppercase()));
            out.push(char::from(low.to_ascii_uppercase()));
            rest = after;
        } else {
            out.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
}

fn class_of(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which checks every index"
)]
const fn classes() -> [u8; 256] {
    let both = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&()*+,;=:@/%";
    let mut table = [0; 256];
    let mut index = 0;
    while index < both.len() {
        table[both[index] as usize] = PATH | QUERY;
        index += 1;
    }
    table[b'\'' as usize] = PATH;
    table[b'?' as usize] = QUERY;
    table[b'%' as usize] |= PERCENT;
    table[b'.' as usize] |= DOT;
    table[b';' as usize] |= SEMICOLON;
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, part: Part) -> String {
        let mut out = String::new();
        append(&mut out, text, part);
        out
    }

    #[test]
    fn what_the_grammar_lacks_is_encoded() {
        assert_eq!(
            encoded("/a{b}|[c]^`\"<>", Part::Path),
            "/a%7Bb%7D%7C%5Bc%5D%5E%60%22%3C%3E"
        );
        assert_eq!(encoded("q={b}'?", Part::Query), "q=%7Bb%7D%27?");
        assert_eq!(encoded("/it's", Part::Path), "/it's");
    }

    #[test]
    fn escapes_get_upper_case_digits_and_stay_escapes() {
        assert_eq!(encoded("/%7e%c3%A9%2f", Part::Path), "/%7E%C3%A9%2F");
    }

    #[test]
    fn a_percent_sign_that_starts_no_escape_is_encoded() {
        assert_eq!(encoded("/100%", Part::Path), "/100%25");
        assert_eq!(encoded("/%zz%2", Part::Path), "/%25zz%252");
        assert_eq!(encoded("/%%41", Part::Path), "/%25%41");
    }
}
