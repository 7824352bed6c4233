//! The committed Rust code is what the schema compiler makes of the committed schemas.

use std::fs;
use std::path::{Path, PathBuf};

const SCHEMAS: [&str; 4] = ["cache_miss", "zone", "hint_batch", "generation_event"];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Debian's `capnp` reads the schemas, crate `capnpc` writes the Rust.
fn compile_into(directory: &Path) {
    let mut command = capnpc::CompilerCommand::new();
    command
        .src_prefix(here("schema"))
        .output_path(directory)
        .default_parent_module(vec!["generated".into()]);
    for schema in SCHEMAS {
        command.file(here(&format!("schema/{schema}.capnp")));
    }
    command
        .run()
        .expect("the schema compiler runs: is the package capnproto installed?");
}

#[test]
fn regenerating_gives_the_committed_code() {
    let fresh = tempfile::tempdir().unwrap();
    compile_into(fresh.path());
    for schema in SCHEMAS {
        let name = format!("{schema}_capnp.rs");
        let made = fs::read_to_string(fresh.path().join(&name)).unwrap();
        let committed = fs::read_to_string(here("src/generated").join(&name)).unwrap();
        assert!(
            made == committed,
            "{name} is stale: cargo test -p hint-schema --test generated -- --ignored"
        );
    }
}

/// Not a test but the command that rewrites the committed code.
#[test]
#[ignore = "writes src/generated"]
fn regenerate() {
    compile_into(&here("src/generated"));
}
