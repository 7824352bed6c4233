//! Which cache misses say that a page changed.
//!
//! Hinting pages that did not change, or are no pages, teaches engines to ignore the site. Judged by what the
//! edge says of the answer, never by the path.

use hint_schema::cache_miss::{CacheMiss, CacheStatus};

use crate::reason::Reason;

/// Types of style sheets, scripts, fonts and JSON beside `font/…` and `…+json`. The scripts are the JavaScript
/// types that browsers know.
const UNWANTED_TYPES: [&str; 25] = [
    "application/ecmascript",
    "application/font-sfnt",
    "application/font-woff",
    "application/font-woff2",
    "application/javascript",
    "application/json",
    "application/vnd.ms-fontobject",
    "application/x-ecmascript",
    "application/x-font-opentype",
    "application/x-font-otf",
    "application/x-font-ttf",
    "application/x-font-woff",
    "application/x-javascript",
    "text/css",
    "text/ecmascript",
    "text/javascript",
    "text/javascript1.0",
    "text/javascript1.1",
    "text/javascript1.2",
    "text/javascript1.3",
    "text/javascript1.4",
    "text/jscript",
    "text/json",
    "text/livescript",
    "text/x-javascript",
];

/// Whether the record is worth a hint.
///
/// # Errors
/// The first reason why it is not, in the order noindex, cache status, origin status, content type.
pub fn check(miss: &CacheMiss<'_>) -> Result<(), Reason> {
    if miss.noindex {
        return Err(Reason::Noindex);
    }
    match miss.cache_status {
        CacheStatus::Miss | CacheStatus::Expired | CacheStatus::Purged => {}
        CacheStatus::Revalidated | CacheStatus::Stale | CacheStatus::Bypass => {
            return Err(Reason::CacheStatus);
        }
    }
    // 0 is unknown. A 404 says nothing without the page's past, a 410 says that it had one.
    if !matches!(miss.origin_status, 0 | 200..=299 | 410) {
        return Err(Reason::OriginStatus);
    }
    if is_unwanted_type(miss.content_type) {
        Err(Reason::ContentType)
    } else {
        Ok(())
    }
}

fn is_unwanted_type(content_type: &str) -> bool {
    let (essence, _) = content_type.split_once(';').unwrap_or((content_type, ""));
    let essence = essence.trim();
    // Nearly every record ends here.
    if essence.eq_ignore_ascii_case("text/html") {
        return false;
    }
    starts_with(essence, "font/")
        || ends_with(essence, "+json")
        || UNWANTED_TYPES
            .iter()
            .any(|unwanted| essence.eq_ignore_ascii_case(unwanted))
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn ends_with(text: &str, suffix: &str) -> bool {
    let end = text.len().checked_sub(suffix.len()).and_then(|at| text.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::page;

    #[test]
    fn a_page_that_asks_not_to_be_indexed_is_no_hint() {
        assert_eq!(
            check(&CacheMiss {
                noindex: true,
                ..page()
            }),
            Err(Reason::Noindex)
        );
    }

    #[test]
    fn only_statuses_of_new_content_are_hints() {
        for (cache_status, expected) in [
            (CacheStatus::Miss, Ok(())),
            (CacheStatus::Expired, Ok(())),
            (CacheStatus::Purged, Ok(())),
            (CacheStatus::Revalidated, Err(Reason::CacheStatus)),
            (CacheStatus::Stale, Err(Reason::CacheStatus)),
            (CacheStatus::Bypass, Err(Reason::CacheStatus)),
        ] {
            assert_eq!(
                check(&CacheMiss {
                    cache_status,
                    ..page()
                }),
                expected,
                "{cache_status:?}"
            );
        }
    }

    #[test]
    fn answers_of_the_origin_count_when_they_show_a_page_or_its_end() {
        for origin_status in [0, 200, 206, 299, 410] {
            assert_eq!(
                check(&CacheMiss {
                    origin_status,
                    ..page()
                }),
                Ok(()),
                "{origin_status}"
            );
        }
        for origin_status in [
            1,
            100,
            199,
            300,
            301,
            304,
            400,
            404,
            409,
            411,
            500,
            503,
            999,
            u16::MAX,
        ] {
            let verdict = check(&CacheMiss {
                origin_status,
                ..page()
            });
            assert_eq!(verdict, Err(Reason::OriginStatus), "{origin_status}");
        }
    }

    #[test]
    fn style_sheets_scripts_fonts_and_json_are_no_pages() {
        for content_type in [
            "text/css",
            "TEXT/CSS; charset=utf-8",
            " text/javascript ;x",
            "application/json",
            "application/ld+json",
            "application/vnd.api+JSON;v=1",
            "font/woff2",
            "Font/ttf",
            "application/vnd.ms-fontobject",
            "text/x-javascript",
        ] {
            let verdict = check(&CacheMiss {
                content_type,
                ..page()
            });
            assert_eq!(verdict, Err(Reason::ContentType), "{content_type}");
        }
        for content_type in [
            "",
            "text/html",
            "text/html; charset=utf-8",
            "application/pdf",
            "image/png",
            "text/plain",
            "font",
            "+jso",
            "é+jsön",
        ] {
            assert_eq!(
                check(&CacheMiss {
                    content_type,
                    ..page()
                }),
                Ok(()),
                "{content_type}"
            );
        }
    }

    #[test]
    fn the_path_decides_nothing() {
        assert_eq!(
            check(&CacheMiss {
                url: "https://example.com/style.css",
                ..page()
            }),
            Ok(())
        );
    }
}
