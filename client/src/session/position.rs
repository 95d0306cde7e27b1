//! What a client has seen, by the numbers of the servers.

use std::collections::HashMap;

use bytes::Bytes;

use crate::message::{Position, Stamp};

/// The last message that was seen of each origin.
#[derive(Debug, Default)]
pub(super) struct Seen {
    epoch: i64,
    last: HashMap<Bytes, i64>,
}

impl Seen {
    /// Notes a message. False if it was seen before: two servers may differ in how far they are.
    pub(super) fn note(&mut self, stamp: &Stamp) -> bool {
        match self.last.get_mut(&stamp.origin) {
            Some(last) if stamp.number <= *last => return false,
            Some(last) => *last = stamp.number,
            None => {
                self.last.insert(stamp.origin.clone(), stamp.number);
            }
        }
        true
    }

    /// Takes what a server says of how far it is. What it does not name any more has come to its end.
    pub(super) fn take(&mut self, position: Position) {
        let before = std::mem::take(&mut self.last);
        self.epoch = position.epoch;
        self.last = position
            .seen
            .into_iter()
            .map(|stamp| {
                let last = before.get(&stamp.origin).copied().unwrap_or_default();
                (stamp.origin, stamp.number.max(last))
            })
            .collect();
    }

    /// Whether there is anything to go on from.
    pub(super) fn is_known(&self) -> bool {
        !self.last.is_empty()
    }

    /// The words of CARILLON SUBSCRIBE that say it.
    pub(super) fn words(&self, words: &mut Vec<Bytes>) {
        let number = |number: i64| Bytes::from(number.to_string());
        words.extend([Bytes::from_static(b"POSITION"), number(self.epoch), number(self.last.len() as i64)]);
        for (origin, last) in &self.last {
            words.extend([origin.clone(), number(*last)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(origin: &'static str, number: i64) -> Stamp {
        Stamp { origin: origin.into(), number }
    }

    #[test]
    fn nothing_is_seen_twice_and_what_is_not_named_any_more_is_forgotten() {
        let mut seen = Seen::default();
        assert!(!seen.is_known());
        assert!(seen.note(&stamp("1-a", 5)) && !seen.note(&stamp("1-a", 5)) && !seen.note(&stamp("1-a", 4)));
        assert!(seen.note(&stamp("2-b", 1)));
        // Another server is not as far with one of them.
        seen.take(Position { epoch: 7, seen: vec![stamp("1-a", 3), stamp("3-c", 0)] });
        assert!(!seen.note(&stamp("1-a", 5)) && seen.note(&stamp("1-a", 6)) && seen.note(&stamp("3-c", 1)));
        assert_eq!((seen.epoch, seen.last.len()), (7, 2));
        seen.take(Position { epoch: 8, seen: vec![stamp("3-c", 1)] });
        let mut words = Vec::new();
        seen.words(&mut words);
        assert_eq!(words, ["POSITION", "8", "1", "3-c", "1"]);
    }
}
