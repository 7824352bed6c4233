//! `stack up` and `stack down`: a stack that outlives the command that started it, for development.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::Stack;

/// A stack ends within this time.
const DOWN_WITHIN: Duration = Duration::from_secs(30);

/// Printed behind the settings: everything is ready.
const READY: &str = "# ready";

/// Where a running stack listens for `stack down`.
fn control() -> PathBuf {
    std::env::temp_dir().join("crawler-hints-stack.sock")
}

/// Runs a stack until SIGINT, SIGTERM or `stack down`, and prints its settings when it is ready.
///
/// # Errors
/// It cannot be started, or one is running.
#[expect(clippy::print_stdout, reason = "the settings are what the command is for")]
pub async fn foreground(prefix: &str) -> anyhow::Result<()> {
    let socket = control();
    if UnixStream::connect(&socket).await.is_ok() {
        anyhow::bail!("a stack is running already: `loadtest stack down` ends it");
    }
    // What a crashed stack left behind.
    drop(std::fs::remove_file(&socket));
    let listener =
        UnixListener::bind(&socket).with_context(|| format!("listening on {}", socket.display()))?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let stack = tokio::select! {
        stack = Stack::start(prefix) => stack?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    stack.open().await?;
    for (name, value) in stack.settings() {
        println!("export {name}={value}");
    }
    println!("export TOPIC_PREFIX={prefix}");
    println!("{READY}");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        asked = listener.accept() => {
            let (mut asker, _) = asked.context("listening for `stack down`")?;
            drop(stack);
            drop(std::fs::remove_file(&socket));
            // Dropping our end tells the asker that everything is gone.
            tokio::io::AsyncWriteExt::shutdown(&mut asker).await.context("answering `stack down`")?;
            return Ok(());
        }
    }
    drop(stack);
    drop(std::fs::remove_file(&socket));
    Ok(())
}

/// Starts a stack in the background and prints its settings as `export` lines once it is ready.
///
/// # Errors
/// It does not become ready; its own words are on standard error.
#[expect(clippy::print_stdout, reason = "the settings are what the command is for")]
pub async fn up(prefix: &str) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut child = Command::new(program)
        .args(["stack", "up", "--foreground", "--topic-prefix", prefix])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Its own group: Ctrl-C here is not meant for it.
        .process_group(0)
        .spawn()
        .context("starting the stack")?;
    let output = child.stdout.take().context("reading the stack's settings")?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.context("reading the stack's settings")? {
        if line == READY {
            return Ok(());
        }
        println!("{line}");
    }
    let status = child.wait().await.context("waiting for the stack")?;
    anyhow::bail!("the stack did not become ready ({status})")
}

/// Ends the stack that runs in the background and waits until it is gone.
///
/// # Errors
/// None is running, or it does not end.
pub async fn down() -> anyhow::Result<()> {
    let socket = control();
    let mut stream = UnixStream::connect(&socket)
        .await
        .with_context(|| format!("no stack is running (nothing listens on {})", socket.display()))?;
    let mut nothing = Vec::new();
    tokio::time::timeout(DOWN_WITHIN, stream.read_to_end(&mut nothing))
        .await
        .context("the stack does not end")?
        .context("waiting for the stack to end")?;
    Ok(())
}
