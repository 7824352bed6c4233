//! Dot segments, resolved as browsers do: RFC 3986, 5.2.4, with `%2e` as another spelling of the dot.
//!
//! Not left to crate `url`, which takes `/c:/../a` for a path on a Windows drive whatever the scheme.

use super::encode::{self, Part};

/// What a segment does to the path so far.
enum Segment {
    /// `.`
    Here,
    /// `..`
    Up,
    Name,
}

/// Appends `raw`, a path that starts with `/` or is empty: without dot segments, encoded, never empty.
pub(super) fn append(out: &mut String, raw: &str) {
    let start = out.len();
    let mut segments = raw.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match kind(segment) {
            Segment::Name => {
                out.push('/');
                encode::append(out, segment, Part::Path);
                continue;
            }
            Segment::Here => {}
            Segment::Up => {
                let path = out.get(start..).unwrap_or_default();
                let parent = path.rfind('/').unwrap_or(0);
                out.truncate(start + parent);
            }
        }
        if is_last {
            out.push('/');
        }
    }
    if out.len() == start {
        out.push('/');
    }
}

fn kind(segment: &str) -> Segment {
    let mut rest = segment;
    let mut dots = 0;
    while let Some(next) = ["%2e", "%2E", "."].iter().find_map(|dot| rest.strip_prefix(dot)) {
        rest = next;
        dots += 1;
    }
    match dots {
        1 if rest.is_empty() => Segment::Here,
        2 if rest.is_empty() => Segment::Up,
        _ => Segment::Name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_resolved_in_every_spelling() {
        for (raw, path) in [
            ("", "/"),
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/./b/.", "/a/b/"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/../..", "/"),
            ("/a/%2e%2E/b/.%2e/%2e/c", "/c"),
            ("//..//a", "//a"),
            ("/a//../b", "/a/b"),
            ("/.../..a/.b", "/.../..a/.b"),
            ("/c:/../a|", "/a%7C"),
            ("/a/..;/b", "/a/..;/b"),
        ] {
            let mut out = "https://a.example".to_owned();
            append(&mut out, raw);
            assert_eq!(out.strip_prefix("https://a.example"), Some(path), "{raw}");
        }
    }
}
