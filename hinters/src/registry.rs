//! Which partners there are, and the setting `PARTNERS` that picks from them.
//!
//! A partner that speaks IndexNow is a line of [`INDEXNOW`], or `name=url` in the setting. One that speaks
//! anything else is a file that implements [`Hinter`] and a line of [`KINDS`].

use std::collections::HashSet;
use std::str::FromStr;

use url::Url;

use crate::client::HttpClient;
use crate::hinter::Hinter;
use crate::indexnow::IndexNow;

/// Longest name of a partner: it is a label, and part of a consumer group.
const NAME_BYTES: usize = 64;

/// Endpoints that speak IndexNow, by name (<https://www.indexnow.org/searchengines.json>, 2026-09-05).
pub const INDEXNOW: &[(&str, &str)] = &[
    ("shared", "https://api.indexnow.org/indexnow"),
    ("bing", "https://www.bing.com/indexnow"),
    ("yandex", "https://yandex.com/indexnow"),
    ("seznam", "https://search.seznam.cz/indexnow"),
    ("naver", "https://searchadvisor.naver.com/indexnow"),
    ("yep", "https://indexnow.yep.com/indexnow"),
    ("internetarchive", "https://internetarchive.indexnow.org/indexnow"),
    ("amazonbot", "https://indexnow.amazonbot.amazon/indexnow"),
];

/// Partners that speak something else.
pub const KINDS: &[Kind] = &[];

/// A partner that does not speak IndexNow.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name in `PARTNERS`.
    pub name: &'static str,
    /// Makes one.
    pub build: fn(HttpClient) -> Box<dyn Hinter>,
}

/// The setting `PARTNERS`: names from the registry, or `name=url` of an IndexNow endpoint, comma-separated.
#[derive(Clone, Debug)]
pub struct PartnerSetting(Vec<Partner>);

#[derive(Clone, Debug)]
struct Partner {
    name: String,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    IndexNow(Url),
    Kind(Kind),
}

/// Why the setting makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartnerSettingError {
    /// It names nobody.
    #[error("no partner is named")]
    Empty,
    /// The registry has no such name.
    #[error("there is no partner {0:?}; known are {known}, and any other as name=url", known = known())]
    Unknown(String),
    /// A name that cannot be a label and part of a group's name.
    #[error("{0:?} is no name: expected 1 to 64 of a-z, 0-9 and -")]
    Name(String),
    /// An endpoint that is no https or http URL.
    #[error("{0:?} is no endpoint: expected an https URL")]
    Endpoint(String),
    /// A name stands there twice.
    #[error("partner {0} stands there twice")]
    Twice(String),
}

impl PartnerSetting {
    /// The partners' names, in the setting's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|partner| partner.name.as_str())
    }

    /// The first endpoint that is not https.
    #[must_use]
    pub fn plain_http(&self) -> Option<&str> {
        self.0.iter().find_map(|partner| match &partner.source {
            Source::IndexNow(url) if url.scheme() != "https" => Some(url.as_str()),
            Source::IndexNow(_) | Source::Kind(_) => None,
        })
    }

    /// Makes the partners, in the setting's order.
    #[must_use]
    pub fn build(&self, client: &HttpClient) -> Vec<Box<dyn Hinter>> {
        let build = |partner: &Partner| -> Box<dyn Hinter> {
            match &partner.source {
                Source::IndexNow(url) => Box::new(IndexNow::new(&partner.name, url.clone(), client.clone())),
                Source::Kind(kind) => (kind.build)(client.clone()),
            }
        };
        self.0.iter().map(build).collect()
    }
}

impl FromStr for PartnerSetting {
    type Err = PartnerSettingError;

    fn from_str(setting: &str) -> Result<Self, Self::Err> {
        let mut seen = HashSet::new();
        let mut partners = Vec::new();
        for entry in setting
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let partner = Partner::parse(entry)?;
            if !seen.insert(partner.name.clone()) {
                return Err(PartnerSettingError::Twice(partner.name));
            }
            partners.push(partner);
        }
        if partners.is_empty() {
            return Err(PartnerSettingError::Empty);
        }
        Ok(Self(partners))
    }
}

impl Partner {
    fn parse(entry: &str) -> Result<Self, PartnerSettingError> {
        let (name, source) = match entry.split_once('=') {
            Some((name, url)) => (name.trim(), Source::IndexNow(endpoint(url.trim())?)),
            None => (entry, registered(entry)?),
        };
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(valid) {
            return Err(PartnerSettingError::Name(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            source,
        })
    }
}

fn registered(name: &str) -> Result<Source, PartnerSettingError> {
    if let Some(kind) = KINDS.iter().find(|kind| kind.name == name) {
        return Ok(Source::Kind(*kind));
    }
    match INDEXNOW.iter().find(|(known, _)| *known == name) {
        Some((_, url)) => endpoint(url).map(Source::IndexNow),
        None => Err(PartnerSettingError::Unknown(name.to_owned())),
    }
}

fn endpoint(text: &str) -> Result<Url, PartnerSettingError> {
    let wrong = || PartnerSettingError::Endpoint(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.has_host();
    if is_web { Ok(url) } else { Err(wrong()) }
}

fn known() -> String {
    let kinds = KINDS.iter().map(|kind| kind.name);
    let names: Vec<_> = INDEXNOW.iter().map(|(name, _)| *name).chain(kinds).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_endpoint_is_https_and_every_name_a_label() {
        let names: Vec<_> = INDEXNOW.iter().map(|(name, _)| *name).collect();
        let setting: PartnerSetting = names.join(",").parse().unwrap();
        assert_eq!(setting.names().collect::<Vec<_>>(), names);
        assert_eq!(setting.plain_http(), None);
    }

    #[test]
    fn a_new_indexnow_partner_is_one_setting() {
        let setting: PartnerSetting = "bing, mine=http://127.0.0.1:9/indexnow".parse().unwrap();
        assert_eq!(setting.names().collect::<Vec<_>>(), ["bing", "mine"]);
        assert_eq!(setting.plain_http(), Some("http://127.0.0.1:9/indexnow"));
        let partners = setting.build(&HttpClient::new(true).unwrap());
        assert_eq!(partners[1].name(), "mine");
    }

    #[test]
    fn a_setting_that_makes_no_sense_says_why() {
        for (setting, beginning) in [
            ("", "no partner is named"),
            (" , ", "no partner is named"),
            ("google", "there is no partner \"google\"; known are shared, bing"),
            ("bing,bing", "partner bing stands there twice"),
            ("Mine=https://x.example/", "\"Mine\" is no name"),
            ("mine=ftp://x.example/", "\"ftp://x.example/\" is no endpoint"),
            ("mine=", "\"\" is no endpoint"),
        ] {
            let error = setting.parse::<PartnerSetting>().unwrap_err().to_string();
            assert!(error.starts_with(beginning), "{setting}: {error}");
        }
    }
}
