//! `corpus unpack <directory>` writes every target's inputs below the directory; `corpus pack <directory>` keeps
//! those that stand there.

use std::path::PathBuf;

use anyhow::bail;
use fuzz::{TARGETS, corpus};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(verb), Some(directory)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        bail!("expected: corpus unpack|pack <directory>");
    };
    for target in &TARGETS {
        let inputs = directory.join(target.name);
        match verb.as_str() {
            "unpack" => corpus::unpack(target, &inputs)?,
            "pack" => corpus::pack(target, &inputs)?,
            _ => bail!("there is no verb {verb:?}, expected unpack or pack"),
        }
    }
    Ok(())
}
