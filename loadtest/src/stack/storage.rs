//! A broker's data before its first start.

use std::path::Path;

use anyhow::Context;
use tokio::process::Command;

use super::jars;

/// Any 22 characters of base 64.
const CLUSTER_ID: &str = "crawlerhintscrawlerhin";

/// Makes `data`, the directory that `properties` names. Kafka's own tool does it once, which takes Java as long as Kafka
/// takes to start; from then on it comes from the user's cache.
///
/// # Errors
/// The tool refuses the settings, or the directory cannot be written.
pub(super) async fn format(data: &Path, properties: &Path, class_path: &str) -> anyhow::Result<()> {
    let cache = jars::directory()?;
    let kept = cache.join(format!("storage-{CLUSTER_ID}"));
    if kept.is_dir() {
        return copy(&kept, data);
    }
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-cp", class_path])
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(properties)
        .output()
        .await
        .context("running java: install it with `apt-get install default-jre-headless`")?;
    anyhow::ensure!(
        output.status.success(),
        "Kafka could not format its storage: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let dir = tempfile::tempdir_in(&cache).context("making a directory for Kafka's empty storage")?;
    let copied = dir.path().join("storage");
    copy(data, &copied)?;
    jars::put_in_place(&copied, &kept)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = || -> std::io::Result<()> {
        std::fs::create_dir_all(to)?;
        for file in std::fs::read_dir(from)? {
            let file = file?;
            std::fs::copy(file.path(), to.join(file.file_name()))?;
        }
        Ok(())
    };
    copied().with_context(|| format!("copying {} to {}", from.display(), to.display()))
}
