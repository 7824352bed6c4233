//! A partner's answer: its status, its `Retry-After`, its body.

use std::time::{Duration, SystemTime};

use hinters::{Action, LONGEST_WAIT, action, retry_after, words};
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

/// When the answer came: a whole second, since a date in a header has no fractions.
const NOW: Duration = Duration::from_secs(1_790_000_000);

/// The status on the first line, `Retry-After` on the second, `Date` on the third, the body behind; each may be
/// anything.
pub fn check(input: &[u8]) {
    let mut lines = input.splitn(4, |&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (status, retry_after, date, body) = (line(), line(), line(), line());
    let status = std::str::from_utf8(status)
        .ok()
        .and_then(|text| text.parse().ok());
    classified(status.unwrap_or(429), retry_after, date);
    let seconds = std::str::from_utf8(retry_after)
        .ok()
        .and_then(|text| text.parse().ok());
    if let Some(seconds) = seconds {
        never_sooner_than_asked(seconds);
    }
    assert!(words(body).len() <= 1_024, "a partner's words fill the log");
}

/// A status means the same whatever the headers say, and what they say is what is waited.
fn classified(status: u16, header: &[u8], date: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, value) in [(RETRY_AFTER, header), (DATE, date)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let theirs = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let now = SystemTime::UNIX_EPOCH + NOW;
    let asked = text(RETRY_AFTER).and_then(|header| retry_after(header, theirs.unwrap_or(now)));
    assert!(asked.is_none_or(|wait| wait <= LONGEST_WAIT));
    match action(status, &headers, now) {
        Action::SlowDown { after } => assert_eq!((status, after), (429, asked)),
        Action::Retry { after } => assert_eq!((status / 100, after), (5, asked)),
        Action::GiveUp => assert!(status != 429 && status / 100 != 5),
    }
}

/// The same wait asked for in both forms of the header.
fn never_sooner_than_asked(seconds: u64) {
    let now = SystemTime::UNIX_EPOCH + NOW;
    let wanted = Duration::from_secs(seconds).min(LONGEST_WAIT);
    assert_eq!(retry_after(&seconds.to_string(), now), Some(wanted));
    assert_eq!(retry_after(&format!(" {seconds:020} "), now), Some(wanted));
    let at = now + wanted;
    assert_eq!(retry_after(&httpdate::fmt_http_date(at), now), Some(wanted));
    let later = httpdate::fmt_http_date(at + Duration::from_secs(1));
    assert!(retry_after(&later, now) >= Some(wanted));
}
