//! The promise behind leases, tried in a small world: three nodes, messages that take any time, overtake each other
//! or get lost, and elections at any moment. Whoever is voted out must not hold a lease.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{LeaderLeases, LeaseTimes, MemberLease};
use crate::mesh::{Nanos, View};

const TIMES: LeaseTimes = LeaseTimes { lease: 2500, eviction: 3500 };
const NODES: [u64; 3] = [1, 2, 3];
const INCARNATION: u64 = 1;

#[derive(Clone, Debug)]
enum Step {
    Wait(Nanos),
    /// A member asks whoever leads in its term.
    Ask(u64),
    /// One of the messages on their way arrives, or is lost.
    Request(prop::sample::Index, bool),
    Answer(prop::sample::Index, bool),
    /// A member asks and is answered at once.
    Renew(u64),
    /// A node votes in a new term, for a candidate that is not elected.
    Vote(u64),
    /// A node is elected, with the vote of another.
    Elect(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let node = || prop::sample::select(&NODES[..]);
    let message = any::<prop::sample::Index>;
    prop_oneof![
        4 => (1_u64..1200).prop_map(Step::Wait),
        3 => node().prop_map(Step::Ask),
        3 => (message(), prop::bool::weighted(0.1)).prop_map(|(message, is_lost)| Step::Request(message, is_lost)),
        3 => (message(), prop::bool::weighted(0.1)).prop_map(|(message, is_lost)| Step::Answer(message, is_lost)),
        4 => node().prop_map(Step::Renew),
        1 => node().prop_map(Step::Vote),
        1 => (node(), node()).prop_map(|(candidate, voter)| Step::Elect(candidate, voter)),
    ]
}

#[derive(Clone, Copy)]
struct Request {
    member: u64,
    leader: u64,
    term: u64,
    echo: Nanos,
    asked: Nanos,
}

#[derive(Clone, Copy)]
struct Answer {
    request: Request,
    stamp: Nanos,
    lease: Nanos,
}

struct World {
    now: Nanos,
    view: View,
    terms: BTreeMap<u64, u64>,
    leaders: BTreeMap<u64, LeaderLeases>,
    /// The highest term in which a node was elected: only its leader can vote anybody out.
    newest: u64,
    leases: BTreeMap<u64, MemberLease>,
    until: BTreeMap<u64, Nanos>,
    requests: Vec<Request>,
    answers: Vec<Answer>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: 1,
            view: View { epoch: 1, members: NODES.map(|node| (node, INCARNATION)).into() },
            terms: NODES.map(|node| (node, 0)).into(),
            leaders: BTreeMap::new(),
            newest: 0,
            leases: BTreeMap::new(),
            until: BTreeMap::new(),
            requests: Vec::new(),
            answers: Vec::new(),
        };
        world.elect(1, 2);
        world
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(time) => self.now += time,
            Step::Ask(member) => {
                if let Some(request) = self.ask(member) {
                    self.requests.push(request);
                }
            }
            Step::Request(message, is_lost) => {
                if !self.requests.is_empty() {
                    let request = self.requests.swap_remove(message.index(self.requests.len()));
                    let answer = if is_lost { None } else { self.answer(request) };
                    self.answers.extend(answer);
                }
            }
            Step::Answer(message, is_lost) => {
                if !self.answers.is_empty() {
                    let answer = self.answers.swap_remove(message.index(self.answers.len()));
                    if !is_lost {
                        self.granted(answer);
                    }
                }
            }
            Step::Renew(member) => {
                if let Some(answer) = self.ask(member).and_then(|request| self.answer(request)) {
                    self.granted(answer);
                }
            }
            Step::Vote(voter) => {
                let term = self.terms.values().max().map_or(1, |term| term + 1);
                self.follow(voter, term);
            }
            Step::Elect(candidate, voter) if candidate != voter => self.elect(candidate, voter),
            Step::Elect(..) => {}
        }
    }

    fn ask(&mut self, member: u64) -> Option<Request> {
        let term = self.terms[&member];
        let leader = *self.leaders.iter().find(|(_, leases)| leases.term() == term)?.0;
        let echo = self.leases.entry(member).or_default().echo(term);
        Some(Request { member, leader, term, echo, asked: self.now })
    }

    fn answer(&mut self, request: Request) -> Option<Answer> {
        let leader = self.leaders.get_mut(&request.leader).filter(|leases| leases.term() == request.term)?;
        let grant = leader.request((request.member, INCARNATION), request.echo, &self.view, &NODES, self.now);
        Some(Answer { request, stamp: self.now, lease: grant.lease })
    }

    fn granted(&mut self, Answer { request: Request { member, term, asked, .. }, stamp, lease }: Answer) {
        let end = self.leases.entry(member).or_default().granted(term, stamp, lease, asked);
        if let Some(end) = end {
            let until = self.until.entry(member).or_default();
            *until = (*until).max(end);
        }
    }

    /// A node moves to a later term: whoever does so leads no more.
    fn follow(&mut self, node: u64, term: u64) {
        self.terms.insert(node, term);
        self.leaders.remove(&node);
    }

    fn elect(&mut self, candidate: u64, voter: u64) {
        let term = self.terms[&candidate].max(self.terms[&voter]).max(self.newest) + 1;
        self.follow(candidate, term);
        self.follow(voter, term);
        self.newest = term;
        self.leaders.insert(candidate, LeaderLeases::new(candidate, term, TIMES, self.now));
    }

    /// Those whom the newest leader would vote out now, with the end of the lease that they have.
    fn voted_out(&mut self) -> Vec<(u64, Nanos)> {
        let newest = self.leaders.values_mut().filter(|leases| leases.term() == self.newest);
        let overdue = newest.flat_map(|leases| leases.overdue(&self.view, self.now));
        overdue.map(|(node, _)| (node, self.until.get(&node).copied().unwrap_or_default())).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]
    #[test]
    fn nobody_is_voted_out_while_its_lease_holds(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.take(&step);
            for (node, until) in world.voted_out() {
                prop_assert!(until < world.now, "node {node} holds a lease until {until}, it is {}", world.now);
            }
        }
    }
}
