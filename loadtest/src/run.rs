//! The whole pipeline as real processes: services, partners, and the questions a run is asked.

mod certificates;
mod flipper;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use messagebus::{KafkaArgs, offsets};
use tempfile::TempDir;

use crate::audit::{AuditArgs, Endpoint, Report, audit};
use crate::partners::{Misbehaviour, Partners};
use crate::ports;
use crate::proxy::{Proxy, Weather, Whose};
use crate::service::{Kind, Service, impatient};
use crate::stack::users::{AUDITOR, Passwords};
use crate::stack::{RedisCluster, Tls};

const MASTER_KEY: &str = "a master key for tests\n";
const ADMIN_TOKEN: &str = "an admin token for tests";
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What runs.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Ingestors.
    pub ingestors: usize,
    /// Flippers; one works.
    pub flippers: usize,
    /// Dispatchers.
    pub dispatchers: usize,
    /// `FLIP_INTERVAL`.
    pub flip_interval: Duration,
    /// Partners and how they misbehave.
    pub partners: Vec<(String, Misbehaviour)>,
    /// Certificates to show, where the stack wants them.
    pub tls: Option<Tls>,
    /// Further settings of every service.
    pub settings: Vec<(String, String)>,
    /// A proxy stands before each partner.
    pub has_proxied_partners: bool,
}

impl Default for RunSettings {
    fn default() -> Self {
        let partner = |name: &str| (name.to_owned(), Misbehaviour::default());
        Self {
            ingestors: 1,
            flippers: 1,
            dispatchers: 1,
            flip_interval: Duration::from_secs(2),
            partners: vec![partner("north"), partner("south")],
            tls: None,
            settings: Vec::new(),
            has_proxied_partners: false,
        }
    }
}

/// A running pipeline. Everything ends with it.
#[derive(Debug)]
pub struct Run {
    /// How to reach Kafka.
    pub kafka: KafkaArgs,
    /// Every service.
    pub services: Vec<Service>,
    /// The simulated partners.
    pub partners: Partners,
    /// The first dispatcher's key-file server.
    pub keys: SocketAddr,
    partner_names: Vec<String>,
    partner_proxies: HashMap<String, Proxy>,
    killed: Vec<String>,
    passwords: Passwords,
    dir: TempDir,
    client: reqwest::Client,
}

impl Run {
    /// Starts everything; returns when every service is ready. `kafka`'s topics must exist.
    ///
    /// # Errors
    /// A service cannot be started or does not become ready.
    pub async fn start(
        kafka: &KafkaArgs,
        clusters: &[RedisCluster; 2],
        settings: RunSettings,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("crawler-hints-run-")
            .tempdir()
            .context("making a directory")?;
        let keys = ports::free()?;
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let partners = Partners::start(&settings.partners, dir.path(), &keys.to_string(), listen).await?;
        let mut partner_proxies = HashMap::new();
        if settings.has_proxied_partners {
            for (name, _) in &settings.partners {
                partner_proxies.insert(name.clone(), Proxy::start(partners.address()).await?);
            }
        }
        let passwords = Passwords::write(dir.path())?;
        let common = [
            ("KAFKA_BROKERS".to_owned(), kafka.kafka_brokers.clone()),
            ("TOPIC_PREFIX".to_owned(), kafka.topic_prefix.clone()),
            (
                "ADMIN_TOKEN_FILE".to_owned(),
                write(dir.path(), "admin-token", ADMIN_TOKEN)?,
            ),
        ];
        let [a, b] = clusters;
        let redis = [
            ("REDIS_A".to_owned(), a.seeds()),
            ("REDIS_B".to_owned(), b.seeds()),
        ];
        let interval = humantime::format_duration(settings.flip_interval).to_string();
        let flipper = [("FLIP_INTERVAL".to_owned(), interval)];
        let dispatcher = [
            (
                "PARTNERS".to_owned(),
                partners.setting_by(|name| {
                    partner_proxies
                        .get(name)
                        .map_or(partners.address(), Proxy::address)
                }),
            ),
            ("ALLOW_HTTP_PARTNERS".to_owned(), "true".to_owned()),
            (
                "INDEXNOW_MASTER_KEY_FILE".to_owned(),
                write(dir.path(), "master-key", MASTER_KEY)?,
            ),
        ];
        let (tls, further) = (&settings.tls, &settings.settings);
        let mut services = Vec::new();
        let mut start = |kind: Kind, number: usize, own: Vec<(String, String)>| -> anyhow::Result<()> {
            let name = format!("{}-{number}", kind.program());
            let login = match tls {
                Some(tls) => [passwords.redis_settings(kind.program()), tls.settings(kind)].concat(),
                None => passwords.settings(kind.program()),
            };
            let settings = common.iter().cloned().chain(login).chain(own);
            let settings = settings.chain(further.iter().cloned());
            services.push(Service::start(kind, &name, dir.path(), settings)?);
            Ok(())
        };
        for number in 0..settings.flippers {
            start(Kind::Flipper, number, [&redis[..], &flipper[..]].concat())?;
        }
        for number in 0..settings.ingestors {
            start(Kind::Ingestor, number, redis.to_vec())?;
        }
        for number in 0..settings.dispatchers {
            // The first one's keys are looked up by the partners.
            let address = if number == 0 { keys } else { ports::free()? };
            let own = [("KEYS_ADDR".to_owned(), address.to_string())];
            start(Kind::Dispatcher, number, [&dispatcher[..], &own[..]].concat())?;
        }
        for service in &mut services {
            service.wait_until_ready().await?;
        }
        Ok(Self {
            kafka: kafka.clone(),
            services,
            partners,
            keys,
            partner_names: settings.partners.into_iter().map(|(name, _)| name).collect(),
            partner_proxies,
            killed: Vec::new(),
            passwords,
            dir,
            client: impatient()?,
        })
    }

