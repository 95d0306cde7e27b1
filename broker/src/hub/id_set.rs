//! Sets of small numbers: the subscribers of a channel, the channels of a subscriber.

use std::{
    collections::{HashMap, hash_map::Entry},
    slice,
};

use ahash::RandomState;

/// Up to this many, looking at each is as fast as a table and takes less memory.
const FEW_MAX: usize = 16;

/// A set of numbers below 2^32 that lies in one slice, so that a fan-out walks over it. Most channels have one
/// subscriber or a handful, and most subscribers a handful of channels: those take no table, and one takes no
/// allocation.
#[derive(Debug)]
pub(super) enum IdSet {
    One(u32),
    Few(Vec<u32>),
    Many(Box<Many>),
}

#[derive(Debug)]
pub(super) struct Many {
    ids: Vec<u32>,
    /// Where each is in the slice.
    places: HashMap<u32, u32, RandomState>,
}

impl Default for IdSet {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl IdSet {
    /// All of them, in no particular order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator {
        self.as_slice().iter().map(|id| *id as usize)
    }

    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(id) => slice::from_ref(id),
            Self::Few(ids) => ids,
            Self::Many(many) => &many.ids,
        }
    }

    pub(super) fn contains(&self, id: usize) -> bool {
        match self {
            Self::Many(many) => many.places.contains_key(&(id as u32)),
            _ => self.as_slice().contains(&(id as u32)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Adds a number. False when it was there.
    pub(super) fn insert(&mut self, id: usize, hasher: &RandomState) -> bool {
        let id = id as u32;
        match self {
            Self::Many(many) => {
                let Entry::Vacant(place) = many.places.entry(id) else { return false };
                place.insert(many.ids.len() as u32);
                many.ids.push(id);
            }
            _ if self.as_slice().contains(&id) => return false,
            Self::Few(ids) if ids.is_empty() => *self = Self::One(id),
            Self::One(first) => *self = Self::Few(vec![*first, id]),
            Self::Few(ids) => {
                ids.push(id);
                if ids.len() > FEW_MAX {
                    let ids = std::mem::take(ids);
                    let mut places = HashMap::with_hasher(hasher.clone());
                    places.extend((0..).zip(&ids).map(|(place, id)| (*id, place)));
                    *self = Self::Many(Box::new(Many { ids, places }));
                }
            }
        }
        true
    }

    /// Removes a number. False when it was not there.
    pub(super) fn remove(&mut self, id: usize) -> bool {
        let id = id as u32;
        match self {
            Self::One(only) if *only == id => *self = Self::default(),
            Self::One(_) => return false,
            Self::Few(ids) => {
                let Some(place) = ids.iter().position(|other| *other == id) else { return false };
                ids.swap_remove(place);
                if let [last] = ids[..] {
                    *self = Self::One(last);
                }
            }
            Self::Many(many) => {
                let Some(place) = many.places.remove(&id) else { return false };
                many.ids.swap_remove(place as usize);
                if let Some(moved) = many.ids.get(place as usize) {
                    many.places.insert(*moved, place);
                }
                // Half of the bound: one that comes and goes must not build the table each time.
                if many.ids.len() <= FEW_MAX / 2 {
                    let mut ids = std::mem::take(&mut many.ids);
                    ids.shrink_to_fit();
                    *self = Self::Few(ids);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0_usize..40), 0..400)) {
            let (mut ids, mut expected) = (IdSet::default(), BTreeSet::new());
            let hasher = RandomState::with_seeds(1, 2, 3, 4);
            for (is_added, id) in steps {
                if is_added {
                    prop_assert_eq!(ids.insert(id, &hasher), expected.insert(id));
                } else {
                    prop_assert_eq!(ids.remove(id), expected.remove(&id));
                }
                prop_assert_eq!(ids.contains(id), expected.contains(&id));
                prop_assert_eq!(ids.len(), expected.len());
                prop_assert_eq!(ids.is_empty(), expected.is_empty());
                prop_assert_eq!(&ids.iter().collect::<BTreeSet<_>>(), &expected);
            }
        }
    }

    #[test]
    fn a_channel_with_one_subscriber_takes_three_words() {
        assert_eq!(size_of::<IdSet>(), 3 * size_of::<usize>());
    }
}
