//! Where the traffic comes from: it is made here, or by somebody else's program.

use anyhow::Context;
use messagebus::KafkaArgs;
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::DemoArgs;
use crate::produce::{ProduceArgs, produce, produce_zones};
use crate::stack::Stack;
use crate::traffic::Traffic;

/// Who makes the zones and the records.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// We do.
    Own(Box<KafkaArgs>, ProduceArgs),
    /// A program, with its arguments and the settings that it is given.
    Program(String, Vec<(&'static str, String)>),
}

impl Source {
    /// The one that the demo is to have.
    pub(crate) fn of(args: &DemoArgs, stack: &Stack) -> Self {
        let kafka = stack.kafka();
        if let Some(program) = &args.producer {
            let mut settings = stack.settings();
            settings.push(("TOPIC_PREFIX", kafka.topic_prefix.clone()));
            return Self::Program(program.clone(), settings);
        }
        let produce_args = ProduceArgs {
            rate: args.rate,
            count: args.rate * args.traffic_for.as_secs().max(1),
            traffic: args.traffic.clone(),
        };
        Self::Own(Box::new(kafka.clone()), produce_args)
    }

    /// Produces the zones, all of them: before services start, see [`produce_zones`].
    ///
    /// # Errors
    /// Kafka does not take one, or the program fails.
    pub(crate) async fn produce_zones(&self) -> anyhow::Result<()> {
        match self {
            Self::Own(kafka, args) => {
                let zones = Traffic::new(args.traffic.clone())?.zones();
                produce_zones(kafka, &zones).await
            }
            Self::Program(program, settings) => run(program, settings, "zones").await,
        }
    }

    /// Produces the records; shows in `sent` how many of our own are acknowledged, and ends those early at `stop`.
    ///
    /// # Errors
    /// Kafka does not take one, or the program fails.
    pub(crate) async fn produce_records(
        self,
        sent: watch::Sender<u64>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        match self {
            Self::Own(kafka, args) => produce(&kafka, &args, sent, stop).await.map(drop),
            Self::Program(program, settings) => run(&program, &settings, "records").await,
        }
    }
}

/// Runs the program until it has produced all that it is asked for.
async fn run(program: &str, settings: &[(&'static str, String)], what: &str) -> anyhow::Result<()> {
    let mut words = program.split_whitespace();
    let name = words.next().context("an empty program")?;
    let status = Command::new(name)
        .args(words)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .env("PRODUCE", what)
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("running {program}"))?;
    anyhow::ensure!(
        status.success(),
        "{program}, asked for {what}, ended with {status}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_asked_for_zones_and_for_records_apart() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("produce.sh");
        std::fs::write(&script, r#"echo "$1 $PRODUCE to $TOPIC_PREFIX" >> "$0.said""#).unwrap();
        let program = format!("sh {} all", script.display());
        let source = Source::Program(program, vec![("TOPIC_PREFIX", "test.".to_owned())]);
        let said = || std::fs::read_to_string(dir.path().join("produce.sh.said")).unwrap();

        source.produce_zones().await.unwrap();
        assert_eq!(said(), "all zones to test.\n");
        let (sent, _) = watch::channel(0);
        let produced = source.produce_records(sent, CancellationToken::new());
        produced.await.unwrap();
        assert_eq!(said(), "all zones to test.\nall records to test.\n");
    }

    #[tokio::test]
    async fn a_program_that_fails_says_what_it_was_asked_for() {
        let source = Source::Program("false".to_owned(), Vec::new());
        let error = source.produce_zones().await.unwrap_err().to_string();
        assert!(error.contains("false, asked for zones"), "{error}");
    }
}
