//! What a partner accepted, a line a request.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::check::Request;

/// One accepted request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Whose pages.
    pub host: String,
    /// Which.
    pub urls: Vec<String>,
}

#[derive(Serialize)]
struct DeliveryRef<'a> {
    host: &'a str,
    urls: &'a [String],
}

/// The log of one partner. A line is written at once: an audit may read the log of a partner that goes on.
#[derive(Debug)]
pub(super) struct PartnerLog {
    file: File,
    path: PathBuf,
}

impl PartnerLog {
    pub(super) fn create(dir: &Path, partner: &str) -> anyhow::Result<Self> {
        let path = path(dir, partner);
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { file, path })
    }

    pub(super) fn append(&mut self, request: &Request) -> anyhow::Result<()> {
        let line = DeliveryRef {
            host: &request.host,
            urls: &request.url_list,
        };
        let mut line = serde_json::to_vec(&line).context("encoding an accepted request")?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Shows every request that a partner accepted. What follows the last line's end is still being written: that request
/// has not been answered yet.
///
/// # Errors
/// The log cannot be read.
pub fn read_log(dir: &Path, partner: &str, mut see: impl FnMut(Delivery)) -> anyhow::Result<()> {
    let path = path(dir, partner);
    let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let mut log = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        log.read_until(b'\n', &mut line)
            .with_context(|| format!("reading {}", path.display()))?;
        let Some(line) = line.strip_suffix(b"\n") else {
            return Ok(());
        };
        see(serde_json::from_slice(line).with_context(|| format!("reading {}", path.display()))?);
    }
}

fn path(dir: &Path, partner: &str) -> PathBuf {
    dir.join(format!("{partner}.jsonl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(dir: &Path) -> Vec<String> {
        let mut hosts = Vec::new();
        read_log(dir, "north", |delivery| hosts.push(delivery.host)).unwrap();
        hosts
    }

    #[test]
    fn an_accepted_request_can_be_read_at_once_and_one_that_is_being_written_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = PartnerLog::create(dir.path(), "north").unwrap();
        let mut accept = |host: &str| {
            let body = serde_json::json!({"host": host, "key": "k", "urlList": []}).to_string();
            log.append(&serde_json::from_str(&body).unwrap()).unwrap();
        };
        accept("a.example");
        accept("b.example");
        assert_eq!(hosts(dir.path()), ["a.example", "b.example"]);

        let mut file = File::options()
            .append(true)
            .open(path(dir.path(), "north"))
            .unwrap();
        file.write_all(br#"{"host":"c.exam"#).unwrap();
        assert_eq!(hosts(dir.path()), ["a.example", "b.example"]);
    }
}
