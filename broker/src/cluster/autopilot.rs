//! Which nodes vote. Pure.
//!
//! An odd number of voters, at most five, all others learners; one change at a time, and none that would take a
//! majority away. A node that came back under its old name with an empty disk is a new node: it takes the vote of
//! its predecessor, which is then removed. Voters that left by themselves give their votes up as soon as the others
//! survive more deaths without them: a cluster that is scaled down needs nobody of those who went.

use std::collections::BTreeSet;

use crate::raft::{ClusterState, Role};

/// More voters make commits slower and not safer: five survive two deaths.
const VOTERS_MAX: usize = 5;

/// Votes are given up down to this number only: each voter's disk is a copy of what the cluster must not lose.
const VOTERS_LEFT_MIN: usize = 3;

/// Entries that a learner may lack to be promoted.
const LAG_MAX: u64 = 100;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Replicate the log to a member that is not yet replicated to.
    Replicate(u64),
    /// Let exactly these vote.
    Voters(BTreeSet<u64>),
    /// Stop replicating to a node that has no vote and is not coming back.
    Unlearn(u64),
    /// Forget a member.
    Remove(u64),
}

/// How the leader `me` sees the members.
struct Sight<'a> {
    me: u64,
    state: &'a ClusterState,
    role: &'a Role,
}

impl Sight<'_> {
    /// Another member has its name, and is newer.
    fn is_superseded(&self, node: u64) -> bool {
        let newest = self.state.members.get(&node).and_then(|member| self.state.named(&member.name));
        newest != Some(node)
    }

    fn is_alive(&self, node: u64) -> bool {
        node == self.me || self.state.view.members.contains_key(&node)
    }

    /// Learners that may vote.
    fn candidates(&self) -> impl Iterator<Item = u64> {
        let (role, me) = (self.role, self.me);
        let has_caught_up = move |node: u64| {
            node == me || role.matched.get(&node).is_some_and(|index| index + LAG_MAX >= role.last_log_index)
        };
        self.state.members.keys().copied().filter(move |node| {
            !role.voters.contains(node)
                && self.is_alive(*node)
                && !self.is_superseded(*node)
                && has_caught_up(*node)
        })
    }

    /// Sorts by who is to vote first: the leader, those who are there, those who vote already.
    fn sort(&self, nodes: &mut Vec<u64>) {
        nodes.sort_by_key(|node| {
            (*node != self.me, !self.is_alive(*node), !self.role.voters.contains(node), *node)
        });
        nodes.truncate(VOTERS_MAX);
    }

    /// How many of those who are there may die so that the rest is a majority of these voters; less than 0 if it is
    /// none already.
    fn deaths_survived<'n>(&self, voters: impl IntoIterator<Item = &'n u64>) -> isize {
        let (mut all, mut alive) = (0, 0);
        for node in voters {
            all += 1;
            alive += isize::from(self.is_alive(*node));
        }
        alive - (all / 2 + 1)
    }
}

/// Voters with which more deaths are survived, if some of those who vote now have left by themselves.
///
/// One of three that restarts changes nothing, nor does one of five: a vote is given up only for a gain. Who crashed or
/// was cut off has said nothing, and keeps its vote until it is given up for dead; unless another has left, and one more
/// has to go so that the number is odd.
pub(super) fn relief(me: u64, state: &ClusterState, role: &Role) -> Option<BTreeSet<u64>> {
    let sight = Sight { me, state, role };
    let has_left = |node: &u64| state.left.contains(node) && !sight.is_alive(*node);
    if !role.voters.iter().any(has_left) {
        return None;
    }
    let firm = role.voters.iter().copied().filter(|node| !has_left(node));
    let mut wanted: Vec<u64> = firm.chain(sight.candidates()).collect();
    sight.sort(&mut wanted);
    if wanted.len().is_multiple_of(2) {
        wanted.pop();
    }
    let is_gain = sight.deaths_survived(&wanted) > sight.deaths_survived(&role.voters);
    (wanted.len() >= VOTERS_LEFT_MIN && is_gain).then(|| wanted.into_iter().collect())
}

