//! Logging: structured lines on standard output, filtered by `RUST_LOG`.

use tracing_subscriber::{EnvFilter, fmt};

use crate::args::{LogArgs, LogFormat};

/// Installs the process's logger; what librdkafka logs goes the same way.
///
/// # Errors
/// The filter does not parse, or the process has a logger already.
pub fn init(args: &LogArgs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.rust_log)?;
    // A line that cannot be written, as where the disk is full, is lost and nothing else: reporting it on standard
    // error panics where that goes to the same disk.
    let logger = fmt()
        .with_env_filter(filter)
        .with_target(true)
        .log_internal_errors(false);
    match args.log_format {
        LogFormat::Json => logger.json().flatten_event(true).try_init(),
        LogFormat::Text => logger.try_init(),
    }
    .map_err(|error| anyhow::anyhow!("installing the logger: {error}"))
}

/// Passes a filter on when it parses; for clap's `value_parser`.
pub(crate) fn filter_text(value: &str) -> Result<String, String> {
    EnvFilter::try_new(value)
        .map(|_| value.to_owned())
        .map_err(|error| format!("{error}; expected a filter such as info or info,messagebus=debug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_parse_says_what_was_expected() {
        assert_eq!(
            filter_text("info,messagebus=debug").unwrap(),
            "info,messagebus=debug"
        );
        assert!(
            filter_text("messagebus=loud")
                .unwrap_err()
                .contains("expected a filter")
        );
    }
}
