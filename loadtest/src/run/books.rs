//! The books of a run: who audits it, and what is asked.

use messagebus::KafkaArgs;

use super::Run;
use crate::audit::{AuditArgs, Endpoint, Report, audit};
use crate::service::{Kind, Service};
use crate::stack::users::AUDITOR;

impl Run {
    /// The books at rest.
    ///
    /// # Errors
    /// A topic, a log or a service's metrics cannot be read.
    pub async fn audit(&self) -> anyhow::Result<Report> {
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
}
