//! Samples by `perf`, and their flame graph.

use std::fs::File;
use std::io::{BufReader, BufWriter, Cursor};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use inferno::collapse::Collapse;
use inferno::collapse::perf::Folder;
use inferno::flamegraph::{self, Options};
use tokio::process::Command;
use tokio::task::spawn_blocking;

use crate::service::Service;

/// Samples a second: no round number, which timers have.
const FREQUENCY: &str = "199";
/// Bytes of stack that are kept of each, to be unwound by what the programs say of their frames.
const STACK: &str = "dwarf,16384";
const INSTALL: &str = "install it with `apt-get install linux-perf`, or build the kernel's own";

fn data(service: &Service, dir: &Path) -> PathBuf {
    dir.join(format!("{}.perf", service.name()))
}

/// Samples a running service for so long.
///
/// # Errors
/// `perf` is missing, or may not.
pub(super) async fn sample(service: &Service, how_long: Duration, dir: &Path) -> anyhow::Result<()> {
    let id = service
        .id()
        .with_context(|| format!("{} has ended", service.name()))?;
    let mut command = Command::new("perf");
    command
        .args(["record", "--freq", FREQUENCY, "--call-graph", STACK])
        .args(["--pid", &id.to_string(), "--output"])
        .arg(data(service, dir))
        .args(["--", "sleep", &how_long.as_secs_f64().to_string()]);
    run(command, &format!("sampling {}", service.name())).await?;
    Ok(())
}

/// Runs `perf`; gives what it prints.
async fn run(mut command: Command, what: &str) -> anyhow::Result<Vec<u8>> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command
        .output()
        .await
        .with_context(|| format!("{what}: perf is missing; {INSTALL}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{what}: perf ended with {}: {errors}; samples need root, or kernel.perf_event_paranoid below 2",
        output.status
    );
    Ok(output.stdout)
}

/// Draws what was sampled; says where.
///
/// # Errors
/// `perf` cannot read its own file, or the picture cannot be written.
pub(super) async fn draw(service: &Service, dir: &Path) -> anyhow::Result<PathBuf> {
    let samples = data(service, dir);
    let mut command = Command::new("perf");
    // Inlined calls are looked up by another program, for minutes.
    command
        .args(["script", "--no-inline", "--force", "--input"])
        .arg(&samples);
    let script = run(command, &format!("reading {}", samples.display())).await?;
    std::fs::remove_file(&samples).with_context(|| format!("removing {}", samples.display()))?;
    let (name, picture) = (
        service.name().to_owned(),
        dir.join(format!("{}.svg", service.name())),
    );
    let to = picture.clone();
    let drawing = spawn_blocking(move || flame_graph(&name, &script, &to));
    drawing.await.context("drawing a flame graph")??;
    Ok(picture)
}

fn flame_graph(name: &str, script: &[u8], to: &Path) -> anyhow::Result<()> {
    let mut folded = Vec::new();
    Folder::default()
        .collapse(BufReader::new(script), &mut folded)
        .with_context(|| format!("folding the samples of {name}"))?;
    let mut options = Options::default();
    name.clone_into(&mut options.title);
    let file = File::create(to).with_context(|| format!("creating {}", to.display()))?;
    flamegraph::from_reader(&mut options, Cursor::new(folded), BufWriter::new(file))
        .with_context(|| format!("drawing {}: were there no samples?", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_a_picture_that_names_functions() {
        let script = b"ingestor 7 [001] 1.0: 5 cpu-clock:\n\t   1234 ingestor::ingest+0x1 (/bin/ingestor)\n\t   5678 main+0x2 \
                       (/bin/ingestor)\n\n";
        let dir = tempfile::tempdir().unwrap();
        let picture = dir.path().join("ingestor-0.svg");
        flame_graph("ingestor-0", script, &picture).unwrap();
        let text = std::fs::read_to_string(picture).unwrap();
        assert!(text.contains("ingestor::ingest") && text.contains("ingestor-0"));
    }
}
