//! Recent messages for clients that come back, from the rings that are there for the nodes' own sake.
//!
//! A client says of each origin what it has seen last, and in which view its node was then. An origin that it does not
//! name came into a view after that one, so that it has seen nothing of it; or it had left by then, and there was nothing
//! more to come of it. Which of both is known from the first view in which this node has seen the origin: incarnations
//! never come back.

use std::collections::BTreeMap;

use bytes::Bytes;
use carillon_proto::position::{Cursor, Gap, Origin, Position, Recent, Stamp};

use super::{End, Local, Plane, State, alone, origin};
use crate::mesh::{Inbound, Ring};

/// Messages that are given at a time, so that a client that was away for long does not hold the others up.
const FRAMES_MAX: usize = 1024;

/// Bytes of these, about.
const BYTES_MAX: usize = 1024 * 1024;

impl<T> State<T> {
    /// What is held of each origin, and the first view in which it was seen.
    fn rings(&self) -> BTreeMap<Origin, (&Ring, u64)> {
        // Of what was listened to before a fence, nobody knows how it went on.
        let departed = self.departed.iter().filter(|(_, departed)| departed.end != End::Unknown);
        let departed = departed.map(|(key, departed)| (key, &departed.inbound, departed.seen_since));
        let present = self.origins.iter().map(|(key, origin)| (key, &origin.inbound, origin.seen_since));
        let others = departed.chain(present);
        let held = others
            .filter_map(|(key, inbound, since)| Some((origin(*key), (inbound.as_ref()?.ring(), since))));
        let own = (origin((self.node, self.incarnation)), (self.outbound.ring(), self.in_since));
        held.chain([own]).collect()
    }

    /// How far this node is with each origin of which more may come.
    fn position(&self) -> Position {
        let departed = self.departed.iter().filter(|(_, departed)| departed.end == End::Asked);
        let departed = departed.map(|(key, departed)| (key, &departed.inbound));
        let present = self.origins.iter().map(|(key, origin)| (key, &origin.inbound));
        let others = departed
            .chain(present)
            .filter_map(|(key, inbound)| Some((origin(*key), inbound.as_ref().map(Inbound::last)?)));
        let own = (origin((self.node, self.incarnation)), self.outbound.last());
        let last: BTreeMap<Origin, u64> = others.chain([own]).collect();
        let seen = last.into_iter().map(|(origin, number)| Stamp { origin, number });
        Position { epoch: self.view.epoch, seen: seen.collect() }
    }
}

impl<L: Local> Plane<L> {
    /// How far this node is.
    pub fn position(&self) -> Position {
        self.state.borrow().position()
    }

    /// Tells the clients that get their messages with numbers, if there is something new.
    pub(super) fn tell_position(&self) {
        if !self.local.wants_numbers() {
            return;
        }
        let position = {
            let mut state = self.state.borrow_mut();
            let position = state.position();
            if !state.is_in() || position == state.told {
                return;
            }
            state.told = position.clone();
            position
        };
        self.local.tell_position(position);
    }

    /// The next recent messages behind `cursor`, which is moved on. To be called again until it tells an end.
    pub fn recent(&self, cursor: &mut Cursor) -> Recent {
        let state = self.state.borrow();
        let rings = state.rings();
        let has_any = cursor.next.keys().any(|origin| rings.contains_key(origin));
        if state.node == alone::NODE && !has_any {
            // From another life of this node, or from a cluster: its views are not these. In a cluster that cannot be told
            // from a client whose origins have all left, and which has had what others had published before.
            cursor.epoch = 0;
        }
        // Of the members of a view that is on its way here, this node is one. Whose origins are all unknown, though they are in
        // a later view, comes from another cluster, where views are counted by themselves: nothing can be waited for.
        if state.view.epoch < cursor.epoch && (has_any || cursor.next.is_empty()) {
            return Recent { is_early: true, ..Recent::default() };
        }
        let mut recent = Recent::default();
        cursor.next.retain(|origin, next| {
            let is_known = rings.contains_key(origin);
            if !is_known {
                recent.gaps.push(Gap { origin: *origin, first: *next, last: None });
            }
            is_known
        });
        for (origin, (ring, seen_since)) in &rings {
            if cursor.epoch < *seen_since {
                cursor.next.entry(*origin).or_insert(1);
            }
            let Some(next) = cursor.next.get_mut(origin) else { continue };
            if *next < ring.first() {
                recent.gaps.push(Gap { origin: *origin, first: *next, last: Some(ring.first() - 1) });
                *next = ring.first();
            }
        }
        let mut bytes = 0;
        while recent.frames.len() < FRAMES_MAX && bytes < BYTES_MAX {
            let Some((stamp, frame)) = next_to_come(&rings, cursor) else {
                recent.end = Some(state.position());
                break;
            };
            bytes += frame.len();
            recent.frames.push((stamp, frame.clone()));
            if let Some(next) = cursor.next.get_mut(&stamp.origin) {
                *next += 1;
            }
        }
        recent
    }
}

/// Of the next messages of all origins the one that came first to this node. So what was published because of another
/// message comes behind that.
fn next_to_come<'a>(
    rings: &BTreeMap<Origin, (&'a Ring, u64)>,
    cursor: &Cursor,
) -> Option<(Stamp, &'a Bytes)> {
    let next = cursor.next.iter().filter_map(|(origin, number)| {
        let (ring, _) = rings.get(origin)?;
        Some((ring.arrival(*number)?, *ring, Stamp { origin: *origin, number: *number }))
    });
    let (_, ring, stamp) = next.min_by_key(|(arrival, ..)| *arrival)?;
    Some((stamp, ring.get(stamp.number)?))
}
