//! Leases: until when a node may deliver, acknowledge and answer. Pure: time comes in as numbers.
//!
//! A member asks the leader to prolong its lease and notes when it asked. The leader grants only as much as its
//! own authority carries: every request repeats the time stamp of the leader's last answer, so the leader knows
//! a moment of its own clock up to which a majority of the voters still followed it. Nobody can have been
//! elected before that moment, and a new leader evicts nobody until the eviction time, which is longer than any
//! lease, has passed since its election. So whoever is evicted has fenced itself before, whichever way messages
//! got lost in between.

use std::collections::BTreeMap;

use crate::mesh::{Nanos, View};

/// The two times of the protocol.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTimes {
    /// For how long a lease holds.
    pub lease: Nanos,
    /// Silence after which a member is voted out. Longer than the lease by more than clocks may drift apart.
    pub eviction: Nanos,
}

/// What the leader knows of one member.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    /// When it was last heard.
    heard: Nanos,
    /// The newest time stamp of the leader's that it has repeated.
    echo: Nanos,
    /// When it was last given a lease.
    granted: Nanos,
    /// It does not keep up: it gets no lease any more.
    is_condemned: bool,
}

/// The leader's half, for one term.
#[derive(Debug)]
pub struct LeaderLeases {
    node: u64,
    term: u64,
    started: Nanos,
    times: LeaseTimes,
    members: BTreeMap<(u64, u64), Member>,
}

/// The leader's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// For how long the lease holds from the moment of the request; 0 for none.
    pub lease: Nanos,
}

impl LeaderLeases {
    /// The state of a leader that was elected at `now`. Every member's eviction clock starts anew.
    pub fn new(node: u64, term: u64, times: LeaseTimes, now: Nanos) -> Self {
        Self { node, term, started: now, times, members: BTreeMap::new() }
    }

    /// The term in which it leads.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Notes a request, and says what it is given.
    pub fn request(
        &mut self,
        (node, incarnation): (u64, u64),
        echo: Nanos,
        view: &View,
        voters: &[u64],
        now: Nanos,
    ) -> Grant {
        let member = self.members.entry((node, incarnation)).or_default();
        if !member.is_condemned {
            member.heard = now;
        }
        member.echo = member.echo.max(echo.min(now));
        let is_condemned = member.is_condemned;
        if is_condemned || !view.has(node, incarnation) {
            return Grant { lease: 0 };
        }
        let until = self.authority(voters, now).map_or(0, |authority| authority + self.times.lease);
        let lease = until.saturating_sub(now);
        if lease > 0 {
            self.members.entry((node, incarnation)).and_modify(|member| member.granted = now);
        }
        Grant { lease }
    }

    /// Until when the leader itself may go on.
    pub fn own_until(&self, voters: &[u64], now: Nanos) -> Nanos {
        self.authority(voters, now).map_or(0, |authority| authority + self.times.lease)
    }

    /// A moment at which a majority of the voters certainly followed this leader.
    fn authority(&self, voters: &[u64], now: Nanos) -> Option<Nanos> {
        let echo = |voter: &u64| {
            if *voter == self.node {
                return now;
            }
            // Whichever incarnation said it: it is the same vote.
            let of_voter = self.members.range((*voter, 0)..=(*voter, u64::MAX));
            of_voter.map(|(_, member)| member.echo).max().unwrap_or_default()
        };
        let mut echoes: Vec<Nanos> = voters.iter().map(echo).collect();
        echoes.sort_unstable_by(|a, b| b.cmp(a));
        echoes.get(echoes.len() / 2).copied().filter(|echo| *echo >= self.started)
    }

    /// Gives a member no further lease: it does not keep up and has to leave. False if that was so already.
    pub fn condemn(&mut self, node: u64, incarnation: u64) -> bool {
        let member = self.members.entry((node, incarnation)).or_default();
        !std::mem::replace(&mut member.is_condemned, true)
    }

    /// Whether there is a member of the view that gets no further lease.
    pub fn has_condemned(&self, view: &View) -> bool {
        self.members
            .iter()
            .any(|((node, incarnation), member)| member.is_condemned && view.has(*node, *incarnation))
    }

    /// The members of the view that have to be voted out, and can be: their leases are over. The clock of one that
    /// has just come into the view starts when it is first seen there.
    pub fn overdue(&mut self, view: &View, now: Nanos) -> Vec<(u64, u64)> {
        let mut overdue = Vec::new();
        for (node, incarnation) in view.members.iter().filter(|(node, _)| **node != self.node) {
            let arrived = Member { heard: now, ..Member::default() };
            let member = self.members.entry((*node, *incarnation)).or_insert(arrived);
            let last = if member.is_condemned { member.granted } else { member.heard };
            if now.saturating_sub(last.max(self.started)) >= self.times.eviction {
                overdue.push((*node, *incarnation));
            }
        }
        overdue
    }

