//! One Kafka node in `KRaft` mode.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use messagebus::{KafkaArgs, offsets};
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::task::spawn_blocking;

use super::certificates::{Authority, Tls};
use super::server_properties::{Listeners, server_properties};
use super::users::{AUDITOR, OPERATOR, Passwords, jaas_of};
use super::{acls, create_topics, jars, storage};
use crate::ports;
use crate::process::{Process, READY_WITHIN};
use crate::proxy::{Proxy, Weather, Whose};

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    /// Where everybody may do everything, as the broker itself does.
    open: SocketAddr,
    /// Where one logs in, and may do what `k8s/kafka/acls` says.
    guarded: SocketAddr,
    /// In front of a listener like it.
    proxy: Proxy,
    /// In front of one where a certificate takes the log-in's place.
    encrypted: Proxy,
    authority: Authority,
    passwords: Passwords,
    dir: PathBuf,
    class_path: String,
    process: Process,
    is_down: bool,
}

impl Broker {
    /// Starts one whose data lives under `dir`; returns when it answers.
    ///
    /// # Errors
    /// Java or Kafka is missing, or it does not become ready.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let class_path = jars::class_path().await?;
        let (passwords, authority) = (Passwords::write(dir)?, Authority::new(dir)?);
        let properties = dir.join("server.properties");
        let (proxied, behind) = (ports::free()?, ports::free()?);
        let (proxy, encrypted) = (Proxy::start(proxied).await?, Proxy::start(behind).await?);
        let listeners = Listeners {
            open: ports::free()?,
            guarded: ports::free()?,
            proxied: [proxied, proxy.address()],
            encrypted: [behind, encrypted.address()],
            controller: ports::free()?,
        };
        let text = server_properties(listeners, &authority, dir)?;
        std::fs::write(&properties, text).context("writing Kafka's settings")?;
        storage::format(&dir.join("data"), &properties, &class_path).await?;
        let mut process = launch(dir, &class_path)?;
        let Listeners { open, guarded, .. } = listeners;
        wait_until_ready(open, &mut process).await?;
        Ok(Self {
            open,
            guarded,
            proxy,
            encrypted,
            authority,
            passwords,
            dir: dir.to_owned(),
            class_path,
            process,
            is_down: false,
        })
    }

    /// Its process, nothing where it does not run.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Bytes of a topic's records on its disk, as they are compressed.
    ///
    /// # Errors
    /// Its directory cannot be read.
    pub fn bytes_of(&self, topic: &str) -> anyhow::Result<u64> {
        let data = self.dir.join("data");
        let partitions = std::fs::read_dir(&data).with_context(|| format!("reading {}", data.display()))?;
        let is_of = |name: &str| {
            let number = name.strip_prefix(topic).and_then(|rest| rest.strip_prefix('-'));
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let mut bytes = 0;
        for partition in partitions.flatten() {
            if partition.file_name().to_str().is_some_and(is_of) {
                let files = std::fs::read_dir(partition.path()).context("reading a partition's directory")?;
                let logs = files
                    .flatten()
                    .filter(|file| file.path().extension().is_some_and(|kind| kind == "log"));
                bytes += logs
                    .filter_map(|log| Some(log.metadata().ok()?.len()))
                    .sum::<u64>();
            }
        }
        Ok(bytes)
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

    /// Starts it again with its data, after it was killed. Does nothing where it runs.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if self.is_down {
            self.process = launch(&self.dir, &self.class_path)?;
            wait_until_ready(self.open, &mut self.process).await?;
            self.is_down = false;
        }
        Ok(())
    }

    /// Gives the operator another password: in the file at once, and to the broker when it starts again.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn replace_password(&self, new: &str) -> anyhow::Result<()> {
        let old = self.passwords.replace(OPERATOR, new)?;
        let path = self.dir.join("server.properties");
        let settings = std::fs::read_to_string(&path).context("reading Kafka's settings")?;
        let settings = settings.replace(&jaas_of(OPERATOR, &old), &jaas_of(OPERATOR, new));
        std::fs::write(&path, settings).context("writing Kafka's settings")
    }

    /// Where it listens to everybody, without a log-in and without bounds.
    #[must_use]
    pub fn open_address(&self) -> SocketAddr {
        self.open
    }

    /// Changes the weather between it and those who reach it by [`Self::proxied`] or with a certificate.
    pub fn set_weather(&self, weather: Weather, whose: Whose) {
        self.proxy.set(weather, whose);
        self.encrypted.set(weather, whose);
    }

    /// Where one logs in as well, through the proxy: that listener advertises the proxy's address.
    #[must_use]
    pub fn proxied(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// Gives every service a certificate that ends after `life`, in place of the one it has. The common name is the
    /// user of `k8s/kafka/acls`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn issue_certificates(&self, life: Duration) -> anyhow::Result<Tls> {
        Ok(Tls::new(
            self.encrypted.address(),
            self.authority.issue_all(life)?,
        ))
    }

    /// Signs the certificates that the broker knows, and Redis where it is encrypted.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The same topics, as `user` of `k8s/kafka/acls`.
    ///
    /// # Errors
    /// There is no such user.
    pub fn log_in(&self, user: &str, kafka: KafkaArgs) -> anyhow::Result<KafkaArgs> {
        self.passwords.log_in(user, kafka)
    }

    /// Creates the topics under `prefix` and lets the services at them; says how to reach it as one who may do
    /// everything.
    ///
    /// # Errors
    /// The broker does not answer or refuses.
    pub async fn prepare(&self, prefix: &str) -> anyhow::Result<KafkaArgs> {
        let kafka = KafkaArgs::plaintext(self.guarded.to_string(), prefix);
        let kafka = self.log_in(OPERATOR, kafka)?;
        create_topics(&kafka).await?;
        acls::grant(self.open, &kafka).await?;
        self.wait_until_granted(&kafka).await?;
        Ok(kafka)
    }

    /// The controller answers before the broker has heard of it. The last right of the list is the auditor's.
    async fn wait_until_granted(&self, kafka: &KafkaArgs) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let auditor = self.log_in(AUDITOR, kafka.clone())?;
        while let Err(error) = offsets::log_end(&auditor, &kafka.topics().receipts()).await {
            if Instant::now() > deadline {
                return Err(error)
                    .with_context(|| format!("Kafka does not grant its rights within {READY_WITHIN:?}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
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
                return Err(error)
                    .with_context(|| format!("Kafka does not become ready within {READY_WITHIN:?}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
