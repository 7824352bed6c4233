//! Opens one connection to a node: TCP or TLS, no delay, a deadline on everything.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use messagebus::credentials::CredentialFiles;
use messagebus::metrics::{BusMetrics, Peer};
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_native_tls::TlsConnector;
use tokio_native_tls::native_tls::{self, Certificate, Identity};

use crate::address::Address;
use crate::args::RedisArgs;
use crate::cluster_name::ClusterName;

/// Longest time for TCP, TLS and authentication together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time from the moment a command was begun to be written until its answer. Well below the lease of ten
/// seconds, so that a stalled node is noticed while its answers would still count.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A byte stream to a node, plain or encrypted.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Who to be when the node asks.
pub(crate) struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: SecretString,
}

/// Opens connections to the nodes of one cluster. Its version tells when those that are open are to be made anew.
#[derive(Clone)]
pub struct Connector(Arc<Inner>);

struct Inner {
    args: RedisArgs,
    tls: bool,
    used: Mutex<Used>,
}

/// Which credentials connections should have.
struct Used {
    files: CredentialFiles,
    version: u64,
    /// Made of the files once: each time reads the system's authorities as well, which would be felt at a rotation,
    /// when every connection is opened anew.
    tls: Option<TlsConnector>,
}

impl Connector {
    /// Checks the settings of `cluster` that can be checked without a connection.
    ///
    /// # Errors
    /// Seeds that disagree about TLS, and files that cannot be read.
    pub fn new(args: &RedisArgs, cluster: ClusterName, metrics: &BusMetrics) -> anyhow::Result<Self> {
        let seeds = args.seeds(cluster);
        let tls = seeds.first().is_some_and(|seed| seed.tls);
        ensure!(
            seeds.iter().all(|seed| seed.tls == tls),
            "the seed nodes of {cluster} mix redis:// and rediss://, a cluster speaks one of them"
        );
        let files = [
            &args.redis_password_file,
            &args.redis_tls_ca,
            &args.redis_tls_cert,
            &args.redis_tls_key,
        ];
        let (files, certificate) = (files.into_iter().flatten(), args.redis_tls_cert.as_ref());
        let used = Used {
            files: CredentialFiles::new(
                files,
                certificate.filter(|_| tls),
                metrics.certificate(Peer::Redis),
            ),
            version: 0,
            tls: None,
        };
        let connector = Self(Arc::new(Inner {
            args: args.clone(),
            tls,
            used: Mutex::new(used),
        }));
        connector.0.used.lock().tls = connector.read_all()?;
        Ok(connector)
    }

    /// The version of the credentials: a connection that was opened under an earlier one is to be replaced, once
    /// what is in flight on it is answered. Looks at the files every few seconds at most.
    pub(crate) fn version(&self) -> u64 {
        let mut used = self.0.used.lock();
        if let Some(tls) = used.files.renew(|| self.read_all()) {
            used.tls = tls;
            used.version += 1;
        }
        used.version
    }

    fn read_all(&self) -> anyhow::Result<Option<TlsConnector>> {
        self.credentials()?;
        self.tls()
    }

