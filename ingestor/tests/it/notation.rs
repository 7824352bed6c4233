//! The notation of the tables of bad input: rows, escapes and repetitions.

/// The rows of a table: lines that are no comments, cut at tabs.
pub(crate) fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| line.split('\t').collect())
}

/// Writes `«text×n»` out.
pub(crate) fn expand(text: &str) -> String {
    let mut parts = text.split(['«', '»']);
    let mut out = String::new();
    while let Some(plain) = parts.next() {
        out.push_str(plain);
        if let Some((repeated, times)) = parts.next().and_then(|part| part.rsplit_once('×')) {
            out.push_str(&repeated.repeat(times.parse().unwrap()));
        }
    }
    out
}

/// Undoes the escapes `\t \n \r \0 \\ \u{hex}`.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        let plain = match char {
            '\\' => match rest.next().unwrap() {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                '0' => '\0',
                '\\' => '\\',
                'u' => {
                    let digits: String = rest.by_ref().skip(1).take_while(|&char| char != '}').collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
                }
                other => panic!("unknown escape \\{other}"),
            },
            plain => plain,
        };
        out.push(plain);
    }
    out
}
