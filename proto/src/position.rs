//! Positions: which messages a subscriber has seen, so that it can go on from there at another node.
//!
//! Each incarnation of a node is an *origin* and numbers the messages that are published at it, from 1. What clients send
//! and get of this is told in `broker/src/server/POSITIONS.md`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use bytes::Bytes;

/// One incarnation of a node, which numbers the messages that are published at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The node.
    pub node: u64,
    /// Its incarnation.
    pub incarnation: u64,
}

/// The number of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Where it was published.
    pub origin: Origin,
    /// Which message of that origin it is.
    pub number: u64,
}

/// How far a node or a subscriber is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The view in which this was so. Of an origin that is not in the list, and was in a view before, there is nothing
    /// more to come.
    pub epoch: u64,
    /// The last message of each origin.
    pub seen: Vec<Stamp>,
}

/// Messages that cannot be had any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where they were published.
    pub origin: Origin,
    /// The first of them.
    pub first: u64,
    /// The last of them; `None` if nobody knows.
    pub last: Option<u64>,
}

/// Where reading recent messages has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// As in [`Position`].
    pub epoch: u64,
    /// The next message of each origin.
    pub next: BTreeMap<Origin, u64>,
}

/// Some recent messages, in the order in which they came to the node.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// What is missing before them.
    pub gaps: Vec<Gap>,
    /// The messages, as nodes send them to each other.
    pub frames: Vec<(Stamp, Bytes)>,
    /// How far the node is, if there is nothing behind these.
    pub end: Option<Position>,
    /// The node is not in the cursor's view yet, and cannot say anything: it would take for new, later, what the cursor
    /// is behind already. Nothing else is told.
    pub is_early: bool,
}

impl From<Position> for Cursor {
    fn from(position: Position) -> Self {
        let next = position.seen.iter().map(|stamp| (stamp.origin, stamp.number.saturating_add(1)));
        Self { epoch: position.epoch, next: next.collect() }
    }
}

/// To clients it is a word without meaning.
impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{:016x}", self.node, self.incarnation)
    }
}

/// Text that no node has given as an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an origin; it is written as it was received")]
pub struct OriginError;

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (node, incarnation) = text.split_once('-').ok_or(OriginError)?;
        let origin = Self {
            node: node.parse().map_err(|_| OriginError)?,
            incarnation: u64::from_str_radix(incarnation, 16).map_err(|_| OriginError)?,
        };
        // What is written otherwise would be another word for the same origin.
        if origin.to_string() == text { Ok(origin) } else { Err(OriginError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_it_is_written_and_in_no_other_way() {
        let origin = Origin { node: 12, incarnation: u64::MAX - 1 };
        assert_eq!(origin.to_string().parse(), Ok(origin));
        for text in ["", "-", "12", "12-", "12-ffff", "+12-000000000000ffff", "x-0000000000000001"] {
            assert_eq!(text.parse::<Origin>(), Err(OriginError), "{text}");
        }
    }
}