    /// When a member was last heard, for people.
    pub fn heard(&self, node: u64, incarnation: u64) -> Option<Nanos> {
        self.members.get(&(node, incarnation)).map(|member| member.heard)
    }

    /// Forgets incarnations that are not in the view, but for the votes of `voters`.
    pub fn forget(&mut self, view: &View, voters: &[u64], now: Nanos) {
        let eviction = self.times.eviction;
        self.members.retain(|(node, incarnation), member| {
            view.has(*node, *incarnation)
                || voters.contains(node) && now.saturating_sub(member.heard) < eviction
        });
    }
}

/// A member's half.
#[derive(Debug, Default)]
pub struct MemberLease {
    term: u64,
    echo: Nanos,
}

impl MemberLease {
    /// What to repeat to the leader of `term`.
    pub fn echo(&self, term: u64) -> Nanos {
        if self.term == term { self.echo } else { 0 }
    }

    /// Takes the answer to a request that was sent at `asked`. Returns until when the lease holds, if it does.
    pub fn granted(&mut self, term: u64, stamp: Nanos, lease: Nanos, asked: Nanos) -> Option<Nanos> {
        if term < self.term {
            return None;
        }
        self.echo = if term == self.term { self.echo.max(stamp) } else { stamp };
        self.term = term;
        (lease > 0).then_some(asked + lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: LeaseTimes = LeaseTimes { lease: 2500, eviction: 3500 };

    fn view(nodes: &[u64]) -> View {
        View { epoch: 1, members: nodes.iter().map(|node| (*node, 1)).collect() }
    }

    #[test]
    fn a_leader_that_hears_no_majority_grants_nothing_beyond_its_authority() {
        let (view, voters) = (view(&[1, 2, 3]), [1, 2, 3]);
        let mut leader = LeaderLeases::new(1, 7, TIMES, 100);
        assert_eq!(
            leader.request((2, 1), 0, &view, &voters, 100).lease,
            0,
            "nobody has repeated a stamp yet"
        );
        assert_eq!(leader.request((2, 1), 100, &view, &voters, 200).lease, 2400);
        // Node 3 asks again and again, without repeating anything: authority stays where it was.
        assert_eq!(leader.request((3, 1), 0, &view, &voters, 2000).lease, 600);
        assert_eq!(leader.request((3, 1), 0, &view, &voters, 2600).lease, 0);
        assert_eq!(leader.own_until(&voters, 2600), 2600);
    }

    #[test]
    fn the_silent_and_the_condemned_are_overdue_once_their_leases_are_over() {
        let (view, voters) = (view(&[1, 2, 3]), [1, 2, 3]);
        let mut leader = LeaderLeases::new(1, 7, TIMES, 0);
        leader.request((2, 1), 0, &view, &voters, 1000);
        leader.request((2, 1), 1000, &view, &voters, 1001);
        assert_eq!(leader.overdue(&view, 0), [], "the first look");
        assert_eq!(leader.overdue(&view, 3499), []);
        assert_eq!(leader.overdue(&view, 3500), [(3, 1)]);
        leader.condemn(2, 1);
        assert_eq!(leader.request((2, 1), 3000, &view, &voters, 3100).lease, 0);
        assert_eq!(leader.overdue(&view, 4500), [(3, 1)]);
        assert_eq!(leader.overdue(&view, 4501), [(2, 1), (3, 1)]);
    }

    /// It was once voted out at once, since nothing had been heard of it yet, and came in again, for ever.
    #[test]
    fn an_incarnation_that_has_just_come_in_has_time_to_ask_for_its_first_lease() {
        let mut leader = LeaderLeases::new(1, 7, TIMES, 0);
        assert_eq!(leader.overdue(&view(&[1]), 10_000), []);
        assert_eq!(leader.overdue(&view(&[1, 2]), 10_100), []);
        assert_eq!(leader.overdue(&view(&[1, 2]), 13_599), []);
        assert_eq!(leader.overdue(&view(&[1, 2]), 13_600), [(2, 1)]);
    }

    #[test]
    fn an_incarnation_outside_the_view_gets_no_lease_but_its_vote_counts() {
        let (view, voters) = (view(&[1]), [1, 2, 3]);
        let mut leader = LeaderLeases::new(1, 7, TIMES, 0);
        assert_eq!(leader.request((2, 9), 10, &view, &voters, 20).lease, 0);
        assert_eq!(leader.own_until(&voters, 20), 10 + TIMES.lease);
    }
}
