//! Simulated partners: IndexNow endpoints that check every request as the protocol says, and misbehave on demand.

mod check;
mod log;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use rand::Rng;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use check::Violation;
pub use log::{Delivery, read_log};

use check::KeyFiles;
use log::PartnerLog;

/// INDEXNOW.md knows no limit on bytes; ours is 5 MiB.
const BODY_BYTES: usize = 5 << 20;
/// What a partner that has had too many requests asks for, in seconds, unless it is told otherwise.
const RETRY_AFTER_SECONDS: u64 = 1;
/// No retry comes sooner than this after a failure: the first waits half a second, give or take 30 %.
const FIRST_RETRY: Duration = Duration::from_millis(300);

/// How often a partner answers a request with another status than 200, and how long its answers are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Misbehaviour {
    answers: Vec<(u16, f64)>,
    body_bytes: usize,
    /// What it asks for with each 429, in seconds.
    retry_after: Option<u64>,
}

/// Counted answers and breaches of the protocol of one partner.
#[derive(Clone, Debug, Default)]
pub struct PartnerStatus {
    /// URLs accepted.
    pub urls: u64,
    /// Requests by status.
    pub answers: HashMap<u16, u64>,
    /// The first breaches.
    pub violations: Vec<Violation>,
    /// Requests that came before the time was over that its last failure had asked for, or sooner than any retry may.
    /// Who has several requests under way does not know in time: it tells something where they come one by one.
    pub too_early: u64,
}

/// The endpoints of several partners, on one port. Gone when dropped.
#[derive(Debug)]
pub struct Partners {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    partners: HashMap<String, Partner>,
    key_files: KeyFiles,
}

#[derive(Debug)]
struct Partner {
    misbehaviour: Mutex<Misbehaviour>,
    status: Mutex<PartnerStatus>,
    /// Nobody should ask again before.
    quiet_until: Mutex<Option<Instant>>,
    log: Mutex<PartnerLog>,
}

impl FromStr for Misbehaviour {
    type Err = String;

    /// Reads `500:0.02,429:0.01`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no misbehaviour: expected status:share, as 500:0.02,429:0.01");
        let part = |part: &str| -> Result<(u16, f64), String> {
            let (status, share) = part.split_once(':').ok_or_else(wrong)?;
            let share: f64 = share.parse().map_err(|_| wrong())?;
            let status: u16 = status.parse().map_err(|_| wrong())?;
            let is_valid = (0.0..=1.0).contains(&share) && (300..600).contains(&status);
            if is_valid {
                Ok((status, share))
            } else {
                Err(wrong())
            }
        };
        let parts = text.split(',').filter(|part| !part.is_empty());
        let answers = parts.map(part).collect::<Result<_, _>>()?;
        Ok(Self {
            answers,
            ..Self::default()
        })
    }
}

impl Misbehaviour {
    /// Answers every request with this status.
    #[must_use]
    pub fn always(status: u16) -> Self {
        Self {
            answers: vec![(status, 1.0)],
            ..Self::default()
        }
    }

    /// Has had too many requests, and asks with each answer to be left alone for so many seconds.
    #[must_use]
    pub fn busy_for(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::always(429)
        }
    }

    /// Answers as it should, with a body of so many bytes.
    #[must_use]
    pub fn talking(body_bytes: usize) -> Self {
        Self {
            body_bytes,
            ..Self::default()
        }
    }

    fn pick(&self) -> Option<u16> {
        let mut left: f64 = rand::rng().random();
        self.answers.iter().find_map(|(status, share)| {
            left -= share;
            (left < 0.0).then_some(*status)
        })
    }
}

