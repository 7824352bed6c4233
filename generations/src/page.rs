//! Keys of one slot as they were read.

use crate::answer::Strings;
use crate::value::AgeValue;

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageKey<'a> {
    /// Its name, to be parsed with [`crate::Name::parse`].
    pub name: &'a [u8],
    /// Its age; `None` where the value is not one.
    pub value: Option<AgeValue>,
}

/// Keys that were read together.
#[derive(Clone, Debug, Default)]
pub struct Page {
    listed: Strings,
    /// What was read of each listed name, in order.
    values: Vec<Read>,
}

/// What was read of a listed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Vanished since it was listed, or between two nodes.
    Gone,
    Key(Option<AgeValue>),
}

impl Page {
    /// Every name is there.
    pub(crate) fn new(listed: Strings, values: Vec<Read>) -> Self {
        Self { listed, values }
    }

    /// The keys, each once.
    pub fn iter(&self) -> impl Iterator<Item = PageKey<'_>> {
        let read = self.listed.iter().zip(&self.values);
        read.filter_map(|(name, read)| match *read {
            Read::Gone => None,
            Read::Key(value) => Some(PageKey { name: name?, value }),
        })
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Read {
    pub(crate) fn of(value: Option<&[u8]>) -> Self {
        value.map_or(Self::Gone, |value| Self::Key(AgeValue::parse(value)))
    }
}

/// Keys as a test has them.
impl<'a> FromIterator<PageKey<'a>> for Page {
    fn from_iter<I: IntoIterator<Item = PageKey<'a>>>(keys: I) -> Self {
        let (names, values): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .map(|key| (key.name, Read::Key(key.value)))
            .unzip();
        Self::new(names.into_iter().collect(), values)
    }
}
