//! A setting that does not parse stops the process at once, with status 2 and a sentence.

use std::path::PathBuf;
use std::process::Command;

const REDIS: [(&str, &str); 2] = [
    ("REDIS_A", "redis://127.0.0.1:1"),
    ("REDIS_B", "redis://127.0.0.1:2"),
];

pub(crate) fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.ancestors().nth(2).unwrap().join(name)
}

fn refuses(name: &str, variable: &str, value: &str, expected: &str) {
    let output = Command::new(program(name))
        .env_clear()
        .envs(REDIS)
        .env(variable, value)
        .output()
        .unwrap();
    // Of a list the entry that is wrong is shown.
    let shown = value.rsplit('=').next().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(2),
        "{name} with {variable}={value}: {said}"
    );
    assert!(
        said.contains(variable) && said.contains(shown) && said.contains(expected),
        "{name}: {said}"
    );
}

#[test]
fn each_setting_that_does_not_parse_is_named_with_its_value_and_what_was_expected() {
    for (name, variable, value, expected) in [
        ("flipper", "FLIP_INTERVAL", "2 minuets", "expected a duration"),
        ("flipper", "BATCH_MAX_URLS", "10001", "10000"),
        ("flipper", "BOOKS", "lenient", "visible"),
        ("flipper", "REDIS_A", "http://127.0.0.1", "redis://"),
        (
            "ingestor",
            "BUFFER_MAX_BYTES",
            "96 MB!",
            "expected a number of bytes",
        ),
        ("ingestor", "TRANSFORMATIONS", "opt_in|magic", "magic"),
        ("ingestor", "KAFKA_SECURITY_PROTOCOL", "tls", "sasl_ssl"),
        ("ingestor", "ADMIN_ADDR", "8081", "address"),
        ("dispatcher", "PARTNERS", "altavista", "known are"),
        (
            "dispatcher",
            "PARTNERS",
            "mine=http://127.0.0.1/x",
            "expected an https endpoint",
        ),
        ("dispatcher", "TRUSTED_EDGE", "10.0.0.0/40", "expected"),
        (
            "dispatcher",
            "INDEXNOW_MASTER_KEY_FILE",
            "/nowhere/key",
            "/nowhere/key",
        ),
        ("dispatcher", "RUST_LOG", "dispatcher=loud", "expected a filter"),
    ] {
        refuses(name, variable, value, expected);
    }
}

#[test]
fn a_setting_that_is_missing_is_named() {
    let output = Command::new(program("ingestor")).env_clear().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("REDIS_A"), "{said}");
}
