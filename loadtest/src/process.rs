//! Child processes that end with their parent, however it ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// A child has so long to become ready. Long, since a machine may be busy with many; one that ends is seen at once.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(180);

/// A child whose output goes to a file. Killed when dropped, and by the kernel when this process dies.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`, configured by `set_up`; its output is appended to `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(
        name: &str,
        program: &Path,
        log: &Path,
        set_up: impl FnOnce(&mut Command) -> &mut Command,
    ) -> anyhow::Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let errors = output.try_clone().context("sharing a log file")?;
        // The kernel's parent-death signal: no child outlives a parent that crashed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true);
        set_up(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("starting {name} ({})", program.display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Kills it, as kill -9 does.
    ///
    /// # Errors
    /// It has ended before.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("killing {}", self.name))
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// It has ended before.
    pub(crate) fn ask_to_end(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// How it ended, nothing where it runs.
    ///
    /// # Errors
    /// The system does not tell.
    pub(crate) fn status(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let status = self.child.try_wait();
        status.with_context(|| format!("looking at {}", self.name))
    }

    /// Stops it in its tracks, or lets it go on.
    ///
    /// # Errors
    /// It has ended before.
    pub(crate) fn freeze(&self, frozen: bool) -> anyhow::Result<()> {
        self.signal(if frozen { Signal::STOP } else { Signal::CONT })
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended before.
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw);
        let id = id.with_context(|| format!("{} has ended; see {}", self.name, self.log.display()))?;
        kill_process(id, signal).with_context(|| format!("signalling {}", self.name))
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// It has ended; says how, and how its log ends.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.status()? {
            None => Ok(()),
            Some(status) => anyhow::bail!(
                "{} has ended with {status}; its log ends:\n{}",
                self.name,
                self.tail()
            ),
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The last lines of its log.
    fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
