//! The subscribers of one channel.

use std::{collections::HashMap, slice};

use ahash::RandomState;

use super::Seat;

/// Up to this many seats, looking at each is as fast as a table and takes less memory.
const FEW_MAX: usize = 16;

/// A set of seats that lies in one slice, so that a fan-out walks over it. Most channels of most applications have
/// one subscriber or a handful: those take no table, and one takes no allocation.
#[derive(Debug)]
pub(super) enum Seats {
    One(u32),
    Few(Vec<u32>),
    Many(Box<Many>),
}

#[derive(Debug)]
pub(super) struct Many {
    seats: Vec<u32>,
    /// Where each seat is in the slice.
    places: HashMap<u32, u32, RandomState>,
}

impl Default for Seats {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Seats {
    /// Every seat, in no particular order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Seat> {
        self.as_slice().iter().map(|seat| *seat as Seat)
    }

    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(seat) => slice::from_ref(seat),
            Self::Few(seats) => seats,
            Self::Many(many) => &many.seats,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Adds a seat that is not there yet.
    pub(super) fn add(&mut self, seat: Seat, hasher: &RandomState) {
        let seat = seat as u32;
        match self {
            Self::Few(seats) if seats.is_empty() => *self = Self::One(seat),
            Self::One(first) => *self = Self::Few(vec![*first, seat]),
            Self::Few(seats) if seats.len() < FEW_MAX => seats.push(seat),
            Self::Few(seats) => {
                let mut seats = std::mem::take(seats);
                seats.push(seat);
                let mut places = HashMap::with_hasher(hasher.clone());
                places.extend((0..).zip(&seats).map(|(place, seat)| (*seat, place)));
                *self = Self::Many(Box::new(Many { seats, places }));
            }
            Self::Many(many) => {
                many.places.insert(seat, many.seats.len() as u32);
                many.seats.push(seat);
            }
        }
    }

    /// Removes a seat, if it is there.
    pub(super) fn remove(&mut self, seat: Seat) {
        let seat = seat as u32;
        match self {
            Self::One(only) if *only == seat => *self = Self::default(),
            Self::One(_) => {}
            Self::Few(seats) => {
                if let Some(place) = seats.iter().position(|other| *other == seat) {
                    seats.swap_remove(place);
                }
                if let [last] = seats[..] {
                    *self = Self::One(last);
                }
            }
            Self::Many(many) => {
                let Some(place) = many.places.remove(&seat) else { return };
                many.seats.swap_remove(place as usize);
                if let Some(moved) = many.seats.get(place as usize) {
                    many.places.insert(*moved, place);
                }
                // Half of the bound: one that comes and goes must not build the table each time.
                if many.seats.len() <= FEW_MAX / 2 {
                    let mut seats = std::mem::take(&mut many.seats);
                    seats.shrink_to_fit();
                    *self = Self::Few(seats);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn seats_are_a_set(steps in prop::collection::vec((any::<bool>(), 0_usize..40), 0..400)) {
            let (mut seats, mut expected) = (Seats::default(), BTreeSet::new());
            let hasher = RandomState::with_seeds(1, 2, 3, 4);
            for (is_added, seat) in steps {
                if is_added && expected.insert(seat) {
                    seats.add(seat, &hasher);
                } else if !is_added {
                    expected.remove(&seat);
                    seats.remove(seat);
                }
                prop_assert_eq!(seats.len(), expected.len());
                prop_assert_eq!(seats.is_empty(), expected.is_empty());
                prop_assert_eq!(&seats.iter().collect::<BTreeSet<_>>(), &expected);
            }
        }
    }

    #[test]
    fn a_channel_with_one_subscriber_takes_three_words() {
        assert_eq!(size_of::<Seats>(), 3 * size_of::<usize>());
    }
}
