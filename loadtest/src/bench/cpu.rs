//! CPU time of processes and of this process's own threads, from `/proc` (proc(5)).

use std::collections::BTreeMap;

use anyhow::Context;

/// What the kernel counts in: a hundredth of a second everywhere that Linux runs on these days (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of CPU that each part has used so far.
pub(super) type Usage = BTreeMap<&'static str, f64>;

/// Who is looked at, by part.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    processes: Vec<(&'static str, u32)>,
    threads: Vec<(&'static str, &'static str)>,
}

impl Meter {
    /// Adds a process to a part.
    pub(super) fn process(&mut self, part: &'static str, id: Option<u32>) {
        self.processes.extend(id.map(|id| (part, id)));
    }

    /// Adds this process's threads whose names begin so to a part.
    pub(super) fn threads(&mut self, part: &'static str, name: &'static str) {
        self.threads.push((part, name));
    }

    /// What each part has used.
    ///
    /// # Errors
    /// A process has ended.
    pub(super) fn read(&self) -> anyhow::Result<Usage> {
        let mut usage = Usage::new();
        for (part, id) in &self.processes {
            let path = format!("/proc/{id}/stat");
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading {path}: the {part} has ended"))?;
            let stat = Stat::parse(&text).with_context(|| format!("parsing {path}"))?;
            *usage.entry(part).or_default() += stat.own;
        }
        if !self.threads.is_empty() {
            for stat in own_threads() {
                let mine = self.threads.iter().find(|(_, name)| stat.name.starts_with(name));
                if let Some((part, _)) = mine {
                    *usage.entry(part).or_default() += stat.own;
                }
            }
        }
        Ok(usage)
    }
}

/// What was used between two looks.
pub(super) fn between(before: &Usage, after: &Usage) -> Usage {
    let used = |(part, seconds): (&&'static str, &f64)| {
        let earlier = before.get(part).copied().unwrap_or_default();
        (*part, (seconds - earlier).max(0.0))
    };
    after.iter().map(used).collect()
}

/// One line of `/proc/<id>/stat`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stat {
    /// The command or thread.
    pub(super) name: String,
    /// Its parent.
    pub(super) parent: u32,
    /// Seconds of CPU, in user and kernel mode.
    pub(super) own: f64,
    /// The same of children that were waited for.
    pub(super) children: f64,
}

impl Stat {
    /// Reads a line; nothing for what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // A name may hold spaces and brackets: it ends at the last one.
        let (head, rest) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / TICKS_A_SECOND);
        Some(Self {
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            own: seconds(11)? + seconds(12)?,
            children: seconds(13)? + seconds(14)?,
        })
    }
}

fn own_threads() -> Vec<Stat> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    // One that ends meanwhile is left out.
    let read = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).ok();
    tasks
        .flatten()
        .filter_map(read)
        .filter_map(|text| Stat::parse(&text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let line = "7 (a) (b c) S 3 7 7 0 -1 0 1 2 3 4 150 50 20 5 20 0 9 0 1 2 3";
        assert_eq!(
            Stat::parse(line),
            Some(Stat {
                name: "a) (b c".to_owned(),
                parent: 3,
                own: 2.0,
                children: 0.25,
            })
        );
        assert_eq!(Stat::parse("nothing"), None);
    }

    #[test]
    fn own_threads_are_told_by_name() {
        let (begin, begun) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("busy-bee".to_owned());
        // It has its name once it runs.
        let thread = thread.spawn(move || {
            begin.send(()).unwrap();
            ended.recv()
        });
        begun.recv().unwrap();
        assert!(own_threads().iter().any(|stat| stat.name == "busy-bee"));
        drop(end);
        assert!(thread.unwrap().join().unwrap().is_err());
    }

    #[test]
    fn usage_is_what_came_in_between() {
        let before = Usage::from([("ingestor", 1.0)]);
        let after = Usage::from([("ingestor", 3.0), ("flipper", 0.5)]);
        assert_eq!(
            between(&before, &after),
            Usage::from([("ingestor", 2.0), ("flipper", 0.5)])
        );
    }
}
