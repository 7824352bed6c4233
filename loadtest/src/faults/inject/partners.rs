//! One partner of two: the other one must not feel it.

use super::{Evidence, Fault, MISSED, Target};
use crate::partners::Misbehaviour;
use crate::proxy::Weather;

const PARTNER: &str = "south";
const TEN_MEGABYTES: usize = 10 << 20;

impl Target<'_> {
    pub(super) async fn upset_partner(&self, fault: Fault) -> anyhow::Result<Option<Evidence>> {
        let run = self.run().await;
        match fault {
            Fault::PartnerThrottles => run.partners.misbehave(PARTNER, Misbehaviour::always(429)),
            Fault::PartnerTalks => run
                .partners
                .misbehave(PARTNER, Misbehaviour::talking(TEN_MEGABYTES)),
            Fault::PartnerTimesOut => run.set_partner_weather(PARTNER, Weather::Silent),
            Fault::PartnerResets => run.set_partner_weather(PARTNER, Weather::Refusing),
            Fault::PartnerDrips => run.set_partner_weather(PARTNER, Weather::Dripping),
            _ => run.partners.misbehave(PARTNER, Misbehaviour::always(500)),
        }
        drop(run);
        tokio::time::sleep(2 * MISSED).await;
        let run = self.run().await;
        run.partners.misbehave(PARTNER, Misbehaviour::default());
        run.set_partner_weather(PARTNER, Weather::Fair);
        Ok(None)
    }
}
