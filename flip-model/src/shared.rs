//! A part of a state that many states share: cloned by reference, hashed once.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use ahash::RandomState;

#[derive(Debug)]
struct Inner<T> {
    value: T,
    hash: OnceLock<u64>,
}

impl<T: Clone> Clone for Inner<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            hash: OnceLock::new(),
        }
    }
}

/// A value that is copied only when it changes.
#[derive(Debug)]
pub(crate) struct Shared<T>(Arc<Inner<T>>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Inner {
            value,
            hash: OnceLock::new(),
        }))
    }
}

impl<T: Clone> Shared<T> {
    /// The value to change: a copy of its own where others share it.
    pub(crate) fn change(&mut self) -> &mut T {
        let inner = Arc::make_mut(&mut self.0);
        inner.hash = OnceLock::new();
        &mut inner.value
    }
}

impl<T: Hash> Shared<T> {
    fn fingerprint(&self) -> u64 {
        // Fixed keys, so that a run can be repeated.
        let keys = RandomState::with_seeds(1, 2, 3, 4);
        *self.0.hash.get_or_init(|| keys.hash_one(&self.0.value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint());
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.value == other.0.value
    }
}
