//! Parsing of settings: one that does not parse ends the process with a sentence and status 2.

use std::{path::PathBuf, process, str::FromStr, time::Duration};

use clap::{
    Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use secrecy::SecretString;

/// Exit status of a process whose settings do not parse.
pub const EXIT_STATUS: i32 = 2;

/// Parses the process's flags and environment.
///
/// Does not return when a setting does not parse: prints a sentence that names the variable, its value and
/// what was expected, and exits with [`EXIT_STATUS`]. `--help` and `--version` exit with 0 as usual.
pub fn parse<C: Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| match sentence(&C::command(), &error) {
        Some(sentence) => refuse(&sentence),
        None => error.exit(),
    })
}

/// Ends the process with [`EXIT_STATUS`] because settings that parse one by one do not fit each other.
#[expect(
    clippy::print_stderr,
    reason = "logging is set up from the settings that failed"
)]
pub fn refuse(sentence: &str) -> ! {
    eprintln!("{sentence}");
    process::exit(EXIT_STATUS)
}

/// Parses a duration such as `2m`, `500ms` or `1h 30m`; for clap's `value_parser`.
///
/// # Errors
/// A text that says what was expected.
pub fn duration(value: &str) -> Result<Duration, String> {
    humantime::parse_duration(value)
        .map_err(|error| format!("{error}; expected a duration such as 2m, 30s or 500ms"))
}

/// Parses a size in bytes such as `1048576`, `96MiB` or `900kB`; for clap's `value_parser`.
///
/// # Errors
/// A text that says what was expected.
pub fn bytes(value: &str) -> Result<usize, String> {
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err(expected_bytes()),
    };
    let number = number.parse::<usize>().map_err(|_| expected_bytes())?;
    number.checked_mul(factor).ok_or_else(expected_bytes)
}

fn expected_bytes() -> String {
    "expected a number of bytes such as 1048576, 900kB or 96MiB".to_owned()
}

/// A secret that was read from a file when the settings were parsed; never printed.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// Where it was read.
    pub path: PathBuf,
    /// The file's text without the line end.
    pub secret: SecretString,
}

impl SecretFile {
    /// The secret as the file has it now; as it was at the start where the file cannot be read.
    pub(crate) fn current(&self) -> SecretString {
        let path = self.path.to_string_lossy();
        path.parse::<Self>()
            .map_or_else(|_| self.secret.clone(), |file| file.secret)
    }
}

impl FromStr for SecretFile {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{error}; expected a readable file that holds the secret"))?;
        Ok(Self {
            path: PathBuf::from(path),
            secret: SecretString::from(text.trim_end()),
        })
    }
}

/// What an operator needs to know of a value that did not parse; nothing for clap's other errors.
fn sentence(command: &Command, error: &clap::Error) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let name = variable(command, argument).unwrap_or_else(|| argument.clone());
    Some(without_secrets(&format!(
        "setting {name} has the value \"{value}\", which does not parse: {}",
        expectation(command, argument, error)
    )))
}

/// The text without what URLs in it may hold of secrets: log-ins and query strings.
fn without_secrets(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, url)) = rest.split_once("://") {
        let (url, after) = url.split_at(url.find(ends).unwrap_or(url.len()));
        let url = url
            .rsplit_once('@')
            .map_or(url.to_owned(), |(_, host)| format!("…@{host}"));
        let url = url
            .split_once('?')
            .map_or(url.clone(), |(path, _)| format!("{path}?…"));
        shown.extend([before, "://", &url]);
        rest = after;
    }
    shown + rest
}

fn expectation(command: &Command, argument: &str, error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) {
        return format!("expected one of {}", values.join(", "));
    }
    let source = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    if source.contains("expected") {
        return source;
    }
    let help = find(command, argument)
        .and_then(clap::Arg::get_help)
        .map(ToString::to_string);
    match help.as_deref().and_then(|help| help.lines().next()) {
        Some(help) => format!("{source}; expected: {help}"),
        None => source,
    }
}

/// The environment variable of an argument that clap calls `--kafka-brokers <KAFKA_BROKERS>`.
fn variable(command: &Command, argument: &str) -> Option<String> {
    find(command, argument)?
        .get_env()
        .map(|name| name.to_string_lossy().into_owned())
}

fn find<'c>(command: &'c Command, argument: &str) -> Option<&'c clap::Arg> {
    let long = argument.split_whitespace().next()?.strip_prefix("--")?;
    command
        .get_arguments()
        .find(|known| known.get_long() == Some(long))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[derive(Debug, Parser)]
    struct Config {
        /// Time between two flips
        #[arg(long, env = "FLIP_INTERVAL", default_value = "2m", value_parser = duration)]
        flip_interval: Duration,
        /// Most keys of a generation
        #[arg(long, env = "FLIP_MAX_URLS", default_value_t = 5)]
        flip_max_urls: u64,
    }

    fn complaint(arguments: &[&str]) -> String {
        let error = Config::try_parse_from([&["service"], arguments].concat()).unwrap_err();
        sentence(&Config::command(), &error).unwrap()
    }

    #[test]
    fn a_bad_value_is_named_with_its_variable_and_what_was_expected() {
        let text = complaint(&["--flip-interval", "soon"]);
        assert!(text.contains("FLIP_INTERVAL"), "{text}");
        assert!(text.contains("\"soon\""), "{text}");
        assert!(text.contains("expected a duration such as 2m"), "{text}");
    }

    #[test]
    fn a_bad_number_is_explained_by_the_help_text() {
        let text = complaint(&["--flip-max-urls", "many"]);
        assert!(text.contains("FLIP_MAX_URLS has the value \"many\""), "{text}");
        assert!(text.contains("expected: Most keys of a generation"), "{text}");
    }

    #[test]
    fn a_url_is_shown_without_its_log_in_and_its_query() {
        for (text, shown) in [
            ("is \"redis://me:pw@h:1/x\", no", "is \"redis://…@h:1/x\", no"),
            ("a=https://h/?key=k,b=https://i", "a=https://h/?…,b=https://i"),
            ("redis://p@w@h", "redis://…@h"),
            ("redis://u:p?w@h", "redis://…@h"),
            ("2 minuets", "2 minuets"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }

    #[test]
    fn sizes_take_binary_and_decimal_units() {
        assert_eq!(bytes("900000"), Ok(900_000));
        assert_eq!(bytes("96MiB"), Ok(96 << 20));
        assert_eq!(bytes("900kB"), Ok(900_000));
        assert!(bytes("96 parsecs").unwrap_err().contains("expected"));
        assert!(bytes("-1").is_err());
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_never_printed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let secret: SecretFile = file.path().to_str().unwrap().parse().unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&secret.secret), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
