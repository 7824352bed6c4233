//! The kept inputs: a file a target, an input a line, in hex.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context;

use crate::Target;

/// Inputs that `cargo fuzz cmin` found to be enough to reach everything that was ever reached, and those that
/// once broke a property.
///
/// # Errors
/// The file is missing or holds something else than hex.
pub fn kept(target: &Target) -> anyhow::Result<Vec<Vec<u8>>> {
    let file = file_of(target);
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let inputs: Result<_, _> = text.lines().map(hex::decode).collect();
    inputs.with_context(|| format!("reading {}", file.display()))
}

/// Writes a target's kept inputs and its seeds into a directory, a file each, as libFuzzer wants them.
///
/// # Errors
/// The kept inputs cannot be read or the directory not be written.
pub fn unpack(target: &Target, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let inputs = kept(target)?.into_iter().chain((target.seeds)());
    for (index, input) in inputs.enumerate() {
        fs::write(directory.join(format!("kept-{index:04}")), input)?;
    }
    Ok(())
}

/// Keeps what stands in a directory, and nothing else.
///
/// # Errors
/// The directory cannot be read or the file not be written.
pub fn pack(target: &Target, directory: &Path) -> anyhow::Result<()> {
    let entries: Result<Vec<_>, io::Error> = fs::read_dir(directory)?
        .map(|entry| fs::read(entry?.path()))
        .collect();
    let mut inputs = entries.with_context(|| format!("reading {}", directory.display()))?;
    inputs.sort_by(|left, right| (left.len(), left).cmp(&(right.len(), right)));
    inputs.dedup();
    let lines: String = inputs.iter().map(|input| hex::encode(input) + "\n").collect();
    Ok(fs::write(file_of(target), lines)?)
}

fn file_of(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/{}.hex", target.name))
}
