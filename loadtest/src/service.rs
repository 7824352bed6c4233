//! The three services as real processes, as a deployment runs them.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::ports;
use crate::process::{Process, READY_WITHIN};
use crate::scrape::Scrape;

/// A service has so long to end when asked.
const END_WITHIN: Duration = Duration::from_secs(60);

const CLOCK_SHIFT: &str = include_str!("../clock/shift.c");

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Cache misses to Redis.
    Ingestor,
    /// Redis to batches.
    Flipper,
    /// Batches to partners.
    Dispatcher,
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    name: String,
    kind: Kind,
    /// Its admin port.
    pub admin: SocketAddr,
    settings: Vec<(String, String)>,
    program: PathBuf,
    log: PathBuf,
    process: Process,
    /// Killed, and not started again.
    is_down: bool,
    client: reqwest::Client,
}

/// What a service finds around it, beside its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surroundings {
    /// Nothing special.
    #[default]
    Usual,
    /// The disk of its log is full: whatever it writes to standard output and error fails with `ENOSPC`.
    DiskFull,
    /// Its wall clock is an hour fast.
    ClockFast,
    /// Its wall clock is an hour slow.
    ClockSlow,
}

/// A process's resident memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// At most since its start.
    pub peak: u64,
}

/// A service that is stopped in its tracks must not stop whoever asks it.
pub(crate) fn impatient() -> anyhow::Result<reqwest::Client> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(4));
    client.build().context("making an HTTP client")
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ingestor, Self::Flipper, Self::Dispatcher];

    /// The program's name.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Ingestor => "ingestor",
            Self::Flipper => "flipper",
            Self::Dispatcher => "dispatcher",
        }
    }
}

impl Service {
    /// Starts one; its log is a file in `dir`.
    ///
    /// # Errors
    /// The program was not built, or cannot be started.
    pub fn start(
        kind: Kind,
        name: &str,
        dir: &Path,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let program = beside_this(kind.program())?;
        let log = dir.join(format!("{name}.log"));
        let admin = ports::free()?;
        let mut settings: Vec<(String, String)> = settings.into_iter().collect();
        settings.push(("ADMIN_ADDR".to_owned(), admin.to_string()));
        settings.push(("LOG_FORMAT".to_owned(), "text".to_owned()));
        // Its log is a file, to be searched.
        settings.push(("NO_COLOR".to_owned(), "1".to_owned()));
        let process = launch(name, &program, &log, &settings, Surroundings::Usual)?;
        Ok(Self {
            name: name.to_owned(),
            kind,
            admin,
            settings,
            program,
            log,
            process,
            is_down: false,
            client: impatient()?,
        })
    }