impl Partners {
    /// Starts partners of these names at `listen`. Each writes what it accepts to `<name>.jsonl` in `dir`; key files
    /// are looked up at `keys`, host and port of the dispatcher's key-file server.
    ///
    /// # Errors
    /// No port or file can be had.
    pub async fn start(
        names: &[(String, Misbehaviour)],
        dir: &Path,
        keys: &str,
        listen: SocketAddr,
    ) -> anyhow::Result<Self> {
        let mut partners = HashMap::new();
        for (name, misbehaviour) in names {
            let partner = Partner {
                misbehaviour: Mutex::new(misbehaviour.clone()),
                status: Mutex::default(),
                quiet_until: Mutex::default(),
                log: Mutex::new(PartnerLog::create(dir, name)?),
            };
            partners.insert(name.clone(), partner);
        }
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("binding {listen} for the partners"))?;
        let address = listener.local_addr().context("asking for the partners' port")?;
        let shared = Arc::new(Shared {
            partners,
            key_files: KeyFiles::new(keys),
        });
        let app = Router::new()
            .route("/{partner}/indexnow", post(indexnow))
            .layer(DefaultBodyLimit::max(BODY_BYTES))
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                tracing::error!("the partners have died: {error}");
            }
        });
        Ok(Self {
            address,
            shared,
            _stop: stop.drop_guard(),
        })
    }

    /// The setting `PARTNERS` that leads the dispatcher here.
    #[must_use]
    pub fn setting(&self) -> String {
        self.setting_by(|_| self.address)
    }

    /// The same, by way of another address for each.
    #[must_use]
    pub fn setting_by(&self, way: impl Fn(&str) -> SocketAddr) -> String {
        let mut names: Vec<_> = self.shared.partners.keys().collect();
        names.sort();
        let endpoint = |name: &String| format!("{name}=http://{}/{name}/indexnow", way(name));
        names.into_iter().map(endpoint).collect::<Vec<_>>().join(",")
    }

    /// Where they listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a partner stands; nothing for a name that is none.
    #[must_use]
    pub fn status(&self, partner: &str) -> PartnerStatus {
        let partner = self.shared.partners.get(partner);
        partner
            .map(|partner| partner.status.lock().clone())
            .unwrap_or_default()
    }

    /// Changes how a partner misbehaves from now on.
    pub fn misbehave(&self, partner: &str, misbehaviour: Misbehaviour) {
        if let Some(partner) = self.shared.partners.get(partner) {
            *partner.misbehaviour.lock() = misbehaviour;
        }
    }
}

async fn indexnow(
    State(shared): State<Arc<Shared>>,
    UrlPath(name): UrlPath<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(partner) = shared.partners.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    partner.look_at_the_clock();
    let (picked, body_bytes, retry_after) = {
        let misbehaviour = partner.misbehaviour.lock();
        let retry_after = misbehaviour.retry_after.unwrap_or(RETRY_AFTER_SECONDS);
        (misbehaviour.pick(), misbehaviour.body_bytes, retry_after)
    };
    let status = match picked {
        Some(status) => status,
        None => partner.judge(&shared.key_files, &headers, &body).await,
    };
    *partner.status.lock().answers.entry(status).or_default() += 1;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status == StatusCode::TOO_MANY_REQUESTS {
        partner.leave_alone_for(Duration::from_secs(retry_after));
        return (status, [(RETRY_AFTER, retry_after.to_string())]).into_response();
    }
    if status.is_server_error() {
        partner.leave_alone_for(FIRST_RETRY);
    }
    (status, vec![b' '; body_bytes]).into_response()
}

impl Partner {
    /// Counts a request that comes too early.
    fn look_at_the_clock(&self) {
        let is_early = self
            .quiet_until
            .lock()
            .is_some_and(|until| Instant::now() < until);
        self.status.lock().too_early += u64::from(is_early);
    }

    /// Nobody should ask again for so long, from before the answer that says so.
    fn leave_alone_for(&self, quiet: Duration) {
        *self.quiet_until.lock() = Some(Instant::now() + quiet);
    }

    async fn judge(&self, key_files: &KeyFiles, headers: &HeaderMap, body: &[u8]) -> u16 {
        let checked = match check::check(headers, body) {
            Ok(request) => key_files.check(&request).await.map(|()| request),
            Err(violation) => Err(violation),
        };
        let request = match checked {
            Ok(request) => request,
            Err(violation) => {
                let status = violation.status;
                // 503: the key file could not be looked up, which is nobody's breach.
                if status != 503 {
                    tracing::error!(?violation, "a request breaks the protocol");
                    self.status.lock().violations.push(violation);
                }
                return status;
            }
        };
        if let Err(error) = self.log.lock().append(&request) {
            tracing::error!("an accepted request cannot be logged: {error:#}");
            return 500;
        }
        self.status.lock().urls += request.url_list.len() as u64;
        200
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misbehaviour_is_read_and_picked_by_its_share() {
        let often: Misbehaviour = "500:0.5,429:0.5".parse().unwrap();
        let picked: std::collections::HashSet<_> = (0..1_000).map(|_| often.pick()).collect();
        assert_eq!(picked, [Some(500), Some(429)].into());
        assert_eq!("".parse::<Misbehaviour>().unwrap().pick(), None);
        for bad in ["500", "500:2", "200:0.1", "x:0.1"] {
            assert!(bad.parse::<Misbehaviour>().is_err(), "{bad}");
        }
    }
}