    /// Connects within what the caller allows; see [`CONNECT_TIMEOUT`]. Authentication is the caller's.
    pub(crate) async fn open(&self, address: &Address) -> io::Result<Box<dyn Duplex>> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        let tls = self.0.used.lock().tls.clone();
        match tls {
            None => Ok(Box::new(stream)),
            Some(tls) => {
                let stream = tls
                    .connect(&address.host, stream)
                    .await
                    .map_err(io::Error::other)?;
                Ok(Box::new(stream))
            }
        }
    }

    /// The password file's content without its line end, and the user.
    pub(crate) fn credentials(&self) -> anyhow::Result<Option<Credentials>> {
        let Some(path) = &self.0.args.redis_password_file else {
            return Ok(None);
        };
        let text = String::from_utf8(read("REDIS_PASSWORD_FILE", path)?)
            .with_context(|| format!("REDIS_PASSWORD_FILE {} is not text", path.display()))?;
        let password = text.trim_end_matches(['\r', '\n']);
        ensure!(
            !password.is_empty(),
            "REDIS_PASSWORD_FILE {} is empty",
            path.display()
        );
        let username = self.0.args.redis_username.clone();
        Ok(Some(Credentials {
            username,
            password: SecretString::from(password),
        }))
    }

    fn tls(&self) -> anyhow::Result<Option<TlsConnector>> {
        let args = &self.0.args;
        if !self.0.tls {
            return Ok(None);
        }
        let mut builder = native_tls::TlsConnector::builder();
        if let Some(path) = &args.redis_tls_ca {
            let authorities = Certificate::stack_from_pem(&read("REDIS_TLS_CA", path)?)
                .with_context(|| format!("REDIS_TLS_CA {} does not parse", path.display()))?;
            builder.disable_built_in_roots(true);
            for authority in authorities {
                builder.add_root_certificate(authority);
            }
        }
        if let (Some(cert), Some(key)) = (&args.redis_tls_cert, &args.redis_tls_key) {
            let (cert, key) = (read("REDIS_TLS_CERT", cert)?, read("REDIS_TLS_KEY", key)?);
            let identity = Identity::from_pkcs8(&cert, &key).context(
                "REDIS_TLS_CERT and REDIS_TLS_KEY do not parse as a certificate and its PKCS#8 key",
            )?;
            builder.identity(identity);
        }
        Ok(Some(builder.build().context("setting up TLS to Redis")?.into()))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("tls", &self.0.tls)
            .finish_non_exhaustive()
    }
}

/// Runs `work` for at most [`CONNECT_TIMEOUT`].
pub(crate) async fn within_connect_timeout<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(CONNECT_TIMEOUT, work)
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?
}

fn read(setting: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {setting} {}", path.display()))
}

#[cfg(test)]
mod tests {
    use messagebus::metrics::Registrar;

    use super::*;

    fn args(seeds: &[&str]) -> RedisArgs {
        let seeds: Vec<_> = seeds.iter().map(|seed| seed.parse().unwrap()).collect();
        RedisArgs {
            redis_a: seeds.clone(),
            redis_b: seeds,
            redis_username: None,
            redis_password_file: None,
            redis_tls_ca: None,
            redis_tls_cert: None,
            redis_tls_key: None,
        }
    }

    fn connector(args: &RedisArgs) -> anyhow::Result<Connector> {
        let registrar = Registrar::new(&prometheus::Registry::new(), "test");
        Connector::new(args, ClusterName::A, &BusMetrics::register(&registrar)?)
    }

    fn refusal(args: &RedisArgs) -> String {
        format!("{:#}", connector(args).unwrap_err())
    }

    #[test]
    fn a_cluster_is_encrypted_or_not() {
        let text = refusal(&args(&["redis://h:1", "rediss://h:2"]));
        assert!(text.contains("hints-a mix redis:// and rediss://"), "{text}");
        assert!(connector(&args(&["redis://h:1", "redis://h:2"])).is_ok());
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_setting() {
        let missing = Some("/nowhere/at/all".into());
        let text = refusal(&RedisArgs {
            redis_password_file: missing.clone(),
            ..args(&["redis://h:1"])
        });
        assert!(
            text.contains("reading REDIS_PASSWORD_FILE /nowhere/at/all"),
            "{text}"
        );
        let text = refusal(&RedisArgs {
            redis_tls_ca: missing,
            ..args(&["rediss://h:1"])
        });
        assert!(text.contains("reading REDIS_TLS_CA /nowhere/at/all"), "{text}");
        let empty = tempfile::NamedTempFile::new().unwrap();
        let file = Some(empty.path().to_owned());
        let text = refusal(&RedisArgs {
            redis_password_file: file,
            ..args(&["redis://h:1"])
        });
        assert!(text.ends_with("is empty"), "{text}");
    }

    #[test]
    fn a_password_is_the_file_without_its_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a b \r\n").unwrap();
        let args = RedisArgs {
            redis_password_file: Some(file.path().to_owned()),
            ..args(&["redis://h:1"])
        };
        let connector = connector(&args).unwrap();
        let credentials = connector.credentials().unwrap().unwrap();
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&credentials.password),
            "a b "
        );
    }
}
