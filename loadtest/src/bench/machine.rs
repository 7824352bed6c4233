//! How much of the machine other programs take while something is measured.

use std::collections::HashMap;

use anyhow::Context;

use super::cpu::Stat;
use super::number::float;

/// The machine at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Ticks of all processors, idle ones included.
    all: u64,
    /// Ticks in which some program worked, or the hypervisor had the processor.
    busy: u64,
    /// Ticks of this process and all that it started.
    own: f64,
}

impl Look {
    /// Looks.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub(super) fn now() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        let (all, busy) = ticks(&text).context("parsing /proc/stat")?;
        Ok(Self {
            all,
            busy,
            own: own_ticks(&processes(), std::process::id()),
        })
    }

    /// The share of the machine that others have taken since `self`, 0 to 1; looks again.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub(super) fn disturbance(self) -> anyhow::Result<f64> {
        Ok(self.until(Self::now()?))
    }

    fn until(self, later: Self) -> f64 {
        let all = float(later.all.saturating_sub(self.all));
        let busy = float(later.busy.saturating_sub(self.busy));
        if all == 0.0 {
            return 0.0;
        }
        ((busy - (later.own - self.own)) / all).clamp(0.0, 1.0)
    }
}

/// All ticks and those in which somebody worked, from the first line of `/proc/stat`.
fn ticks(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; guests are in user already.
    let all = fields.get(..8)?.iter().sum();
    let idle: u64 = fields.get(3..5)?.iter().sum();
    Some((all, all - idle))
}

/// Every process by its number.
fn processes() -> HashMap<u32, Stat> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return HashMap::new();
    };
    let read = |entry: std::fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((id, Stat::parse(&text)?))
    };
    entries.flatten().filter_map(read).collect()
}

/// Ticks of a process and all that it started, those that have ended included.
fn own_ticks(processes: &HashMap<u32, Stat>, root: u32) -> f64 {
    let is_ours = |id: u32| {
        let mut at = id;
        // A parent may have changed between two reads: no chain is longer than there are processes.
        for _ in 0..processes.len() {
            if at == root {
                return true;
            }
            match processes.get(&at) {
                Some(stat) => at = stat.parent,
                None => return false,
            }
        }
        false
    };
    let ours = processes.iter().filter(|(id, _)| is_ours(**id));
    100.0 * ours.map(|(_, stat)| stat.own + stat.children).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(parent: u32, own: f64, children: f64) -> Stat {
        Stat {
            name: String::new(),
            parent,
            own,
            children,
        }
    }

    #[test]
    fn ticks_are_read_as_the_kernel_writes_them() {
        let text = "cpu  100 0 50 800 20 0 10 20 0 0\ncpu0 1 2 3\n";
        assert_eq!(ticks(text), Some((1_000, 180)));
        assert_eq!(ticks("intr 1 2 3\n"), None);
    }

    #[test]
    fn what_we_started_is_ours_and_nothing_else() {
        let processes = HashMap::from([
            (1, stat(0, 9.0, 9.0)),
            (10, stat(1, 1.0, 0.5)),
            (11, stat(10, 2.0, 0.0)),
            (12, stat(11, 3.0, 0.0)),
            (20, stat(1, 7.0, 0.0)),
        ]);
        assert!((own_ticks(&processes, 10) - 650.0).abs() < 1e-9);
    }

    #[test]
    fn others_are_what_is_left_of_the_busy_time() {
        let before = Look {
            all: 0,
            busy: 0,
            own: 0.0,
        };
        let after = Look {
            all: 1_000,
            busy: 700,
            own: 300.0,
        };
        assert!((before.until(after) - 0.4).abs() < 1e-9);
        let alone = Look {
            all: 1_000,
            busy: 300,
            own: 301.0,
        };
        assert_eq!(before.until(alone), 0.0);
    }
}
