//! The key that proves to a partner that a host's owner agrees.

use hmac::{Hmac, Mac};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::Url;

/// Characters of a derived key.
const DERIVED: usize = 32;

/// A host's key, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    key: String,
    location: Option<Location>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Location {
    url: String,
    /// Decoded path of the key file's directory, slash at its end.
    directory: Vec<u8>,
}

/// Why a zone's key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// 8 to 128 of `A-Z a-z 0-9 -` (IndexNow's documentation).
    #[error("a key has 8 to 128 characters of A-Z, a-z, 0-9 and -")]
    Key,
    /// The key file is not a file of that host.
    #[error("the key's location is no URL of that host")]
    Location,
}

impl HostKey {
    /// A key as a zone names it; an empty `location` means `https://<host>/<key>.txt`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn new(host: &str, key: &str, location: &str) -> Result<Self, KeyError> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(8..=128).contains(&key.len()) || !key.bytes().all(valid) {
            return Err(KeyError::Key);
        }
        let location = match location {
            "" => None,
            location => Some(Location::parse(host, location)?),
        };
        Ok(Self {
            key: key.to_owned(),
            location,
        })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where its file is, when it is not at `https://<host>/<key>.txt`.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_ref().map(|location| location.url.as_str())
    }

    /// Whether the key covers a canonical URL of its host: a key file in a directory covers what is under that
    /// directory and nothing else.
    #[must_use]
    pub fn covers(&self, url: &str) -> bool {
        let Some(location) = &self.location else {
            return true;
        };
        let path = url
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)))
            .map_or("/", |rest| rest.split(['?', '#']).next().unwrap_or(rest));
        decode(path).starts_with(&location.directory)
    }
}

impl Location {
    fn parse(host: &str, location: &str) -> Result<Self, KeyError> {
        let url = Url::parse(location).map_err(|_| KeyError::Location)?;
        let is_web = matches!(url.scheme(), "https" | "http");
        if !is_web || url.host_str() != Some(host) || url.port().is_some() {
            return Err(KeyError::Location);
        }
        let path = url.path();
        let directory = path.get(..=path.rfind('/').unwrap_or(0)).unwrap_or("/");
        Ok(Self {
            url: location.to_owned(),
            directory: decode(directory),
        })
    }
}

fn decode(path: &str) -> Vec<u8> {
    percent_decode_str(path).collect()
}

/// The secret from which a host's key is derived when its zone names none.
#[derive(Clone, Debug)]
pub struct MasterKey(SecretString);

impl MasterKey {
    /// A master key; the longer the better.
    #[must_use]
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// The host's key: HMAC-SHA-256 of the host, the first 32 hexadecimal digits.
    #[must_use]
    pub fn derive(&self, host: &str) -> HostKey {
        let secret = self.0.expose_secret().as_bytes();
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of every length");
        mac.update(host.as_bytes());
        let mut key = hex::encode(mac.finalize().into_bytes());
        key.truncate(DERIVED);
        HostKey { key, location: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_the_protocol_allows_are_taken() {
        let key = |key: &str| HostKey::new("a.example", key, "").map(|_| ());
        assert_eq!(key("abcd-123"), Ok(()));
        assert_eq!(key(&"a".repeat(128)), Ok(()));
        for bad in ["", "short12", "with space", "under_score", &"a".repeat(129)] {
            assert_eq!(key(bad), Err(KeyError::Key), "{bad:?}");
        }
    }

    #[test]
    fn a_location_must_be_of_the_host() {
        let at = |location| HostKey::new("a.example", "12345678", location).map(|_| ());
        assert_eq!(at("https://a.example/catalog/k.txt"), Ok(()));
        for bad in [
            "https://b.example/k.txt",
            "ftp://a.example/k.txt",
            "k.txt",
            "https://a.example:8443/k.txt",
        ] {
            assert_eq!(at(bad), Err(KeyError::Location), "{bad}");
        }
    }

    #[test]
    fn a_key_in_a_directory_covers_that_directory_alone() {
        let key = HostKey::new("a.example", "12345678", "https://a.example/catalog/k.txt").unwrap();
        for covered in [
            "https://a.example/catalog/1",
            "http://a.example/c%61talog/?q",
            "https://a.example/catalog/",
        ] {
            assert!(key.covers(covered), "{covered}");
        }
        for outside in [
            "https://a.example/",
            "https://a.example/catalogue/1",
            "https://a.example/x?/catalog/",
            "https://a.example/catalog",
        ] {
            assert!(!key.covers(outside), "{outside}");
        }
        assert!(
            HostKey::new("a.example", "12345678", "")
                .unwrap()
                .covers("https://a.example/x")
        );
    }

    #[test]
    fn a_derived_key_is_the_same_for_ever() {
        let master = MasterKey::new("master".into());
        // echo -n a.example | openssl dgst -sha256 -hmac master
        assert_eq!(master.derive("a.example").key(), DERIVED_FOR_A_EXAMPLE);
        assert_ne!(master.derive("b.example"), master.derive("a.example"));
        assert!(HostKey::new("a.example", master.derive("a.example").key(), "").is_ok());
    }

    const DERIVED_FOR_A_EXAMPLE: &str = "dd51aa674841c07fb2525c425fb7e2cf";
}
