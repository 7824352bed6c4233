//! The users of a deployment, as `k8s/redis/users.acl` and `k8s/kafka/acls` name them, with passwords that are no
//! secret here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use messagebus::KafkaArgs;
use messagebus::args::{SaslMechanism, SecurityProtocol};
use messagebus::config::SecretFile;

/// May do everything: it forms clusters, creates topics and injects faults.
pub(crate) const OPERATOR: &str = "operator";
/// Reads every topic.
pub(crate) const AUDITOR: &str = "auditor";
/// A replica at its master.
pub(crate) const REPLICA: &str = "replica";

const USERS: [&str; 7] = [
    "ingestor",
    "flipper",
    "dispatcher",
    "probe",
    REPLICA,
    AUDITOR,
    OPERATOR,
];

const TEMPLATE: &str = include_str!("../../../k8s/redis/users.acl");
const RENDER: &str = include_str!("../../../k8s/redis/render-users");

/// The password of a user.
#[must_use]
pub fn password(user: &str) -> String {
    format!("password-of-{user}")
}

/// Files with the passwords, in a directory of their own in `dir`.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    dir: PathBuf,
}

impl Passwords {
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.join("passwords");
        std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        for user in USERS {
            let path = dir.join(user);
            std::fs::write(&path, password(user)).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(Self { dir })
    }

    /// Gives a user another password, and says which it was.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn replace(&self, user: &str, new: &str) -> anyhow::Result<String> {
        let path = self.dir.join(user);
        let old = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        std::fs::write(&path, new).with_context(|| format!("writing {}", path.display()))?;
        Ok(old)
    }

    /// The settings with which a service logs in as `user`.
    pub(crate) fn settings(&self, user: &str) -> Vec<(String, String)> {
        let file = self.dir.join(user).display().to_string();
        let kafka = [
            ("KAFKA_SECURITY_PROTOCOL", SecurityProtocol::SaslPlaintext.name()),
            ("KAFKA_SASL_MECHANISM", SaslMechanism::Plain.name()),
            ("KAFKA_SASL_USERNAME", user),
            ("KAFKA_SASL_PASSWORD_FILE", &file),
        ];
        let kafka = kafka.map(|(name, value)| (name.to_owned(), value.to_owned()));
        kafka.into_iter().chain(self.redis_settings(user)).collect()
    }

    /// The settings with which it logs in at Redis alone.
    pub(crate) fn redis_settings(&self, user: &str) -> Vec<(String, String)> {
        let file = self.dir.join(user).display().to_string();
        [("REDIS_USERNAME", user), ("REDIS_PASSWORD_FILE", &file)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    /// The same brokers and topics, logged in as `user`.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(crate) fn log_in(&self, user: &str, kafka: KafkaArgs) -> anyhow::Result<KafkaArgs> {
        let file: Result<SecretFile, String> = self.dir.join(user).display().to_string().parse();
        Ok(KafkaArgs {
            kafka_security_protocol: SecurityProtocol::SaslPlaintext,
            kafka_sasl_mechanism: Some(SaslMechanism::Plain),
            kafka_sasl_username: Some(user.to_owned()),
            kafka_sasl_password_file: Some(file.map_err(anyhow::Error::msg)?),
            ..kafka
        })
    }

    /// What a broker must know of them, as one line of its settings.
    pub(crate) fn jaas() -> String {
        let users = USERS.map(|user| format!(" {}", jaas_of(user, &password(user))));
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
        format!("{module} required{};", users.concat())
    }

    /// The ACL file of a Redis node, made of what is shipped as a deployment makes it.
    ///
    /// # Errors
    /// The script fails.
    pub(crate) fn acl_file(&self) -> anyhow::Result<PathBuf> {
        let beside = |name: &str| self.dir.with_file_name(name);
        let (template, script, rendered) = (beside("users.acl"), beside("render-users"), beside("users"));
        std::fs::write(&template, TEMPLATE).context("writing the users' template")?;
        std::fs::write(&script, RENDER).context("writing the users' script")?;
        let output = Command::new("sh").args([&script, &template, &self.dir]).output();
        let output = output.context("running render-users")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "render-users failed: {errors}");
        std::fs::write(&rendered, output.stdout).context("writing the users' file")?;
        Ok(rendered)
    }
}

/// A user, as [`Passwords::jaas`] names them.
pub(crate) fn jaas_of(user: &str, password: &str) -> String {
    format!("user_{user}=\"{password}\"")
}
