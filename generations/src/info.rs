//! What a node tells of itself: the text of `INFO`.

/// The fields of `INFO` that the flip protocol and its memory limits look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// New at each start of the process.
    pub run_id: String,
    /// A master by its own account.
    pub is_master: bool,
    /// Changes with demotion, promotion and restart.
    pub replication_id: String,
    /// Keys thrown away for memory since the start: each is a lost hint.
    pub evicted_keys: u64,
    /// Bytes in use.
    pub used_memory: u64,
    /// Bytes allowed; 0 is no limit.
    pub maxmemory: u64,
}

impl Info {
    /// Reads the default sections of `INFO`; `None` where one of the fields is missing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim_end)
        };
        Some(Self {
            run_id: field("run_id")?.to_owned(),
            is_master: field("role")? == "master",
            replication_id: field("master_replid")?.to_owned(),
            evicted_keys: field("evicted_keys")?.parse().ok()?,
            used_memory: field("used_memory")?.parse().ok()?,
            maxmemory: field("maxmemory")?.parse().ok()?,
        })
    }

    /// Share of its memory limit in use, 0 without one.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of memory, compared with a threshold"
    )]
    pub fn memory_share(&self) -> f64 {
        if self.maxmemory == 0 {
            0.0
        } else {
            self.used_memory as f64 / self.maxmemory as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Server\r\nrun_id:abc\r\n\r\n# Memory\r\nused_memory:75\r\nused_memory_human:75B\r\n\
                        maxmemory:100\r\nmaxmemory_human:100B\r\n# Stats\r\nevicted_keys:3\r\n\
                        # Replication\r\nrole:master\r\nmaster_replid:def\r\nmaster_replid2:000\r\n";

    #[test]
    fn the_fields_of_the_protocol_are_read() {
        let info = Info::parse(TEXT).unwrap();
        assert_eq!(
            (info.run_id.as_str(), info.replication_id.as_str()),
            ("abc", "def")
        );
        assert_eq!((info.is_master, info.evicted_keys), (true, 3));
        assert!((info.memory_share() - 0.75).abs() < 1e-9);
    }

    #[test]
    fn an_answer_without_one_of_them_is_none() {
        for name in [
            "run_id",
            "used_memory:",
            "maxmemory:",
            "evicted_keys",
            "role",
            "master_replid:",
        ] {
            assert_eq!(Info::parse(&TEXT.replacen(name, "x", 1)), None, "{name}");
        }
    }
}
