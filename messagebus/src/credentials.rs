//! The files with which a process proves who it is. They are replaced while it runs, and librdkafka reads them once:
//! whoever uses them asks here whether it is time for a new client.
//!
//! Contents are compared every few seconds rather than waited for: Kubernetes swaps a symlink far above the files,
//! of which a watch on them hears nothing.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use openssl::asn1::Asn1Time;
use openssl::x509::X509;

use crate::client::ANSWER_WITHIN;
use crate::metrics::{CertificateEnd, Peer};

/// Time between two looks at the files.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A new consumer is a rebalance: clients that share a secret renew themselves within this time, not at once.
const SPREAD: Duration = Duration::from_secs(10);
/// Contents that could not be used are tried again after this time, and after twice as long each further time, or once
/// they are others: brokers may have been slow once, but files that are wrong stay wrong.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// Longest time between two tries: each keeps a client from its work for as long as brokers are silent.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Records in flight have so long for their reports before a producer is renewed without them. A consumer's begun
/// spans have less, unless its options say otherwise.
pub(crate) const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// A client has turned to new files within this time, though the brokers were too slow for its first three tries.
///
/// It leaves what it used before, where that was new as well, looks at the files, waits for its turn, and tries.
pub const TURNED_WITHIN: Duration = LEAVE_WITHIN
    .saturating_add(LOOK_EVERY)
    .saturating_add(SPREAD)
    .saturating_add(ANSWER_WITHIN.saturating_mul(4))
    .saturating_add(FIRST_RETRY.saturating_mul(1 + 2 + 4));

/// Credentials as one client uses them. The end of its certificate is exported while this lives.
#[derive(Debug)]
pub struct CredentialFiles {
    paths: Vec<PathBuf>,
    certificate: Option<PathBuf>,
    end: CertificateEnd,
    turn: Turn,
    next_look: Instant,
}

impl CredentialFiles {
    /// For a client that is about to read these files, the certificate's among them where it shows one.
    pub fn new<'a>(
        paths: impl IntoIterator<Item = &'a PathBuf>,
        certificate: Option<&PathBuf>,
        end: CertificateEnd,
    ) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().cloned().collect();
        let mut files = Self {
            turn: Turn::new(fingerprint(&paths).unwrap_or_default()),
            paths,
            certificate: certificate.cloned(),
            end,
            next_look: Instant::now() + LOOK_EVERY,
        };
        files.export();
        files
    }

    /// Whether there are none, which never change.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// A client with the credentials as they are now, when it is time for one: the files have changed, this
    /// client's turn has come, and `make` could use them. Reads the files every 5 s at most, so it may be asked
    /// often. What cannot be used is logged, and the client that there is stays.
    pub fn renew<T>(&mut self, make: impl FnOnce() -> anyhow::Result<T>) -> Option<T> {
        let now = Instant::now();
        if self.paths.is_empty() || now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK_EVERY;
        // Nothing to read: in the middle of being replaced.
        let contents = fingerprint(&self.paths)?;
        let spread = match self.end.peer() {
            Peer::Kafka => spread(),
            // Nobody else feels another connection.
            Peer::Redis => Duration::ZERO,
        };
        if !self.turn.has_come(contents, now, spread) {
            return None;
        }
        let peer = self.end.peer().label();
        let made = make();
        if fingerprint(&self.paths) != Some(contents) {
            // Replaced meanwhile: it may be of both, or failed because of that. The next look begins anew.
            return None;
        }
        match made {
            Ok(new) => {
                self.turn = Turn::new(contents);
                self.export();
                tracing::info!(peer, "going on with new credentials");
                Some(new)
            }
            Err(error) => {
                // The time that trying took is none between two tries.
                self.turn.fail(Instant::now());
                tracing::warn!(
                    peer,
                    "new credentials cannot be used, the old ones stay: {error:#}"
                );
                None
            }
        }
    }

    fn export(&mut self) {
        let Some(path) = &self.certificate else { return };
        match not_after(path) {
            Ok(end) => self.end.set(end),
            Err(error) => tracing::warn!("a certificate's end is not known: {error:#}"),
        }
    }
}

/// When a client is to be renewed.
#[derive(Debug)]
struct Turn {
    /// The contents that the client uses.
    used: u64,
    /// The contents when last looked at.
    seen: u64,
    /// From when on the contents seen are to be used.
    due: Option<Instant>,
    /// How long the next failure delays them.
    retry: Duration,
}

impl Turn {
    fn new(used: u64) -> Self {
        Self {
            used,
            seen: used,
            due: None,
            retry: FIRST_RETRY,
        }
    }

    fn has_come(&mut self, contents: u64, now: Instant, spread: Duration) -> bool {
        if contents != self.seen {
            self.seen = contents;
            self.due = (contents != self.used).then(|| now + spread);
            self.retry = FIRST_RETRY;
        }
        self.due.is_some_and(|due| now >= due)
    }

    /// The contents seen could not be used.
    fn fail(&mut self, now: Instant) {
        self.due = Some(now + self.retry);
        self.retry = (2 * self.retry).min(LONGEST_RETRY);
    }
}

