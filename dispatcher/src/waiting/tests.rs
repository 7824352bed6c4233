use std::collections::{BTreeSet, HashMap, HashSet};

use hint_schema::{BatchId, HostHints};
use proptest::prelude::*;

use super::load::url_bytes;
use super::*;

const BOUNDS: Bounds = Bounds { urls: 3, bytes: 60 };

fn assignment(partition: i32, epoch: u64) -> Assignment {
    Assignment { partition, epoch }
}

/// URLs of different lengths, so that both bounds bind.
fn url(host: u8, page: u8) -> String {
    format!("https://{host}/{}", "x".repeat(usize::from(page) * 3))
}

/// A batch of these pages, by host.
fn batch(generation: u64, pages: &[(u8, u8)]) -> HintBatch {
    let mut hosts: BTreeMap<u8, HostHints> = BTreeMap::new();
    for &(host, page) in pages {
        let hints = hosts.entry(host).or_insert_with(|| HostHints {
            host: host.to_string(),
            oldest_event_ms: generation * 1_000,
            urls: Vec::new(),
        });
        hints.urls.push(url(host, page));
    }
    HintBatch {
        id: BatchId::from(u128::from(generation)),
        generation,
        created_at_ms: 0,
        hosts: hosts.into_values().collect(),
    }
}

fn waiting() -> Waiting<u64> {
    Waiting::new(BOUNDS)
}

fn admit(waiting: &mut Waiting<u64>, generation: u64, pages: &[(u8, u8)]) {
    assert_eq!(
        waiting.admit(generation, assignment(0, 1), batch(generation, pages)),
        None
    );
}

fn whole(batch: u64) -> Whole<u64> {
    let given_up = false;
    Whole { batch, given_up }
}

#[test]
fn a_batch_that_waits_alone_goes_as_it_is() {
    let mut waiting = waiting();
    admit(&mut waiting, 1, &[(7, 2), (7, 1)]);
    let load = waiting.take().unwrap();
    assert_eq!(load.urls, [url(7, 2), url(7, 1)]);
    assert_eq!((load.merged(), load.newest.generation), (0, 1));
    assert_eq!(waiting.end(&load, false), [whole(1)]);
    waiting.finish(&load.host);
    assert!(!waiting.has_ready() && waiting.hosts.is_empty());
}

#[test]
fn a_url_of_several_batches_goes_once_as_of_the_newest_and_ends_them_all() {
    let mut waiting = waiting();
    admit(&mut waiting, 1, &[(7, 1), (7, 2)]);
    admit(&mut waiting, 2, &[(7, 1)]);
    admit(&mut waiting, 3, &[(7, 1), (8, 0)]);
    let load = waiting.take().unwrap();
    assert_eq!(load.urls, [url(7, 1), url(7, 2)]);
    assert_eq!((load.hint_count(), load.merged()), (4, 2));
    assert_eq!((load.newest.generation, load.oldest_event_ms), (3, 1_000));
    assert_eq!(waiting.end(&load, false), [whole(1), whole(2)]);
    let rest = waiting.take().unwrap();
    assert_eq!(
        waiting.end(&rest, true).first().map(|whole| whole.given_up),
        Some(true)
    );
}

#[test]
fn what_comes_during_a_hosts_turn_waits_for_the_next() {
    let mut waiting = waiting();
    admit(&mut waiting, 1, &[(7, 1)]);
    let load = waiting.take().unwrap();
    admit(&mut waiting, 2, &[(7, 1)]);
    assert!(!waiting.has_ready());
    assert_eq!(waiting.end(&load, false), [whole(1)]);
    waiting.finish(&load.host);
    let again = waiting.take().unwrap();
    assert_eq!(waiting.end(&again, false), [whole(2)]);
}

#[test]
fn a_load_that_is_given_back_is_merged_with_what_came_meanwhile() {
    let mut waiting = waiting();
    admit(&mut waiting, 1, &[(7, 1)]);
    let load = waiting.take().unwrap();
    admit(&mut waiting, 2, &[(7, 1), (7, 2)]);
    let host = load.host.clone();
    assert!(waiting.give_back(load));
    assert!(!waiting.has_ready());
    waiting.wake(&host);
    waiting.wake(&host);
    let load = waiting.take().unwrap();
    assert!(!waiting.has_ready());
    assert_eq!(
        (load.urls.as_slice(), load.merged()),
        (&[url(7, 1), url(7, 2)][..], 1)
    );
    assert_eq!(waiting.end(&load, false), [whole(1), whole(2)]);
}

