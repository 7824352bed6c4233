//! What the polling thread, the callbacks it runs and the tasks that hold a `Consumer` share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rdkafka::consumer::BaseConsumer;

use super::{ConsumerOptions, buffer::Buffer, context::Callbacks, lag::End};
use crate::{
    clock::BootInstant,
    ledger::{Ledger, Span, View},
    metrics::GroupMetrics,
};

/// The state behind one lock. It is taken a batch, a commit or a question at a time, never a record.
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) ends: BTreeMap<i32, End>,
    /// Reasons not to hand records out.
    pub(super) pauses: BTreeSet<&'static str>,
    /// No progress is expected until then.
    pub(super) excused_until: Option<Instant>,
    /// Partitions whose statistics stand still because they are paused.
    pub(super) paused: BTreeSet<i32>,
    /// Whether the group has let this process in, partitions or not.
    pub(super) joined: bool,
    /// Set once the consumer is to end: nothing begins any more.
    closing: bool,
}

impl State {
    /// Whether no progress is expected of any partition.
    pub(super) fn is_excused(&self) -> bool {
        !self.pauses.is_empty() || self.excused_until.is_some_and(|until| Instant::now() < until)
    }
}

pub(super) struct Shared {
    pub(super) options: ConsumerOptions,
    pub(super) metrics: GroupMetrics,
    pub(super) buffer: Arc<Buffer>,
    state: Mutex<State>,
    /// Signalled when a begun span ends.
    ended: Condvar,
    /// Counts the changes of assignment and epochs, so that the polling thread sees one without the lock.
    version: AtomicU64,
    stop: AtomicBool,
    /// When the polling thread last went round, nanoseconds since the machine's start.
    turned: AtomicU64,
    /// The client, for questions that may block; the polling thread owns it.
    client: Mutex<Weak<BaseConsumer<Callbacks>>>,
}

impl Shared {
    pub(super) fn new(options: ConsumerOptions, metrics: GroupMetrics) -> Self {
        let buffer = Arc::new(Buffer::new(
            options.buffer_max_bytes,
            metrics.bus().buffer_bytes(),
            Some(metrics.bus().buffer_records()),
        ));
        let state = State {
            ledger: Ledger::default(),
            ends: BTreeMap::new(),
            pauses: BTreeSet::new(),
            excused_until: None,
            paused: BTreeSet::new(),
            joined: false,
            closing: false,
        };
        Self {
            options,
            metrics,
            buffer,
            state: Mutex::new(state),
            ended: Condvar::new(),
            version: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            turned: AtomicU64::new(BootInstant::now().as_nanos()),
            client: Mutex::new(Weak::new()),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Makes a change of assignment or epochs that the polling thread must follow.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        // Under the lock, so that a thread that sees the version also sees the change.
        self.version.fetch_add(1, Ordering::Release);
        drop(state);
        self.ended.notify_all();
        result
    }

    /// The partitions as they are, and the version that this is.
    pub(super) fn views(&self) -> (u64, Vec<View>) {
        let state = self.lock();
        (self.version(), state.ledger.views())
    }

    pub(super) fn begin(&self, span: &Span) -> bool {
        let mut state = self.lock();
        !state.closing && state.ledger.begin(span)
    }

    pub(super) fn complete(&self, span: &Span) {
        if self.lock().ledger.complete(span) {
            self.metrics.consumed(u64::from(span.records));
            self.ended.notify_all();
        }
    }

    pub(super) fn forget(&self, span: &Span) {
        self.lock().ledger.forget(span);
        self.ended.notify_all();
    }

    /// Waits until nothing of these partitions is begun any more, or the time is over.
    pub(super) fn wait_for_begun(&self, partitions: &[i32], grace: Duration) {
        let deadline = Instant::now() + grace;
        let mut state = self.lock();
        while state.ledger.has_begun(partitions) {
            if self.ended.wait_until(&mut state, deadline).timed_out() {
                tracing::warn!(
                    ?partitions,
                    ?grace,
                    "work in flight did not end in time and will be repeated"
                );
                return;
            }
        }
    }

    /// Ends the consumer: nothing begins any more, and the polling thread leaves the group.
    pub(super) fn stop(&self) {
        self.lock().closing = true;
        self.stop.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Says that the polling thread goes round.
    pub(super) fn turn(&self) {
        self.turned
            .store(BootInstant::now().as_nanos(), Ordering::Release);
    }

    pub(super) fn turned(&self) -> BootInstant {
        BootInstant::from_nanos(self.turned.load(Ordering::Acquire))
    }

    pub(super) fn set_client(&self, client: &Arc<BaseConsumer<Callbacks>>) {
        *self.client.lock() = Arc::downgrade(client);
    }

    pub(super) fn clear_client(&self) {
        *self.client.lock() = Weak::new();
    }

    /// The client, while its thread runs.
    pub(super) fn client(&self) -> Option<Arc<BaseConsumer<Callbacks>>> {
        self.client.lock().upgrade()
    }
}
