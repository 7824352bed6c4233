//! The simulated partners' own logs against what was accepted: a real partner shows none.

use std::path::Path;

use super::books::{Books, UrlSet};
use crate::partners::read_log;

/// One partner's log, compared.
#[derive(Clone, Debug)]
pub(super) struct PartnerUrls {
    pub(super) partner: String,
    /// Accepted URLs that it never got, and that were not given up for it.
    pub(super) lost: u64,
    /// URLs that it got and nobody sent.
    pub(super) invented: u64,
}

/// Reads each partner's log.
///
/// # Errors
/// One cannot be read.
pub(super) fn compare(dir: &Path, partners: &[String], books: &Books) -> anyhow::Result<Vec<PartnerUrls>> {
    let mut compared = Vec::new();
    for partner in partners {
        let mut delivered = UrlSet::default();
        read_log(dir, partner, |delivery| {
            delivery.urls.iter().for_each(|url| delivered.insert(url));
        })?;
        let lane = books.lanes.lanes().find(|(name, _)| name == partner);
        let is_given_up = |url| lane.is_some_and(|(_, lane)| lane.is_given_up(url));
        let is_lost = |url: &u128| !delivered.contains(*url) && !is_given_up(*url);
        let invented = delivered.iter().filter(|url| !books.urls.is_known(*url)).count();
        compared.push(PartnerUrls {
            partner: partner.clone(),
            lost: books.urls.accepted().filter(is_lost).count() as u64,
            invented: invented as u64,
        });
    }
    Ok(compared)
}
