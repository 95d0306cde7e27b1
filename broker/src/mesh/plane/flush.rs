//! Completing the messages of a node that has left the view, so that all survivors deliver the same ones.
//!
//! Once a view without it is installed, a node takes nothing more from the one that has left, so what each
//! survivor holds can only grow by what survivors give each other. Each asks all the others how far they are, and
//! fetches what it lacks from one that is further. Where a majority of those that may have held a message has gone
//! together, nobody can know what is missing, and the node must not go on as if nothing was. When the view changes meanwhile, it begins again: whoever has
//! left by then is not asked, and nothing more is taken from it.

use std::{rc::Rc, time::Duration};

use carillon_proto::peer::{
    FlushFetchReply, FlushFetchRequest, FlushQueryReply, FlushQueryRequest, decode_publish, reply, request,
};

use super::{End, Key, Local, Plane, PlaneEvent};
use crate::mesh::{Arrival, Inbound};

/// How long one answer may take. The asked node waits for the view that is asked about.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// Pause before a node that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// Bytes of messages in one answer.
const FETCH_BYTES: usize = 1024 * 1024;

/// The slot of messages that nobody counts.
const NO_SLOT: u64 = 0;

/// How far one attempt has come.
enum Attempt {
    /// Nothing is missing.
    Complete,
    /// The view has changed, or somebody did not answer.
    Again,
    /// Those who had it have forgotten it, or are gone themselves.
    Lost,
}

impl<L: Local> Plane<L> {
    /// Brings this node to where the furthest survivor is.
    pub(super) async fn complete_departed(self: Rc<Self>, key: Key) {
        let incarnation = self.state.borrow().incarnation;
        let mut taken = 0;
        while self.is_incarnation(incarnation) {
            match self.attempt(key, &mut taken).await {
                Attempt::Complete => {
                    tracing::info!(node = key.0, taken, "the messages of a node that has left are complete");
                    if let Some(departed) = self.state.borrow_mut().departed.get_mut(&key) {
                        departed.end = End::Reached;
                    }
                    self.tell_position();
                    return;
                }
                Attempt::Again => tokio::time::sleep(PAUSE).await,
                Attempt::Lost => {
                    let _ = self.events.send(PlaneEvent::Hole { by: incarnation, node: key.0 });
                    return;
                }
            }
        }
    }

    async fn attempt(&self, key: Key, taken: &mut u64) -> Attempt {
        let (epoch, me, others) = {
            let state = self.state.borrow();
            let others: Vec<u64> =
                state.view.members.keys().filter(|node| **node != state.node).copied().collect();
            (state.view.epoch, state.incarnation, others)
        };
        let is_same_view = || {
            let state = self.state.borrow();
            state.view.epoch == epoch && state.incarnation == me
        };
        let query = FlushQueryRequest { epoch, origin: key.0, incarnation: key.1 };
        let answers =
            futures_util::future::join_all(others.iter().map(|node| self.ask(*node, query.clone()))).await;
        if !is_same_view() || answers.iter().any(Option::is_none) {
            return Attempt::Again;
        }
        let mut holders: Vec<(u64, u64)> = others
            .iter()
            .zip(answers.into_iter().flatten())
            .filter(|(_, answer)| answer.has_started)
            .map(|(node, answer)| (answer.last, *node))
            .collect();
        if self.is_majority_gone(key, &holders) {
            return Attempt::Lost;
        }
        holders.sort_unstable_by(|a, b| b.cmp(a));
        let target = holders.first().map_or(0, |(last, _)| *last);
        let mut had_it_all = false;
        for (_, node) in holders.iter().filter(|(last, _)| *last == target) {
            loop {
                let Some(last) = self.departed_last(key) else { return Attempt::Complete };
                if last >= target {
                    return Attempt::Complete;
                }
                let fetch = FlushFetchRequest { origin: key.0, incarnation: key.1, first: last + 1 };
                let Some(link) = self.links.get(*node) else { return Attempt::Again };
                let answer = link.call(request::Kind::FlushFetch(fetch), ANSWER_TIME_MAX).await;
                if !is_same_view() {
                    return Attempt::Again;
                }
                match answer {
                    Ok(reply::Kind::FlushFetch(answer)) if !answer.frames.is_empty() => {
                        let before = *taken;
                        if !self.take_missing(key, answer, taken) || *taken == before {
                            return Attempt::Again;
                        }
                    }
                    // It has forgotten them since.
                    Ok(_) => {
                        had_it_all = true;
                        break;
                    }
                    Err(error) => {
                        tracing::debug!(peer = node, %error, "a survivor did not give what is missing");
                        return Attempt::Again;
                    }
                }
            }
        }
        if had_it_all { Attempt::Lost } else { Attempt::Complete }
    }

