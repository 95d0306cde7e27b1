//! What lies between two stars of a pattern, found anywhere in a name.

use memchr::memmem;

use super::Step;

/// Up to this many steps, trying each place costs no more than preparing a better way.
const SHORT_STEPS_MAX: usize = 16;

/// Positions of a segment that fit into one word.
const WORD_BITS: usize = 64;

/// One segment. Finding it takes time in proportion to the name, whatever the name and the segment are: a pattern made
/// for the purpose must not keep a shard busy.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    /// Nothing but bytes as they are: found by the two-way algorithm.
    Literal(Box<memmem::Finder<'static>>),
    /// At most [`SHORT_STEPS_MAX`] steps.
    Short(Box<[Step]>),
    /// More steps, found by shift-and (Baeza-Yates and Gonnet, 1992), 64 positions at a time.
    Long(Box<[Step]>),
}

impl Segment {
    pub(super) fn new(steps: &[Step]) -> Self {
        let literal: Option<Vec<u8>> = steps.iter().map(Step::literal).collect();
        match literal {
            Some(bytes) => Self::Literal(Box::new(memmem::Finder::new(&bytes).into_owned())),
            None if steps.len() <= SHORT_STEPS_MAX => Self::Short(steps.into()),
            None => Self::Long(steps.into()),
        }
    }

    /// What is left of `name` behind the first place where the segment matches.
    pub(super) fn find<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let end = match self {
            Self::Literal(finder) => finder.find(name)? + finder.needle().len(),
            Self::Short(steps) => {
                let accepts = |place: &[u8]| steps.iter().zip(place).all(|(step, byte)| step.accepts(*byte));
                name.windows(steps.len()).position(accepts)? + steps.len()
            }
            Self::Long(steps) => end_of_first(steps, name)?,
        };
        Some(&name[end..])
    }
}

/// Where the first match ends.
fn end_of_first(steps: &[Step], name: &[u8]) -> Option<usize> {
    let words = steps.len().div_ceil(WORD_BITS);
    let last = 1 << ((steps.len() - 1) % WORD_BITS);
    // For each byte that occurs, the steps that accept it, one bit each.
    let mut accepted: Vec<Option<Box<[u64]>>> = vec![None; 256];
    // The steps up to which the name, as far as it has been read, matches.
    let mut reached = vec![0_u64; words];
    for (at, &byte) in name.iter().enumerate() {
        let mask = accepted[usize::from(byte)].get_or_insert_with(|| positions(steps, byte, words));
        let mut carry = 1;
        for (word, mask) in reached.iter_mut().zip(&**mask) {
            let next = *word >> (WORD_BITS - 1);
            *word = (*word << 1 | carry) & mask;
            carry = next;
        }
        if reached[words - 1] & last != 0 {
            return Some(at + 1);
        }
    }
    None
}

fn positions(steps: &[Step], byte: u8, words: usize) -> Box<[u64]> {
    let mut bits = vec![0; words];
    for (at, _) in steps.iter().enumerate().filter(|(_, step)| step.accepts(byte)) {
        bits[at / WORD_BITS] |= 1 << (at % WORD_BITS);
    }
    bits.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![4 => Just(Step::Byte(b'a')), 1 => Just(Step::Byte(b'b')), 2 => Just(Step::AnyByte)]
    }

    proptest! {
        #[test]
        fn every_way_finds_the_first_place(
            steps in prop::collection::vec(step(), 1..140),
            before in "[ab]{0,90}",
            ending in "[ab]{0,9}",
        ) {
            let fitting: Vec<u8> = steps.iter().map(|step| step.literal().unwrap_or(b'a')).collect();
            let name = [before.as_bytes(), &fitting, ending.as_bytes()].concat();
            let tried = name
                .windows(steps.len())
                .position(|place| steps.iter().zip(place).all(|(step, byte)| step.accepts(*byte)))
                .map(|start| &name[start + steps.len()..]);
            prop_assert_eq!(Segment::new(&steps).find(&name), tried);
            prop_assert_eq!(Segment::Long(steps.clone().into()).find(&name), tried);
            prop_assert_eq!(Segment::new(&steps).find(&name[..steps.len() - 1]), None);
        }
    }
}
