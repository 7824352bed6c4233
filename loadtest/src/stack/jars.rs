//! The published Apache Kafka, fetched once through Maven into the user's cache.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::process::Command;

const POM: &str = include_str!("../../kafka/pom.xml");
/// As in the POM.
const VERSION: &str = "4.3.0";

/// The class path of Kafka; fetches it where it is missing. Several processes may ask at once.
///
/// # Errors
/// Maven is missing or cannot reach a repository.
pub(super) async fn class_path() -> anyhow::Result<String> {
    let cache = directory()?;
    let libs = cache.join("libs");
    if !libs.is_dir() {
        fetch(&cache, &libs).await?;
    }
    Ok(format!("{}/*", libs.display()))
}

/// Where what belongs to this version of Kafka is kept.
///
/// # Errors
/// The user has no cache.
pub(super) fn directory() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Ok(base
        .context("neither XDG_CACHE_HOME nor HOME is set: there is no place for Kafka's jars")?
        .join(format!("crawler-hints/kafka-{VERSION}")))
}

/// Fetches into a directory of its own and renames it: nobody ever sees half of it.
async fn fetch(cache: &Path, libs: &Path) -> anyhow::Result<()> {
    tracing::info!("fetching Apache Kafka {VERSION} through Maven, 44 MB, once");
    std::fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    let dir = tempfile::tempdir_in(cache).context("making a directory for Kafka's jars")?;
    let pom = dir.path().join("pom.xml");
    std::fs::write(&pom, POM).context("writing the POM")?;
    let fetched = dir.path().join("libs");
    let output = Command::new("mvn")
        .args([
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
        ])
        .arg(format!("-DoutputDirectory={}", fetched.display()))
        .arg("-f")
        .arg(&pom)
        .output()
        .await
        .context("running mvn: install it with `apt-get install maven default-jre-headless`")?;
    anyhow::ensure!(
        output.status.success(),
        "mvn could not fetch Kafka: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    put_in_place(&fetched, libs)
}

/// Renames a finished directory to its place, unless another process was faster.
///
/// # Errors
/// It cannot be moved, and there is none in its place.
pub(super) fn put_in_place(finished: &Path, place: &Path) -> anyhow::Result<()> {
    match std::fs::rename(finished, place) {
        Err(error) if !place.is_dir() => {
            Err(error).with_context(|| format!("moving {} into place", place.display()))
        }
        _ => Ok(()),
    }
}