    /// Its name in this run.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Which of the three it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// It ended, or is not ready in time; says why.
    pub async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let url = format!("http://{}/readyz", self.admin);
        loop {
            self.process.check()?;
            let reason = match self.client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            let log = self.log.display();
            anyhow::ensure!(
                Instant::now() < deadline,
                "{} is not ready: {reason}; see {log}",
                self.name
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether it does not ask to be restarted, as its liveness probe is asked.
    pub async fn is_live(&self) -> bool {
        let answer = self
            .client
            .get(format!("http://{}/livez", self.admin))
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// How often its log says something.
    #[must_use]
    pub fn logged(&self, text: &str) -> usize {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).matches(text).count()
    }

    /// Its metrics.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Scrape> {
        Scrape::of(&self.client, self.admin).await
    }

    /// Whether it does its work: records are judged, generations turned, partitions held.
    pub async fn is_at_work(&self) -> bool {
        let sign = match self.kind {
            Kind::Ingestor => "ingestor_records_total",
            Kind::Flipper => "flipper_leader",
            Kind::Dispatcher => "kafka_consumer_assigned_partitions",
        };
        self.metrics()
            .await
            .is_ok_and(|scrape| scrape.sum(sign, &[]) > 0.0)
    }

    /// Its number, nothing where it does not run.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Kills it, as kill -9 does. Does nothing where it was killed.
    ///
    /// # Errors
    /// It has ended by itself before.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if self.is_down {
            return Ok(());
        }
        self.is_down = true;
        self.process.kill().await
    }

    /// Stops it in its tracks, or lets it go on. Does nothing where it was killed.
    ///
    /// # Errors
    /// It has ended by itself before.
    pub fn freeze(&self, frozen: bool) -> anyhow::Result<()> {
        if self.is_down {
            return Ok(());
        }
        self.process.freeze(frozen)
    }

    /// Starts it again with the same settings, after it was killed or has ended. Does nothing where it runs.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.restart_in(Surroundings::Usual)
    }

    /// The same, with other surroundings until it is started again.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart_in(&mut self, surroundings: Surroundings) -> anyhow::Result<()> {
        if self.is_down {
            self.process = launch(&self.name, &self.program, &self.log, &self.settings, surroundings)?;
            self.is_down = false;
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has. Does nothing where it was killed.
    ///
    /// # Errors
    /// It does not end in time, or with another status than 0.
    pub async fn terminate(&mut self) -> anyhow::Result<()> {
        self.ask_to_end()?;
        let deadline = Instant::now() + END_WITHIN;
        let status = loop {
            if let Some(status) = self.ended()? {
                break status;
            }
            let log = self.log.display();
            anyhow::ensure!(Instant::now() < deadline, "{} does not end; see {log}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let log = self.log.display();
        anyhow::ensure!(status.success(), "{} ended with {status}; see {log}", self.name);
        Ok(())
    }

    /// Asks it to end. Does nothing where it was killed.
    ///
    /// # Errors
    /// It has ended by itself before.
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        if self.is_down {
            return Ok(());
        }
        self.process.ask_to_end()
    }

    /// How it ended after it was asked; nothing while it runs. A killed one has ended as it was asked to.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.is_down {
            return Ok(Some(ExitStatus::default()));
        }
        let status = self.process.status()?;
        self.is_down = status.is_some();
        Ok(status)
    }

    /// Starts it again where it has ended by itself, as a deployment does; says how it had ended.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn revive(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let ended = if self.is_down { None } else { self.ended()? };
        self.restart()?;
        Ok(ended)
    }

    /// Checks that it still runs, unless it was killed.
    ///
    /// # Errors
    /// It has ended; says how its log ends.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if self.is_down {
            Ok(())
        } else {
            self.process.check()
        }
    }

    /// Its memory now.
    ///
    /// # Errors
    /// It does not run.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let id = self.process.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).context("reading its status")?;
        let bytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            Ok::<_, anyhow::Error>(kibibytes.with_context(|| format!("reading {field}"))? * 1_024)
        };
        Ok(Memory {
            resident: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
        })
    }
}

fn launch(
    name: &str,
    program: &Path,
    log: &Path,
    settings: &[(String, String)],
    surroundings: Surroundings,
) -> anyhow::Result<Process> {
    let settings = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let clock = match surroundings {
        Surroundings::Usual | Surroundings::DiskFull => None,
        Surroundings::ClockFast => Some(("3600", clock_shift(log)?)),
        Surroundings::ClockSlow => Some(("-3600", clock_shift(log)?)),
    };
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .context("opening /dev/full")?;
    let errors = full.try_clone().context("sharing /dev/full")?;
    Process::start(name, program, log, |command| {
        command
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| is_inherited(name)))
            .envs(settings);
        if let Some((seconds, library)) = clock {
            command
                .env("LD_PRELOAD", library)
                .env("CLOCK_SHIFT_SECONDS", seconds);
        }
        if surroundings == Surroundings::DiskFull {
            command.env("RUST_LOG", "debug").stdout(full).stderr(errors);
        }
        command
    })
}

/// Compiles what moves a wall clock, beside the log of the service that it is for.
fn clock_shift(log: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (log.with_extension("clock.c"), log.with_extension("clock.so"));
    std::fs::write(&source, CLOCK_SHIFT).with_context(|| format!("writing {}", source.display()))?;
    let mut compiler = std::process::Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source]);
    let status = compiler
        .status()
        .context("running cc: install it with `apt-get install gcc`")?;
    anyhow::ensure!(
        status.success(),
        "cc ended with {status}, compiling {}",
        source.display()
    );
    Ok(library)
}

/// A service sees only the settings that it is given.
fn is_inherited(name: &std::ffi::OsStr) -> bool {
    ["PATH", "HOME", "RUST_LOG", "RUST_BACKTRACE", "TZ"]
        .iter()
        .any(|kept| name == *kept)
}

/// A program of this workspace, built into the same directory as this one.
pub(crate) fn beside_this(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program")?;
    let found = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found
        .with_context(|| format!("{name} was not built: run `cargo build --workspace` with the same profile"))
}
