//! What on-call asks services to do, through their admin ports.

use super::{ADMIN_TOKEN, Run};
use crate::service::{Kind, Service};

impl Run {
    /// Lets a partition of the input that bad records have stopped go on.
    ///
    /// # Errors
    /// No ingestor holds it stopped.
    pub async fn resume_partition(&self, partition: i32) -> anyhow::Result<()> {
        self.ask(Kind::Ingestor, &format!("partitions/{partition}/resume"))
            .await
    }

    /// Asks each service of a kind until one does it.
    pub(super) async fn ask(&self, kind: Kind, what: &str) -> anyhow::Result<()> {
        let mut answers = Vec::new();
        for service in self.of(kind) {
            match self.post(service, what).await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => answers.push(answer.text().await.unwrap_or_default()),
                Err(error) => answers.push(error.to_string()),
            }
        }
        anyhow::bail!("no {} does POST /{what}: {answers:?}", kind.program())
    }

    /// Asks one service.
    pub(super) async fn post(&self, service: &Service, what: &str) -> reqwest::Result<reqwest::Response> {
        let request = self.client.post(format!("http://{}/{what}", service.admin));
        request.bearer_auth(ADMIN_TOKEN).send().await
    }
}
