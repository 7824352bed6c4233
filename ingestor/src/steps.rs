//! The steps that every deployment has.

use crate::canonical::CanonicalUrl;
use crate::hint::Hint;
use crate::policy;
use crate::reason::Reason;
use crate::transformation::Transformation;
use crate::zones::Zones;

/// Lets records of zones through that have opted in.
#[derive(Debug)]
pub struct OptIn;

/// Lets records through that say that a page changed.
#[derive(Debug)]
pub struct Policy;

/// Gives the URL its one spelling.
#[derive(Debug)]
pub struct Canonical;

/// Lets URLs through whose host is one of the zone's: a zone cannot hint another's pages.
#[derive(Debug)]
pub struct HostOfZone;

impl Transformation for OptIn {
    fn judge<'a>(&self, hint: &mut Hint<'a>, zones: &'a Zones) -> Result<(), Reason> {
        let zone = zones.opted_in(hint.miss.zone_id).ok_or(Reason::NotOptedIn)?;
        hint.zone = Some(zone);
        Ok(())
    }
}

impl Transformation for Policy {
    fn judge<'a>(&self, hint: &mut Hint<'a>, _: &'a Zones) -> Result<(), Reason> {
        policy::check(&hint.miss)
    }
}

impl Transformation for Canonical {
    fn judge<'a>(&self, hint: &mut Hint<'a>, _: &'a Zones) -> Result<(), Reason> {
        hint.url = Some(CanonicalUrl::parse(hint.miss.url)?);
        Ok(())
    }
}

impl Transformation for HostOfZone {
    fn judge<'a>(&self, hint: &mut Hint<'a>, _: &'a Zones) -> Result<(), Reason> {
        let host = hint.url.as_ref().map(CanonicalUrl::host);
        let spread = hint.zone.zip(host).and_then(|(zone, host)| zone.spread_of(host));
        hint.spread = spread.ok_or(Reason::ForeignHost)?;
        Ok(())
    }
}
