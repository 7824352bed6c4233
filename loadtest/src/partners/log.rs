//! What a partner accepted, a line a request.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
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

/// The log of one partner.
#[derive(Debug)]
pub(super) struct PartnerLog {
    file: BufWriter<File>,
    path: PathBuf,
}

impl PartnerLog {
    pub(super) fn create(dir: &Path, partner: &str) -> anyhow::Result<Self> {
        let path = path(dir, partner);
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        Ok(Self {
            file: BufWriter::new(file),
            path,
        })
    }

    pub(super) fn append(&mut self, request: &Request) -> anyhow::Result<()> {
        let line = DeliveryRef {
            host: &request.host,
            urls: &request.url_list,
        };
        serde_json::to_writer(&mut self.file, &line)
            .with_context(|| format!("writing {}", self.path.display()))?;
        self.file
            .write_all(b"\n")
            .with_context(|| format!("writing {}", self.path.display()))
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.file
            .flush()
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Shows every request that a partner accepted.
///
/// # Errors
/// The log cannot be read.
pub fn read_log(dir: &Path, partner: &str, mut see: impl FnMut(Delivery)) -> anyhow::Result<()> {
    let path = path(dir, partner);
    let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("reading {}", path.display()))?;
        see(serde_json::from_str(&line).with_context(|| format!("reading {}", path.display()))?);
    }
    Ok(())
}

fn path(dir: &Path, partner: &str) -> PathBuf {
    dir.join(format!("{partner}.jsonl"))
}