#[test]
fn what_is_abandoned_is_nobodys_and_a_later_assignment_begins_anew() {
    let mut waiting = waiting();
    admit(&mut waiting, 1, &[(7, 1), (8, 1)]);
    let load = waiting.take().unwrap();
    assert_eq!(waiting.abandon(assignment(0, 1)), [1]);
    assert!(!waiting.has_ready());
    let again = batch(1, &[(7, 1)]);
    assert_eq!(waiting.admit(5, assignment(0, 2), again), None);
    assert!(waiting.end(&load, false).is_empty());
    waiting.finish(&load.host);
    assert!(!waiting.give_back(load));
    let load = waiting.take().unwrap();
    assert_eq!(waiting.end(&load, false), [whole(5)]);
}

#[test]
fn a_batch_without_urls_is_whole_at_once() {
    assert_eq!(waiting().admit(4, assignment(0, 1), batch(4, &[])), Some(4));
}

#[derive(Clone, Debug)]
enum Step {
    Admit {
        partition: i32,
        pages: Vec<(u8, u8)>,
    },
    Take,
    /// Of the turns under way, this one; pages that do not leave the host's scope are accepted.
    End {
        turn: usize,
        scope: u8,
        given_up: bool,
    },
    GiveBack {
        turn: usize,
    },
    Wake,
    Abandon {
        partition: i32,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pages = prop::collection::btree_set((0..3_u8, 0..6_u8), 0..8);
    let step = prop_oneof![
        4 => (0..2, pages).prop_map(|(partition, pages)| Step::Admit {
            partition,
            pages: pages.into_iter().collect(),
        }),
        4 => Just(Step::Take),
        3 => (0..4_usize, 0..7_u8, any::<bool>()).prop_map(|(turn, scope, given_up)| Step::End {
            turn,
            scope,
            given_up,
        }),
        2 => (0..4_usize).prop_map(|turn| Step::GiveBack { turn }),
        2 => Just(Step::Wake),
        1 => (0..2).prop_map(|partition| Step::Abandon { partition }),
    ];
    prop::collection::vec(step, 0..60)
}

/// A hint by its batch, host and URL.
type HintName = (u64, HostKey, String);

/// What must be so, kept with plain sets beside the real thing.
struct Model {
    waiting: Waiting<u64>,
    epochs: [u64; 2],
    next: u64,
    /// Batches that are neither whole nor abandoned.
    open: HashMap<u64, Assignment>,
    outstanding: HashSet<HintName>,
    ended: HashMap<HintName, u32>,
    turns: Vec<Load>,
    resting: Vec<HostKey>,
}

impl Model {
    fn new() -> Self {
        Self {
            waiting: waiting(),
            epochs: [1, 1],
            next: 0,
            open: HashMap::new(),
            outstanding: HashSet::new(),
            ended: HashMap::new(),
            turns: Vec::new(),
            resting: Vec::new(),
        }
    }

    /// The hints of a load, which must name each URL that it carries.
    fn hints(load: &Load) -> Vec<HintName> {
        let urls: HashSet<usize> = load.hints.iter().map(|hint| hint.url).collect();
        assert_eq!(urls.len(), load.urls.len(), "a URL goes that nobody asked for");
        load.hints
            .iter()
            // Tickets count batches that are not empty, as `next` does.
            .map(|hint| (hint.ticket, load.host.clone(), load.urls[hint.url].clone()))
            .collect()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Admit { partition, pages } => self.admit(partition, &pages),
            Step::Take => self.take(),
            Step::End {
                turn,
                scope,
                given_up,
            } => self.end(turn, scope, given_up),
            Step::GiveBack { turn } if turn < self.turns.len() => {
                let load = self.turns.swap_remove(turn);
                self.resting.push(load.host.clone());
                let is_current = load.host.assignment.epoch
                    == self.epochs[usize::try_from(load.host.assignment.partition).unwrap()];
                assert!(self.waiting.give_back(load) || !is_current);
            }
            Step::GiveBack { .. } => {}
            Step::Wake => self.resting.drain(..).for_each(|host| self.waiting.wake(&host)),
            Step::Abandon { partition } => self.abandon(partition),
        }
        let open: BTreeSet<u64> = self.open.keys().copied().collect();
        assert_eq!(self.waiting.batches().copied().collect::<BTreeSet<_>>(), open);
    }

    fn admit(&mut self, partition: i32, pages: &[(u8, u8)]) {
        let assignment = assignment(partition, self.epochs[usize::try_from(partition).unwrap()]);
        let number = self.next;
        let hints = batch(number, pages);
        if self.waiting.admit(number, assignment, hints.clone()).is_some() {
            return assert!(pages.is_empty());
        }
        self.next += 1;
        self.open.insert(number, assignment);
        for host in hints.hosts {
            let key = HostKey {
                assignment,
                name: host.host.into(),
            };
            let name = |url| (number, key.clone(), url);
            self.outstanding.extend(host.urls.into_iter().map(name));
        }
    }