    /// Whether messages may have been answered that nobody here holds: so many of those that listened to the node that
    /// has left have forgotten it, or are gone themselves, that they may have been the majority.
    fn is_majority_gone(&self, key: Key, holders: &[(u64, u64)]) -> bool {
        let state = self.state.borrow();
        let Some(departed) = state.departed.get(&key) else { return false };
        let is_here = |voter: &u64| *voter == state.node || holders.iter().any(|(_, node)| node == voter);
        let gone = departed.holders.iter().filter(|voter| !is_here(voter)).count();
        gone >= departed.majority
    }

    async fn ask(&self, node: u64, query: FlushQueryRequest) -> Option<FlushQueryReply> {
        let link = self.links.get(node)?;
        match link.call(request::Kind::FlushQuery(query), ANSWER_TIME_MAX).await {
            Ok(reply::Kind::FlushQuery(answer)) => Some(answer),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(peer = node, %error, "a survivor did not say what it holds");
                None
            }
        }
    }

    /// Delivers what another survivor has given. False when this node may not act any more.
    fn take_missing(&self, key: Key, answer: FlushFetchReply, taken: &mut u64) -> bool {
        if !self.local.may_act() {
            return false;
        }
        for (number, frame) in (answer.first..).zip(answer.frames) {
            let is_next = self
                .state
                .borrow()
                .departed
                .get(&key)
                .and_then(|departed| departed.inbound.as_ref())
                .is_some_and(|inbound| inbound.arrival(number) == Some(Arrival::Next));
            if !is_next {
                continue;
            }
            let Ok(message) = decode_publish(frame.clone()) else { return false };
            self.deliver(key, number, &message, NO_SLOT);
            let mut state = self.state.borrow_mut();
            let arrival = state.arrived();
            if let Some(inbound) = state.departed.get_mut(&key).and_then(|departed| departed.inbound.as_mut())
            {
                inbound.push(frame, arrival, 0, 0);
            }
            *taken += 1;
        }
        true
    }

    fn departed_last(&self, key: Key) -> Option<u64> {
        self.state.borrow().departed.get(&key)?.inbound.as_ref().map(Inbound::last)
    }

    /// What this node holds of one that has left.
    pub(super) fn holds(&self, key: Key) -> FlushQueryReply {
        let last = self.departed_last(key);
        FlushQueryReply { has_started: last.is_some(), last: last.unwrap_or_default() }
    }

    /// What another survivor lacks, or the beginning of it.
    pub(super) fn missing(&self, request: &FlushFetchRequest) -> Option<FlushFetchReply> {
        let state = self.state.borrow();
        let departed = state.departed.get(&(request.origin, request.incarnation))?;
        let mut bytes = 0;
        let frames = departed
            .inbound
            .as_ref()?
            .frames_from(request.first)?
            .take_while(|frame| {
                let is_first = bytes == 0;
                bytes += frame.len();
                is_first || bytes <= FETCH_BYTES
            })
            .cloned()
            .collect();
        Some(FlushFetchReply { first: request.first, frames })
    }
}
