//! The whole pipeline as real processes: services, partners, and the questions a run is asked.

mod asking;
mod books;
mod certificates;
mod dispatcher;
mod flipper;
mod rest;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use messagebus::KafkaArgs;
use tempfile::TempDir;

use crate::partners::{Misbehaviour, Partners};
use crate::ports;
use crate::proxy::{Proxy, Weather, Whose};
use crate::service::{Kind, Service, impatient};
use crate::stack::users::Passwords;
use crate::stack::{RedisCluster, Tls};

pub use dispatcher::Standing;

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