/// When a certificate ends, in Unix seconds; of a chain its first.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub fn not_after(path: &Path) -> anyhow::Result<i64> {
    let pem = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let certificate =
        X509::from_pem(&pem).with_context(|| format!("{} is no certificate", path.display()))?;
    let since = Asn1Time::from_unix(0)?.diff(certificate.not_after())?;
    Ok(i64::from(since.days) * 86_400 + i64::from(since.secs))
}

/// One number for all contents; nothing when a file cannot be read.
fn fingerprint(paths: &[PathBuf]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        std::fs::read(path).ok()?.hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// A share of [`SPREAD`], another at each call.
fn spread() -> Duration {
    let random = RandomState::new().build_hasher().finish();
    SPREAD.mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::metrics::{BusMetrics, Registrar};

    const SPREAD: Duration = Duration::from_secs(3);
    const LATER: Duration = Duration::from_secs(5);

    #[test]
    fn a_change_is_due_after_its_spread_and_stays_so() {
        let (mut turn, now) = (Turn::new(1), Instant::now());
        assert!(!turn.has_come(1, now, SPREAD));
        assert!(!turn.has_come(2, now, SPREAD));
        assert!(turn.has_come(2, now + LATER, SPREAD));
        assert!(turn.has_come(2, now + 2 * LATER, SPREAD));
    }

    #[test]
    fn what_is_changed_back_is_not_due() {
        let (mut turn, now) = (Turn::new(1), Instant::now());
        assert!(!turn.has_come(2, now, SPREAD));
        assert!(!turn.has_come(1, now + LATER, SPREAD));
        assert!(!turn.has_come(2, now + 2 * LATER, SPREAD), "a change of its own");
    }

    #[test]
    fn what_could_not_be_used_is_tried_again_soon_and_then_ever_later() {
        let (mut turn, mut now) = (Turn::new(1), Instant::now());
        turn.has_come(2, now, Duration::ZERO);
        for seconds in [5, 10, 20, 40, 60, 60] {
            turn.fail(now);
            let due = now + Duration::from_secs(seconds);
            assert!(
                !turn.has_come(2, due - Duration::from_millis(1), SPREAD),
                "{seconds}"
            );
            assert!(turn.has_come(2, due, SPREAD), "{seconds}");
            now = due;
        }
    }

    #[test]
    fn other_contents_do_not_wait_for_those_that_could_not_be_used() {
        let (mut turn, now) = (Turn::new(1), Instant::now());
        turn.has_come(2, now, SPREAD);
        for _ in 0..5 {
            turn.fail(now);
        }
        assert!(!turn.has_come(3, now + LATER, SPREAD));
        assert!(turn.has_come(3, now + 2 * LATER, SPREAD));
        turn.fail(now + 2 * LATER);
        assert!(
            turn.has_come(3, now + 2 * LATER + FIRST_RETRY, SPREAD),
            "a first failure of theirs"
        );
    }

    #[test]
    fn three_slow_answers_are_within_the_time_allowed() {
        let start = Instant::now();
        let (mut turn, mut failures) = (Turn::new(1), 3);
        // The last look was just before the change.
        let mut now = start + LEAVE_WITHIN + LOOK_EVERY;
        let turned = loop {
            let mut next = now + LOOK_EVERY;
            if turn.has_come(2, now, super::SPREAD) {
                let answered = now + ANSWER_WITHIN;
                if failures == 0 {
                    break answered;
                }
                failures -= 1;
                turn.fail(answered);
                next = next.max(answered);
            }
            now = next;
        };
        assert_eq!(turned - start, TURNED_WITHIN);
    }

    #[test]
    fn a_client_of_two_rotations_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        let replace = |text: &str| std::fs::write(&key, text).unwrap();
        replace("first");
        let bus = BusMetrics::register(&Registrar::new(&Registry::new(), "test")).unwrap();
        let mut files = CredentialFiles::new([&key], None, bus.certificate(Peer::Redis));
        let mut renew = |make: &dyn Fn() -> anyhow::Result<()>| {
            files.next_look = Instant::now();
            files.renew(make)
        };
        let replace_and = |text, made| {
            replace(text);
            made
        };
        replace("second");
        assert_eq!(renew(&|| replace_and("third", Ok(()))), None);
        let failed = || replace_and("fourth", Err(anyhow::anyhow!("a key of another certificate")));
        assert_eq!(renew(&failed), None);
        assert_eq!(
            renew(&|| Ok(())),
            Some(()),
            "the fourth is whole, and does not wait"
        );
        assert_eq!(renew(&|| Ok(())), None, "and stays");
    }

    #[test]
    fn contents_count_whatever_the_path_leads_over() {
        let dir = tempfile::tempdir().unwrap();
        for (version, text) in [("1", "a"), ("2", "a"), ("3", "b")] {
            std::fs::create_dir(dir.path().join(version)).unwrap();
            std::fs::write(dir.path().join(version).join("key"), text).unwrap();
        }
        let current = dir.path().join("current");
        let turn = |version: &str| {
            drop(std::fs::remove_file(&current));
            std::os::unix::fs::symlink(dir.path().join(version), &current).unwrap();
            fingerprint(&[current.join("key")])
        };
        let first = turn("1");
        assert_eq!(turn("2"), first);
        assert_ne!(turn("3"), first);
        assert_eq!(fingerprint(&[current.join("gone")]), None);
    }
}