    fn take(&mut self) {
        let Some(load) = self.waiting.take() else { return };
        assert!(!load.urls.is_empty() && load.urls.len() <= BOUNDS.urls);
        let bytes = |urls: &[String]| urls.iter().map(|url| url_bytes(url)).sum::<usize>();
        assert!(bytes(&load.urls) <= BOUNDS.bytes);
        assert_eq!(load.urls.iter().collect::<HashSet<_>>().len(), load.urls.len());
        assert!(
            self.turns.iter().all(|turn| turn.host != load.host),
            "two turns at once"
        );
        // A URL that goes waits no more; what stays had no room.
        for (_, host, url) in self
            .outstanding
            .difference(&Self::hints(&load).into_iter().collect())
        {
            if *host == load.host {
                assert!(!load.urls.contains(url), "{url} goes, and waits");
                let had_room =
                    load.urls.len() < BOUNDS.urls && bytes(&load.urls) + url_bytes(url) <= BOUNDS.bytes;
                assert!(!had_room, "{url} waits though there is room");
            }
        }
        let newest = load.hints.iter().map(|hint| hint.ticket).max();
        assert_eq!(Some(load.newest.generation), newest);
        self.turns.push(load);
    }

    fn end(&mut self, turn: usize, scope: u8, given_up: bool) {
        if turn >= self.turns.len() {
            return;
        }
        let load = self.turns.swap_remove(turn);
        let key = load.host.clone();
        let (inside, outside) = load.split(|url| !url.ends_with(&"x".repeat(usize::from(scope) * 3 + 1)));
        for (part, given_up) in [(outside, true), (inside, given_up)] {
            for hint in Self::hints(&part) {
                let is_open = self.open.contains_key(&hint.0);
                assert_eq!(self.outstanding.remove(&hint), is_open, "{hint:?} ends twice");
                *self.ended.entry(hint).or_default() += 1;
            }
            for whole in self.waiting.end(&part, given_up) {
                assert!(
                    self.open.remove(&whole.batch).is_some(),
                    "{} is whole twice",
                    whole.batch
                );
                assert!(self.outstanding.iter().all(|hint| hint.0 != whole.batch));
            }
        }
        let is_left = |number: &u64| self.outstanding.iter().any(|hint| hint.0 == *number);
        assert!(
            self.open.keys().all(is_left),
            "a batch is whole and not said to be"
        );
        self.waiting.finish(&key);
    }

    fn abandon(&mut self, partition: i32) {
        let epoch = &mut self.epochs[usize::try_from(partition).unwrap()];
        let gone = assignment(partition, *epoch);
        *epoch += 1;
        for number in self.waiting.abandon(gone) {
            assert_eq!(self.open.remove(&number), Some(gone));
        }
        assert!(self.open.values().all(|assignment| *assignment != gone));
        self.outstanding.retain(|hint| hint.1.assignment != gone);
    }

    /// Lets everything end.
    fn run_dry(&mut self) {
        loop {
            self.step(Step::Wake);
            self.step(Step::Take);
            if self.turns.is_empty() {
                break;
            }
            self.step(Step::End {
                turn: 0,
                scope: 6,
                given_up: false,
            });
        }
        assert!(self.outstanding.is_empty() && self.open.is_empty());
        assert!(self.ended.values().all(|times| *times == 1));
        assert!(self.waiting.hosts.is_empty() && self.waiting.ready.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever comes in whatever order: each hint ends once, a batch is whole when its last hint has ended and
    /// never before, a request is of one host, within the bounds and as full as they allow, and a URL goes once for
    /// all batches that wait.
    #[test]
    fn every_hint_ends_once_and_a_batch_with_its_last(steps in steps()) {
        let mut model = Model::new();
        steps.into_iter().for_each(|step| model.step(step));
        model.run_dry();
    }

    #[test]
    fn hosts_have_their_turns_in_the_order_in_which_they_began_to_wait(
        batches in prop::collection::vec(prop::collection::btree_set((0..5_u8, 0..6_u8), 1..8), 1..6),
    ) {
        let mut waiting = waiting();
        let mut order = Vec::new();
        for (number, pages) in (0..).zip(batches) {
            let pages: Vec<_> = pages.into_iter().collect();
            admit(&mut waiting, number, &pages);
            for (host, _) in pages {
                if !order.contains(&host.to_string()) {
                    order.push(host.to_string());
                }
            }
        }
        let turns: Vec<_> = std::iter::from_fn(|| waiting.take()).map(|load| load.host.name.to_string()).collect();
        prop_assert_eq!(turns, order);
    }
}
