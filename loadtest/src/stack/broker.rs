//! One Kafka node in `KRaft` mode.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use messagebus::KafkaArgs;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::jars;
use crate::ports;
use crate::process::Process;

/// Any 22 characters of base 64.
const CLUSTER_ID: &str = "crawlerhintscrawlerhin";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    dir: PathBuf,
    class_path: String,
    process: Process,
}

impl Broker {
    /// Starts one whose data lives under `dir`; returns when it answers.
    ///
    /// # Errors
    /// Java or Kafka is missing, or it does not become ready.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let class_path = jars::class_path().await?;
        let (address, controller) = (ports::free()?, ports::free()?);
        let properties = dir.join("server.properties");
        std::fs::write(&properties, server_properties(address, controller, dir))
            .context("writing Kafka's settings")?;
        let format = Command::new("java")
            .args([
                "-XX:TieredStopAtLevel=1",
                "-cp",
                &class_path,
                "kafka.tools.StorageTool",
                "format",
            ])
            .args(["-t", CLUSTER_ID, "-c"])
            .arg(&properties)
            .output()
            .await
            .context("running java: install it with `apt-get install default-jre-headless`")?;
        anyhow::ensure!(
            format.status.success(),
            "Kafka could not format its storage: {}",
            String::from_utf8_lossy(&format.stderr)
        );
        let mut process = launch(dir, &class_path)?;
        wait_until_ready(address, &mut process).await?;
        Ok(Self {
            address,
            dir: dir.to_owned(),
            class_path,
            process,
        })
    }

    /// Kills it, as kill -9 does.
    ///
    /// # Errors
    /// It has ended before.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().await
    }

    /// Stops it in its tracks, or lets it go on.
    ///
    /// # Errors
    /// It has ended before.
    pub fn freeze(&self, frozen: bool) -> anyhow::Result<()> {
        self.process.freeze(frozen)
    }

    /// Starts it again with its data, after it was killed.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = launch(&self.dir, &self.class_path)?;
        wait_until_ready(self.address, &mut self.process).await
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How to reach it, with topics under `prefix`.
    #[must_use]
    pub fn kafka(&self, prefix: &str) -> KafkaArgs {
        KafkaArgs::plaintext(self.address.to_string(), prefix)
    }
}

fn launch(dir: &Path, class_path: &str) -> anyhow::Result<Process> {
    Process::start("kafka", Path::new("java"), &dir.join("kafka.log"), |command| {
        command
            .args(["-Xmx768m", "-XX:+UseSerialGC", "-cp", class_path, "kafka.Kafka"])
            .arg(dir.join("server.properties"))
    })
}

async fn wait_until_ready(address: SocketAddr, process: &mut Process) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        process.check()?;
        let config = KafkaArgs::plaintext(address.to_string(), "").client_config();
        let asked = spawn_blocking(move || {
            let client: BaseConsumer = config.create()?;
            client.fetch_metadata(None, Duration::from_secs(1)).map(drop)
        });
        match asked.await.context("asking Kafka")? {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context("Kafka does not become ready within a minute");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn server_properties(address: SocketAddr, controller: SocketAddr, dir: &Path) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{address},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{address}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
",
        data = dir.join("data").display()
    )
}