/// The next change that is due, as the leader `me` sees it. `dead` are members that have been out of the view for
/// so long that nobody expects them any more.
pub(super) fn next_step(me: u64, state: &ClusterState, role: &Role, dead: &BTreeSet<u64>) -> Option<Step> {
    if role.is_joint {
        return None;
    }
    let sight = Sight { me, state, role };
    let is_alive = |node: &u64| sight.is_alive(*node);
    let is_gone = |node: &u64| sight.is_superseded(*node) && !is_alive(node) || dead.contains(node);
    // Whether it is in the view or not: it cannot come in before the log has told it who leads.
    if let Some(node) = state.members.keys().find(|node| !role.replicated_to.contains(node) && !is_gone(node))
    {
        return Some(Step::Replicate(*node));
    }
    if let Some(voters) = relief(me, state, role) {
        return Some(Step::Voters(voters));
    }
    // Those who vote now keep their vote as long as they are expected back.
    let kept: Vec<u64> = role.voters.iter().filter(|node| !is_gone(node)).copied().collect();
    let mut wanted: Vec<u64> = kept.iter().copied().chain(sight.candidates()).collect();
    // A vote that a newcomer is to inherit is not given up before it can: with fewer voters, fewer deaths are survived.
    let heirless = role.voters.iter().filter(|node| is_gone(node) && !dead.contains(node));
    let given_up = role.voters.iter().filter(|node| dead.contains(node)).count();
    let missing = (role.voters.len() - given_up).saturating_sub(wanted.len());
    wanted.extend(heirless.take(missing));
    // When one has to go so that the number is odd, it is not the leader, and rather one that is away.
    sight.sort(&mut wanted);
    if wanted.len().is_multiple_of(2) && (wanted.len() > role.voters.len() || given_up > 0) {
        wanted.pop();
    } else if wanted.len().is_multiple_of(2) {
        // An even number that is there already is left until there is a better one.
        wanted = role.voters.iter().copied().collect();
    }
    let wanted: BTreeSet<u64> = wanted.into_iter().collect();
    let alive = wanted.iter().filter(|node| is_alive(node)).count();
    if wanted != role.voters && alive * 2 > wanted.len() {
        return Some(Step::Voters(wanted));
    }
    if let Some(node) = role.replicated_to.iter().find(|node| !role.voters.contains(node) && is_gone(node)) {
        return Some(Step::Unlearn(*node));
    }
    state
        .members
        .keys()
        .find(|node| !role.replicated_to.contains(node) && is_gone(node))
        .copied()
        .map(Step::Remove)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{mesh::View, raft::Member};

    struct World {
        state: ClusterState,
        role: Role,
        dead: BTreeSet<u64>,
    }

    /// Members by id and name, those in the view, the voters; all others are learners that have caught up.
    fn world(members: &[(u64, &str)], alive: &[u64], voters: &[u64]) -> World {
        let members: BTreeMap<u64, Member> = members
            .iter()
            .map(|(node, name)| (*node, Member { name: (*name).into(), addr: format!("{name}:1") }))
            .collect();
        let role = Role {
            is_leader: true,
            voters: voters.iter().copied().collect(),
            replicated_to: members.keys().copied().collect(),
            matched: members.keys().map(|node| (*node, 50)).collect(),
            last_log_index: 50,
            ..Role::default()
        };
        let view = View { epoch: 1, members: alive.iter().map(|node| (*node, 1)).collect() };
        World {
            state: ClusterState { cluster_id: "c".into(), members, view, ..ClusterState::default() },
            role,
            dead: BTreeSet::new(),
        }
    }

    fn step(world: &World) -> Option<Step> {
        next_step(1, &world.state, &world.role, &world.dead)
    }

    fn voters(nodes: &[u64]) -> Step {
        Step::Voters(nodes.iter().copied().collect())
    }

    #[test]
    fn voters_grow_by_two_so_that_they_stay_odd() {
        assert_eq!(step(&world(&[(1, "a"), (2, "b")], &[1, 2], &[1])), None);
        assert_eq!(step(&world(&[(1, "a"), (2, "b"), (3, "c")], &[1, 2, 3], &[1])), Some(voters(&[1, 2, 3])));
        let seven: Vec<(u64, String)> = (1..8).map(|node| (node, format!("n{node}"))).collect();
        let seven: Vec<(u64, &str)> = seven.iter().map(|(node, name)| (*node, name.as_str())).collect();
        assert_eq!(step(&world(&seven, &[1, 2, 3, 4, 5, 6, 7], &[1, 2, 3])), Some(voters(&[1, 2, 3, 4, 5])));
    }

    #[test]
    fn a_learner_that_lags_is_not_promoted() {
        let mut world = world(&[(1, "a"), (2, "b"), (3, "c")], &[1, 2, 3], &[1]);
        world.role.last_log_index = 500;
        world.role.matched.insert(2, 500);
        assert_eq!(step(&world), None);
    }

    #[test]
    fn a_voter_that_is_away_keeps_its_vote_until_it_is_given_up() {
        let mut world = world(&[(1, "a"), (2, "b"), (3, "c")], &[1, 2], &[1, 2, 3]);
        assert_eq!(step(&world), None);
        world.dead.insert(3);
        assert_eq!(step(&world), Some(voters(&[1])), "two voters survive no more deaths than one");
        world.role.voters = [1].into();
        assert_eq!(step(&world), Some(Step::Unlearn(3)));
        world.role.replicated_to.remove(&3);
        assert_eq!(step(&world), Some(Step::Remove(3)));
    }

    #[test]
    fn a_node_that_lost_its_disk_takes_over_its_predecessors_vote() {
        let mut world = world(&[(1, "a"), (2, "b"), (3, "c"), (9, "c")], &[1, 2, 9], &[1, 2, 3]);
        assert_eq!(step(&world), Some(voters(&[1, 2, 9])));
        world.role.voters = [1, 2, 9].into();
        assert_eq!(step(&world), Some(Step::Unlearn(3)));
    }

    /// The vote was once given up before its heir had caught up, which left a single voter.
    #[test]
    fn a_predecessor_keeps_its_vote_until_its_heir_has_caught_up() {
        let mut world = world(&[(1, "a"), (2, "b"), (3, "c"), (200, "c")], &[1, 2, 200], &[1, 2, 3]);
        world.role.last_log_index = 500;
        for node in [1, 2] {
            world.role.matched.insert(node, 500);
        }
        assert_eq!(step(&world), None);
        world.role.matched.insert(200, 500);
        assert_eq!(step(&world), Some(voters(&[1, 2, 200])));
    }

    #[test]
    fn nothing_is_done_that_would_take_the_majority_away() {
        let mut world =
            world(&[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")], &[1, 2, 3], &[1, 2, 3, 4, 5]);
        world.dead.extend([4, 5]);
        assert_eq!(step(&world), Some(voters(&[1, 2, 3])));
        world.role.is_joint = true;
        assert_eq!(step(&world), None, "one change at a time");
    }

    #[test]
    fn a_member_whose_log_is_not_replicated_comes_first() {
        let mut world = world(&[(1, "a"), (2, "b"), (3, "c")], &[1, 2, 3], &[1]);
        world.role.replicated_to.remove(&2);
        assert_eq!(step(&world), Some(Step::Replicate(2)));
    }

    /// Five were scaled down to three, and none of the three could be lost for ten minutes.
    #[test]
    fn votes_of_those_who_left_are_given_up_when_that_is_a_gain() {
        let five = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")];
        let mut world = world(&five, &[1, 2, 3, 4], &[1, 2, 3, 4, 5]);
        world.state.left = [5].into();
        assert_eq!(step(&world), None, "one that restarts: five and three survive one more death, both");
        world.state.view.members.remove(&4);
        assert_eq!(step(&world), Some(voters(&[1, 2, 3])), "another crashes meanwhile: four would be even");
        world.state.left = [4, 5].into();
        assert_eq!(step(&world), Some(voters(&[1, 2, 3])));
        world.state.left.clear();
        assert_eq!(step(&world), None, "who crashed is expected back");
        // They are back.
        world.role.voters = [1, 2, 3].into();
        world.state.view.members.extend([(4, 2), (5, 2)]);
        world.state.left.clear();
        assert_eq!(step(&world), Some(voters(&[1, 2, 3, 4, 5])));
    }

    #[test]
    fn fewer_than_three_do_not_vote_because_others_have_left() {
        let mut world = world(&[(1, "a"), (2, "b"), (3, "c")], &[1, 2], &[1, 2, 3]);
        world.state.left = [3].into();
        assert_eq!(step(&world), None);
        world.state.view.members.remove(&2);
        world.state.left = [2, 3].into();
        assert_eq!(step(&world), None);
    }

    #[test]
    fn a_learner_that_is_there_votes_in_the_place_of_a_voter_that_is_away() {
        let mut world = world(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")], &[1, 2, 4], &[1, 2, 3]);
        assert_eq!(step(&world), Some(voters(&[1, 2, 4])));
        world.state.left = [3].into();
        assert_eq!(step(&world), Some(voters(&[1, 2, 4])));
        world.role.last_log_index = 500;
        assert_eq!(step(&world), None, "it has not caught up");
    }
}