    /// Where logs are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Names of the partners.
    #[must_use]
    pub fn partner_names(&self) -> &[String] {
        &self.partner_names
    }

    /// Changes the weather before a partner; nothing happens where no proxy stands there.
    pub fn set_partner_weather(&self, partner: &str, weather: Weather) {
        if let Some(proxy) = self.partner_proxies.get(partner) {
            proxy.set(weather, Whose::All);
        }
    }

    /// The services of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(move |service| service.kind() == kind)
    }

    /// The service of that name, as `ingestor-0`.
    ///
    /// # Errors
    /// There is none.
    pub fn service(&mut self, name: &str) -> anyhow::Result<&mut Service> {
        let found = self.services.iter_mut().find(|service| service.name() == name);
        found.with_context(|| format!("no service {name} runs"))
    }

    /// Kills a service, as kill -9 does: its counters no longer tell the whole story.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.service(name)?.kill().await?;
        self.killed.push(name.to_owned());
        Ok(())
    }

    /// How often the services' logs say something.
    #[must_use]
    pub fn logged(&self, text: &str) -> usize {
        self.services.iter().map(|service| service.logged(text)).sum()
    }

    /// Leaves every process's own counters out of the books: some were started again.
    pub fn forget_counters(&mut self) {
        self.killed = self
            .services
            .iter()
            .map(|service| service.name().to_owned())
            .collect();
    }

    /// Checks that every service still runs.
    ///
    /// # Errors
    /// One has ended; says how.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.services.iter_mut().try_for_each(Service::check)
    }

    /// Waits until everything that is in the input has reached every partner.
    ///
    /// # Errors
    /// It has not within `deadline`; says what is left.
    pub async fn settle(&mut self, clusters: &[RedisCluster; 2], deadline: Duration) -> anyhow::Result<()> {
        self.settle_with(clusters, &self.partner_names.clone(), deadline)
            .await
    }

    /// Waits until everything that is in the input has reached these partners.
    ///
    /// # Errors
    /// It has not within `deadline`; says what is left.
    pub async fn settle_with(
        &mut self,
        clusters: &[RedisCluster; 2],
        partners: &[String],
        deadline: Duration,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + deadline;
        loop {
            self.check()?;
            let Some(left) = self.left(clusters, partners).await? else {
                return self.partners.flush();
            };
            if Instant::now() > until {
                let partitions = self.input_partitions().await;
                let logs = self.keep();
                anyhow::bail!(
                    "the pipeline does not come to rest: {left}; logs are in {}; input partitions: {partitions}",
                    logs.display()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How each ingestor sees its partitions.
    async fn input_partitions(&self) -> String {
        let mut views = Vec::new();
        for ingestor in self.of(Kind::Ingestor) {
            let answer = self
                .client
                .get(format!("http://{}/partitions", ingestor.admin))
                .send()
                .await;
            let view = match answer {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            views.push(format!("{}: {view}", ingestor.name()));
        }
        views.join("; ")
    }

    /// What is not done yet.
    async fn left(
        &self,
        clusters: &[RedisCluster; 2],
        partners: &[String],
    ) -> anyhow::Result<Option<String>> {
        let ingest = self.input_lag().await?;
        if ingest > 0 {
            return Ok(Some(format!("{ingest} records are not ingested")));
        }
        let [a, b] = clusters;
        let keys = a.keys().await? + b.keys().await?;
        if keys > 0 {
            return Ok(Some(format!("{keys} keys are not drained")));
        }
        if !self.is_drained().await {
            return Ok(Some(
                "a closed generation has no verdict, or a failed one is not read again".to_owned(),
            ));
        }
        for partner in partners {
            let lag = self.lane_lag(partner).await?;
            if lag > 0 {
                return Ok(Some(format!("{lag} batches are not delivered to {partner}")));
            }
        }
        Ok(None)
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// It does not within `deadline`, or a service has ended.
    pub async fn wait_until<F>(&mut self, what: &str, deadline: Duration, holds: F) -> anyhow::Result<()>
    where
        F: AsyncFn(&Self) -> anyhow::Result<bool>,
    {
        let until = Instant::now() + deadline;
        loop {
            self.check()?;
            if holds(self).await? {
                return Ok(());
            }
            if Instant::now() > until {
                anyhow::bail!(
                    "{what}: not within {deadline:?}; logs are in {}",
                    self.keep().display()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Records of the input that are not committed.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn input_lag(&self) -> anyhow::Result<i64> {
        let topics = self.kafka.topics();
        self.lag(&topics.group("ingestor"), &topics.cache_misses()).await
    }

    /// Batches that a partner's lane has not finished.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn lane_lag(&self, partner: &str) -> anyhow::Result<i64> {
        let topics = self.kafka.topics();
        self.lag(&self.lane_group(partner), &topics.batches()).await
    }

    /// The consumer group of a partner's lane.
    #[must_use]
    pub fn lane_group(&self, partner: &str) -> String {
        self.kafka.topics().group(&format!("dispatcher-{partner}"))
    }

    /// Batches in the topic.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn batches(&self) -> anyhow::Result<i64> {
        let ends = offsets::log_end(&self.kafka, &self.kafka.topics().batches()).await?;
        Ok(ends.iter().map(|(_, end)| end).sum())
    }

    /// The sum of a metric over all living services of one kind.
    pub async fn metric(&self, kind: Kind, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut sum = 0.0;
        for service in self.of(kind) {
            sum += service
                .metrics()
                .await
                .map_or(0.0, |scrape| scrape.sum(name, labels));
        }
        sum
    }

    async fn lag(&self, group: &str, topic: &str) -> anyhow::Result<i64> {
        let committed = offsets::committed(&self.kafka, group, topic).await?;
        let ends = offsets::log_end(&self.kafka, topic).await?;
        let done: i64 = committed.iter().filter_map(|(_, offset)| *offset).sum();
        Ok(ends.iter().map(|(_, end)| end).sum::<i64>() - done)
    }

    /// The books at rest.
    ///
    /// # Errors
    /// A topic, a log or a service's metrics cannot be read.
    pub async fn audit(&self) -> anyhow::Result<Report> {
        self.partners.flush()?;
        let args = AuditArgs {
            logs: Some(self.dir().to_owned()),
            ..self.audit_args()
        };
        audit(&self.auditor()?, &args).await
    }

    /// How to reach Kafka as the user who may read everything.
    ///
    /// # Errors
    /// The password cannot be read.
    pub fn auditor(&self) -> anyhow::Result<KafkaArgs> {
        self.passwords.log_in(AUDITOR, self.kafka.clone())
    }

    /// The same as settings.
    #[must_use]
    pub fn auditor_settings(&self) -> Vec<(String, String)> {
        let kafka = [
            ("KAFKA_BROKERS".to_owned(), self.kafka.kafka_brokers.clone()),
            ("TOPIC_PREFIX".to_owned(), self.kafka.topic_prefix.clone()),
        ];
        let login = self.passwords.settings(AUDITOR);
        kafka.into_iter().chain(login).collect()
    }

    /// How to audit it while it runs: processes that were killed are left out.
    #[must_use]
    pub fn audit_args(&self) -> AuditArgs {
        AuditArgs {
            partners: self.partner_names.clone(),
            ingestors: self.living(Kind::Ingestor),
            flippers: self.living(Kind::Flipper),
            dispatchers: self.living(Kind::Dispatcher),
            ..AuditArgs::default()
        }
    }

    fn living(&self, kind: Kind) -> Vec<Endpoint> {
        let was_killed = |service: &&Service| self.killed.iter().any(|name| name == service.name());
        let living = self.of(kind).filter(|service| !was_killed(service));
        living.map(|service| service.admin.into()).collect()
    }

    /// Asks every service to end, and checks that each does with status 0.
    ///
    /// # Errors
    /// One does not.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for service in &mut self.services {
            service.terminate().await?;
        }
        Ok(())
    }

    /// Leaves the logs behind, for whoever looks into a failure.
    #[must_use]
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }
}

fn write(dir: &Path, name: &str, text: &str) -> anyhow::Result<String> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path.display().to_string())
}
