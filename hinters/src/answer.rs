//! A partner's answer to an IndexNow request, classified.

use std::error::Error;
use std::time::SystemTime;

use reqwest::Response;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::error::{Action, Failure, IndexerError};
use crate::retry_after::retry_after;

/// Bytes of an answer that are read; what follows is left on the connection, which is closed then.
const BODY_BYTES: usize = 64 * 1024;

/// The form of error bodies, where there are any. Undocumented, as seen of live engines.
#[derive(Debug, Deserialize)]
struct ErrorBody {
    #[serde(default, rename = "errorCode")]
    error_code: String,
    #[serde(default)]
    message: String,
}

/// What to do about an answer that is none of 2xx (IndexNow's table of answers).
#[must_use]
pub fn action(status: u16, headers: &HeaderMap, now: SystemTime) -> Action {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A date is compared with the partner's own clock, where it tells: ours may be ahead, and no request may come
    // sooner than asked.
    let now = text(DATE)
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or(now);
    let after = text(RETRY_AFTER).and_then(|value| retry_after(value, now));
    match status {
        429 => Action::SlowDown { after },
        500..=599 => Action::Retry { after },
        _ => Action::GiveUp,
    }
}

/// Why there was no answer.
pub(crate) fn failure(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<native_tls::Error>() {
            return Failure::Tls;
        }
        source = cause.source();
    }
    Failure::Connect
}

/// The partner's words about a failure.
pub(crate) async fn detail(response: Response) -> String {
    words(&read(response).await)
}

/// What the body of a failure says: its error code and message, or the beginning of whatever it is. At most
/// 1 KiB.
#[must_use]
pub fn words(body: &[u8]) -> String {
    let words = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error_code, message }) => [error_code, message]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": "),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    IndexerError::clip(words)
}

async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < BODY_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            // The status says what to do; half an explanation is better than none.
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(BODY_BYTES);
    body
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn statuses_are_answered_as_the_protocol_says() {
        let action = |status| action(status, &HeaderMap::new(), SystemTime::UNIX_EPOCH);
        for status in [301, 400, 403, 404, 405, 422] {
            assert_eq!(action(status), Action::GiveUp, "{status}");
        }
        for status in [500, 502, 503, 504, 599] {
            assert_eq!(action(status), Action::Retry { after: None }, "{status}");
        }
        assert_eq!(action(429), Action::SlowDown { after: None });
    }

    #[test]
    fn a_partner_may_ask_for_time() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let after = Some(Duration::from_secs(7));
        assert_eq!(
            action(429, &headers, SystemTime::UNIX_EPOCH),
            Action::SlowDown { after }
        );
        assert_eq!(
            action(503, &headers, SystemTime::UNIX_EPOCH),
            Action::Retry { after }
        );
    }

    #[test]
    fn a_date_to_wait_for_is_compared_with_the_partners_clock() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:37 GMT".parse().unwrap());
        let hour_ahead = httpdate::parse_http_date("Sun, 06 Nov 1994 09:49:37 GMT").unwrap();
        let after = |seconds| Action::SlowDown {
            after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(action(429, &headers, hour_ahead), after(0));
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(action(429, &headers, hour_ahead), after(60));
    }
}
