//! How often a process allocated, by its own jemalloc, which prints that at its end into the log.

use anyhow::Context;
use serde_json::Value;

use crate::service::Service;

/// Where the document begins in a log.
const BEGIN: &str = "{\"jemalloc\":";

/// Lets a service's allocator speak at its end: JSON, and of all arenas together only.
pub(super) fn setting() -> (String, String) {
    (
        "MALLOC_CONF".to_owned(),
        "stats_print:true,stats_print_opts:Jbalx".to_owned(),
    )
}

/// Allocations of a service that has ended, the growing of blocks included.
///
/// # Errors
/// Its log does not say.
pub(super) fn counted(service: &Service) -> anyhow::Result<u64> {
    let log = service.log().display();
    let bytes = std::fs::read(service.log()).with_context(|| format!("reading {log}"))?;
    of(&String::from_utf8_lossy(&bytes)).with_context(|| {
        format!("{log} does not end with what jemalloc counted: was it built with its statistics?")
    })
}

fn of(log: &str) -> Option<u64> {
    let text = log.get(log.rfind(BEGIN)?..)?;
    let document = serde_json::Deserializer::from_str(text)
        .into_iter::<Value>()
        .next()?
        .ok()?;
    let merged = document.get("jemalloc")?.get("stats.arenas")?.get("merged")?;
    let of = |size: &str| merged.get(size)?.get("nmalloc")?.as_u64();
    Some(of("small")? + of("large")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_of_all_sizes_are_read_wherever_they_stand() {
        let log = r#"INFO all is well
{"jemalloc":{"version":"5","stats.arenas":{"merged":{"small":{"nmalloc":914},"large":{"nmalloc":3}}}}}
a last line"#;
        assert_eq!(of(log), Some(917));
        assert_eq!(of("INFO all is well"), None);
        assert_eq!(of("{\"jemalloc\":{"), None);
    }
}
