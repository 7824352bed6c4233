//! Settings that every service shares, as groups for clap's `flatten`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use url::Url;

use crate::{
    config::SecretFile,
    credentials::CredentialFiles,
    metrics::{BusMetrics, Peer},
    topics::Topics,
};

/// How to reach Kafka, and the prefix of every topic.
#[derive(Args, Clone, Debug)]
pub struct KafkaArgs {
    /// Kafka brokers to start from, comma-separated `host:port`
    #[arg(long, env, default_value = "127.0.0.1:9092")]
    pub kafka_brokers: String,
    /// Prefix of topics and, with its last dot as a dash, of consumer groups
    #[arg(long, env, default_value = "crawler-hints.")]
    pub topic_prefix: String,
    /// Encryption and authentication towards the brokers
    #[arg(long, env, default_value = "plaintext")]
    pub kafka_security_protocol: SecurityProtocol,
    /// File of the authorities that sign the brokers' certificates, PEM; the system's when unset
    #[arg(long, env)]
    pub kafka_ssl_ca: Option<PathBuf>,
    /// File of this service's certificate, PEM
    #[arg(long, env, requires = "kafka_ssl_key")]
    pub kafka_ssl_cert: Option<PathBuf>,
    /// File of the certificate's private key, PEM
    #[arg(long, env, requires = "kafka_ssl_cert")]
    pub kafka_ssl_key: Option<PathBuf>,
    /// How to log in, with one of the SASL protocols
    #[arg(long, env)]
    pub kafka_sasl_mechanism: Option<SaslMechanism>,
    /// User to log in as
    #[arg(long, env)]
    pub kafka_sasl_username: Option<String>,
    /// File of the user's password
    #[arg(long, env)]
    pub kafka_sasl_password_file: Option<SecretFile>,
}

impl KafkaArgs {
    /// Settings for a broker without encryption, everything else at its default.
    pub fn plaintext(brokers: impl Into<String>, topic_prefix: impl Into<String>) -> Self {
        Self {
            kafka_brokers: brokers.into(),
            topic_prefix: topic_prefix.into(),
            kafka_security_protocol: SecurityProtocol::Plaintext,
            kafka_ssl_ca: None,
            kafka_ssl_cert: None,
            kafka_ssl_key: None,
            kafka_sasl_mechanism: None,
            kafka_sasl_username: None,
            kafka_sasl_password_file: None,
        }
    }

    /// What proves who this service is, for a client that is about to read it.
    pub(crate) fn credentials(&self, metrics: &BusMetrics) -> CredentialFiles {
        let password = self.kafka_sasl_password_file.as_ref().map(|file| &file.path);
        let files = [&self.kafka_ssl_ca, &self.kafka_ssl_cert, &self.kafka_ssl_key];
        let (files, certificate) = (files.into_iter().flatten(), self.kafka_ssl_cert.as_ref());
        CredentialFiles::new(
            files.chain(password),
            certificate,
            metrics.certificate(Peer::Kafka),
        )
    }

    /// Who this service is to the brokers, as their ACLs name it, for messages about what they refuse.
    pub fn principal(&self) -> String {
        match (&self.kafka_sasl_username, &self.kafka_ssl_cert) {
            (Some(user), _) => format!("User:{user}"),
            (None, Some(cert)) => format!("the subject of {}", cert.display()),
            (None, None) => "User:ANONYMOUS".to_owned(),
        }
    }

    /// The names of topics and groups under the prefix.
    pub fn topics(&self) -> Topics {
        Topics::new(&self.topic_prefix)
    }
}

/// How the connection to a broker is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS, with a client certificate where one is set.
    Ssl,
    /// A password over a connection in the clear.
    SaslPlaintext,
    /// A password over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// The name that librdkafka knows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }
}

/// How a password is proved to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SaslMechanism {
    /// The password itself.
    #[value(name = "PLAIN", alias = "plain")]
    Plain,
    /// SCRAM with SHA-256.
    #[value(name = "SCRAM-SHA-256", alias = "scram-sha-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[value(name = "SCRAM-SHA-512", alias = "scram-sha-512")]
    ScramSha512,
}

impl SaslMechanism {
    /// The name that librdkafka knows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The admin port, beside its address, whose default differs a service.
#[derive(Args, Clone, Debug, Default)]
pub struct AdminArgs {
    /// File of the bearer token of every admin request that changes something; without it those answer 403
    #[arg(long, env)]
    pub admin_token_file: Option<PathBuf>,
}

/// What is logged, and how.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// Shape of a log line
    #[arg(long, env, default_value = "json")]
    pub log_format: LogFormat,
    /// What is logged, as `info` or `info,messagebus=debug`
    #[arg(long, env, default_value = "info", value_parser = crate::telemetry::filter_text)]
    pub rust_log: String,
}

/// Where traces go.
#[derive(Args, Clone, Debug, Default)]
pub struct TraceArgs {
    /// Collector of traces, as OTLP over HTTP: its base URL, to which `/v1/traces` is added; no traces when unset
    #[arg(long, env, value_parser = crate::trace::endpoint)]
    pub otel_exporter_otlp_endpoint: Option<Url>,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// An object a line, for collectors.
    Json,
    /// For people.
    Text,
}
