//! Views as they come: who is sent to, who is listened to, who has left.

use std::rc::Rc;

use tokio::sync::Notify;

use super::{End, Key, Local, Origin, Plane, PlaneProgress, RING_EXTRA, Target};
use crate::{
    clock,
    mesh::{Inbound, Nanos, Outbound, View},
};

impl<L: Local> Plane<L> {
    /// Drops everything that belongs to the incarnation before, but for what others may lack.
    pub(super) fn begin(self: &Rc<Self>, node: u64, incarnation: u64) {
        let (view, voters) = {
            let mut state = self.state.borrow_mut();
            let state = &mut *state;
            state.node = node;
            state.incarnation = incarnation;
            let (grace, unacked) = (self.settings.grace.as_nanos() as Nanos, self.settings.unacked_bytes_max);
            state.outbound = Outbound::new(node, grace, unacked, self.settings.recent());
            state.in_since = 0;
            state.slots.clear();
            let now = clock::now_ns();
            let (view, voters) = (state.view.clone(), state.voters.clone());
            for (key, origin) in std::mem::take(&mut state.origins) {
                origin.reader.as_ref().inspect(|reader| reader.abort());
                state.depart(key, origin, (&view, &voters), now);
            }
            state.targets.drain().for_each(|(_, target)| target.writer.abort());
            (view, voters)
        };
        if self.is_full.replace(false) {
            self.local.set_full(false);
        }
        self.tell_progress();
        self.install(view, voters);
    }

    pub(super) fn install(self: &Rc<Self>, view: View, voters: Vec<u64>) {
        let mut departed = Vec::new();
        {
            let mut state = self.state.borrow_mut();
            let state = &mut *state;
            if view.epoch < state.view.epoch {
                return;
            }
            let me = (state.node, state.incarnation);
            let was_in = state.is_in();
            let view_before = std::mem::replace(&mut state.view, view);
            let voters_before = std::mem::replace(&mut state.voters, voters);
            if state.is_in() {
                let now = clock::now_ns();
                if state.in_since == 0 {
                    state.in_since = state.view.epoch;
                }
                state.outbound.install(&state.view, state.voters.clone(), now);
                let gone: Vec<Key> = state
                    .origins
                    .keys()
                    .filter(|(node, inc)| !state.view.has(*node, *inc))
                    .copied()
                    .collect();
                for key in gone {
                    let Some(origin) = state.origins.remove(&key) else { continue };
                    state.slots.remove(&origin.slot);
                    origin.reader.as_ref().inspect(|reader| reader.abort());
                    let has_started = origin.inbound.is_some();
                    state.depart(key, origin, (&view_before, &voters_before), now);
                    if has_started {
                        departed.push(key);
                        state.departed.get_mut(&key).into_iter().for_each(|own| own.end = End::Asked);
                    }
                }
                state.targets.retain(|(node, inc), target| {
                    let stays = state.view.has(*node, *inc);
                    if !stays {
                        target.writer.abort();
                    }
                    stays
                });
                let others = state.view.members.iter().map(|(node, incarnation)| (*node, *incarnation));
                for key in others.filter(|key| *key != me).collect::<Vec<_>>() {
                    if !state.origins.contains_key(&key) {
                        state.next_slot += 1;
                        // Who comes in after this node owes it everything from its first message on. Who was
                        // there before has to say where it starts.
                        let inbound = was_in.then(|| self.new_inbound(1));
                        let (slot, seen_since) = (state.next_slot, state.view.epoch);
                        let origin = Origin { slot, inbound, seen_since, acks: Rc::default(), reader: None };
                        state.slots.insert(state.next_slot, key);
                        state.origins.insert(key, origin);
                    }
                    state.targets.entry(key).or_insert_with(|| {
                        let has_more = Rc::new(Notify::new());
                        let task = Rc::clone(self).send_to(key, Rc::clone(&has_more));
                        Target { has_more, writer: tokio::task::spawn_local(task).abort_handle() }
                    });
                }
            }
        }
        for key in departed {
            tokio::task::spawn_local(Rc::clone(self).complete_departed(key));
        }
        self.tell_progress();
        self.tell_position();
        self.complete();
    }

    pub(super) fn new_inbound(&self, first: u64) -> Inbound {
        let bytes = (self.settings.unacked_bytes_max * RING_EXTRA).max(self.settings.recent_bytes_max);
        Inbound::new(first, bytes, self.settings.kept())
    }

    pub(super) fn tell_progress(&self) {
        let state = self.state.borrow();
        let progress = PlaneProgress {
            incarnation: state.incarnation,
            epoch: state.view.epoch,
            is_complete: state.is_in() && state.origins.values().all(|origin| origin.inbound.is_some()),
        };
        self.progress.send_if_modified(|told| {
            let is_new = *told != progress;
            *told = progress;
            is_new
        });
    }
}
