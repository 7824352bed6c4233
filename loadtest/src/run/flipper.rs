//! What the flippers of a run say, and are asked to do.

use serde::Deserialize;

use super::Run;
use crate::service::{Kind, Service};

/// `GET /generations`, as far as a run asks.
#[derive(Debug, Deserialize)]
struct FlipperStatus {
    elected: bool,
    active: Option<u64>,
    generations: Vec<GenerationStatus>,
}

#[derive(Debug, Deserialize)]
struct GenerationStatus {
    generation: u64,
    state: String,
    replay_open: bool,
}

impl Run {
    pub(super) async fn is_drained(&self) -> bool {
        let status = self.flipper_status().await;
        status.is_some_and(|(_, status)| {
            let generations = &status.generations;
            generations
                .iter()
                .all(|generation| generation.state != "closed" && !generation.replay_open)
        })
    }

    /// The name of the flipper that works.
    pub async fn elected_flipper(&self) -> Option<String> {
        self.flipper_status().await.map(|(name, _)| name)
    }

    /// The generation that is written to, as the flipper that works sees it.
    pub async fn active_generation(&self) -> Option<u64> {
        self.flipper_status().await?.1.active
    }

    /// The lowest generation that the log still speaks of, as the flipper that works sees it.
    pub async fn oldest_generation(&self) -> Option<u64> {
        let (_, status) = self.flipper_status().await?;
        status.generations.iter().map(|known| known.generation).min()
    }

    async fn flipper_status(&self) -> Option<(String, FlipperStatus)> {
        for flipper in self.of(Kind::Flipper) {
            let url = format!("http://{}/generations", flipper.admin);
            let Ok(answer) = self.client.get(&url).send().await else {
                continue;
            };
            let Ok(status) = answer.json::<FlipperStatus>().await else {
                continue;
            };
            if status.elected {
                return Some((flipper.name().to_owned(), status));
            }
        }
        None
    }

    /// Asks the flipper that works to open the next generation now.
    ///
    /// # Errors
    /// None works.
    pub async fn flip(&self) -> anyhow::Result<()> {
        self.ask(Kind::Flipper, "flip").await
    }

    /// Asks the flipper that works to read a generation's input again.
    ///
    /// # Errors
    /// None works, or the generation has no verdict.
    pub async fn replay(&self, generation: u64) -> anyhow::Result<()> {
        self.ask(Kind::Flipper, &format!("generations/{generation}/replay"))
            .await
    }

    /// Asks one flipper to open the next generation now; how it answers, and what it says.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn flip_at(&self, flipper: &Service) -> anyhow::Result<(u16, String)> {
        let answer = self.post(flipper, "flip").await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}
