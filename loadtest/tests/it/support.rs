//! One broker for all tests; topics, Redis clusters and services of their own for each.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loadtest::audit::Report;
use loadtest::produce::{ProduceArgs, produce};
use loadtest::run::{Run, RunSettings};
use loadtest::stack::{Broker, RedisCluster, create_topics};
use loadtest::traffic::TrafficArgs;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

/// Longest time for anything that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Outlives every test: a child ends with the thread that started it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static BROKER: OnceCell<(Broker, TempDir)> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Runs a test on the threads that all tests share.
pub(crate) fn on_shared_threads<F>(test: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    RUNTIME.block_on(RUNTIME.spawn(test)).unwrap();
}

/// A pipeline and what it stands on.
pub(crate) struct Pipeline {
    pub(crate) run: Run,
    pub(crate) clusters: [RedisCluster; 2],
    _dir: TempDir,
}

impl Pipeline {
    pub(crate) async fn start(settings: RunSettings) -> Self {
        let (broker, _) = BROKER
            .get_or_init(async || {
                let dir = tempfile::tempdir().unwrap();
                (Broker::start(dir.path()).await.unwrap(), dir)
            })
            .await;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let kafka = broker.kafka(&format!("t{number}."));
        create_topics(&kafka).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let clusters = [
            RedisCluster::start(&dir.path().join("a"), 3, &[]).await.unwrap(),
            RedisCluster::start(&dir.path().join("b"), 3, &[]).await.unwrap(),
        ];
        let run = Run::start(&kafka, &clusters, settings).await.unwrap();
        Self {
            run,
            clusters,
            _dir: dir,
        }
    }

    /// Produces `count` records at `rate`, from the beginning of the traffic of `seed`; returns at once.
    pub(crate) fn produce(&self, seed: u64, rate: u64, count: u64) -> tokio::task::JoinHandle<u64> {
        let args = ProduceArgs {
            rate,
            count,
            traffic: TrafficArgs {
                seed,
                hosts: 60,
                ..TrafficArgs::default()
            },
        };
        let (sent, _) = watch::channel(0);
        let kafka = self.run.kafka.clone();
        tokio::spawn(async move {
            produce(&kafka, &args, sent, CancellationToken::new())
                .await
                .unwrap()
        })
    }

    pub(crate) async fn wait_until(&mut self, what: &str, holds: impl AsyncFn(&Run) -> anyhow::Result<bool>) {
        self.run.wait_until(what, PATIENCE, holds).await.unwrap();
    }

    /// Waits for rest, closes the books, and ends every service.
    pub(crate) async fn close(&mut self) -> Report {
        self.run.settle(&self.clusters, PATIENCE).await.unwrap();
        let report = self.run.audit().await.unwrap();
        let kept = if report.balances() {
            None
        } else {
            Some(self.run.keep())
        };
        assert!(report.balances(), "{report}\nlogs: {kept:?}");
        for name in self.run.partner_names() {
            let violations = self.run.partners.status(name).violations;
            assert!(violations.is_empty(), "{violations:?}");
        }
        self.run.stop().await.unwrap();
        report
    }
}
