//! Certificates of an authority of the stack's own: long ones for its servers, short ones for the services.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use messagebus::args::SecurityProtocol;
use messagebus::credentials::not_after;
use messagebus::{KafkaArgs, now_ms};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef};

use crate::service::Kind;

/// Longer than any stack stands, and than any clock of a fault is off.
pub(crate) const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// How the services reach an encrypted stack.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where the broker asks for a certificate.
    brokers: SocketAddr,
    /// `ca.crt`, and `.crt` and `.key` of each service.
    dir: PathBuf,
}

/// Signs certificates, and keeps them in a directory.
#[derive(Debug)]
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
    dir: PathBuf,
}

impl Authority {
    /// # Errors
    /// A file cannot be written.
    pub(super) fn new(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.join("certificates");
        std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let key = new_key()?;
        let mut builder = unsigned("authority", end_of(LONG)?, &key, None)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let authority = Self {
            certificate: builder.build(),
            key,
            dir,
        };
        write(&authority.dir.join("ca.crt"), &authority.certificate.to_pem()?)?;
        authority.issue("server", end_of(LONG)?, &authority.dir)?;
        Ok(authority)
    }

    /// The authority's own certificate, and a server's for 127.0.0.1 with its key.
    pub(super) fn server(&self) -> [PathBuf; 3] {
        ["ca.crt", "server.crt", "server.key"].map(|name| self.dir.join(name))
    }

    /// The authority's certificate, and the server's with its key, as Kafka takes them.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn stores(&self) -> anyhow::Result<[PathBuf; 2]> {
        let [authority, certificate, key] = self.server();
        let read = |path: &Path| std::fs::read(path).context("reading the server's certificate");
        let keystore = self.dir.join("server.pem");
        write(&keystore, &[read(&key)?, read(&certificate)?].concat())?;
        Ok([authority, keystore])
    }

    /// Gives every service a certificate that ends after `life`, and says where they are: `ca.crt`, and `.crt` and
    /// `.key` of each. All change at once, as Kubernetes swaps a secret: a new directory, and then the symlink to it.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn issue_all(&self, life: Duration) -> anyhow::Result<PathBuf> {
        let new = tempfile::tempdir_in(&self.dir)
            .context("making a directory")?
            .keep();
        write(&new.join("ca.crt"), &self.certificate.to_pem()?)?;
        // One end for all, also where a second passes between two of them.
        let end = end_of(life)?;
        for kind in Kind::ALL {
            self.issue(kind.program(), end, &new)?;
        }
        let (next, current) = (self.dir.join("next"), self.dir.join("current"));
        std::os::unix::fs::symlink(&new, &next).context("linking the certificates")?;
        std::fs::rename(&next, &current).context("swapping the certificates")?;
        Ok(current)
    }

    fn issue(&self, name: &str, end: i64, dir: &Path) -> anyhow::Result<()> {
        let key = new_key()?;
        let mut builder = unsigned(name, end, &key, Some(self.certificate.subject_name()))?;
        let address = SubjectAlternativeName::new()
            .ip("127.0.0.1")
            .build(&builder.x509v3_context(Some(&self.certificate), None))?;
        builder.append_extension(address)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        write(&dir.join(format!("{name}.crt")), &builder.build().to_pem()?)?;
        write(&dir.join(format!("{name}.key")), &key.private_key_to_pem_pkcs8()?)
    }
}

impl Tls {
    /// With the certificates in `dir`.
    pub(super) fn new(brokers: SocketAddr, dir: PathBuf) -> Self {
        Self { brokers, dir }
    }

    /// When the certificates end that were issued last, in Unix seconds.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn end(&self) -> anyhow::Result<i64> {
        not_after(&self.file("ingestor.crt"))
    }

    /// The settings with which a service shows its certificate: to Kafka instead of a password, to Redis beside it.
    pub(crate) fn settings(&self, kind: Kind) -> Vec<(String, String)> {
        let (certificate, key) = (
            format!("{}.crt", kind.program()),
            format!("{}.key", kind.program()),
        );
        let file = |name: &str| self.file(name).display().to_string();
        [
            ("KAFKA_BROKERS", self.brokers.to_string()),
            ("KAFKA_SECURITY_PROTOCOL", SecurityProtocol::Ssl.name().to_owned()),
            ("KAFKA_SSL_CA", file("ca.crt")),
            ("KAFKA_SSL_CERT", file(&certificate)),
            ("KAFKA_SSL_KEY", file(&key)),
            ("REDIS_TLS_CA", file("ca.crt")),
            ("REDIS_TLS_CERT", file(&certificate)),
            ("REDIS_TLS_KEY", file(&key)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// The same topics, as a service with the certificate of `kind` reaches them.
    #[must_use]
    pub fn show(&self, kind: Kind, kafka: KafkaArgs) -> KafkaArgs {
        KafkaArgs {
            kafka_brokers: self.brokers.to_string(),
            kafka_security_protocol: SecurityProtocol::Ssl,
            kafka_ssl_ca: Some(self.file("ca.crt")),
            kafka_ssl_cert: Some(self.file(&format!("{}.crt", kind.program()))),
            kafka_ssl_key: Some(self.file(&format!("{}.key", kind.program()))),
            ..KafkaArgs::plaintext("", kafka.topic_prefix)
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn new_key() -> anyhow::Result<PKey<Private>> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(PKey::from_ec_key(EcKey::generate(&curve)?)?)
}

/// When a life ends that begins now, in Unix seconds.
fn end_of(life: Duration) -> anyhow::Result<i64> {
    Ok(i64::try_from(now_ms() / 1_000 + life.as_secs())?)
}

/// A certificate of this name, its own issuer where there is no other; it lacks its purpose and the signature.
fn unsigned(
    name: &str,
    end: i64,
    key: &PKey<Private>,
    issuer: Option<&X509NameRef>,
) -> anyhow::Result<X509Builder> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?; // counted from 0
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    let name = common_name(name)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(issuer.unwrap_or(&name))?;
    let begin = i64::try_from(now_ms() / 1_000)? - i64::try_from(LONG.as_secs())?;
    let (begin, end) = (Asn1Time::from_unix(begin)?, Asn1Time::from_unix(end)?);
    builder.set_not_before(&begin)?;
    builder.set_not_after(&end)?;
    builder.set_pubkey(key)?;
    Ok(builder)
}

fn common_name(name: &str) -> anyhow::Result<X509Name> {
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_when_all_of_its_rotation_do() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path()).unwrap();
        let end = 2_000_000_000;
        authority.issue("ingestor", end, dir.path()).unwrap();
        assert_eq!(not_after(&dir.path().join("ingestor.crt")).unwrap(), end);
    }
}
