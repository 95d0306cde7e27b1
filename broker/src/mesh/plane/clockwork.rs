//! What the data plane does when time passes and nothing arrives.

use std::{rc::Rc, time::Duration};

use super::{Local, Plane, PlaneEvent};
use crate::{clock, mesh::Nanos};

/// How often peers that lag and messages that are old are looked for.
const TICK: Duration = Duration::from_millis(100);

/// How often clients that get their messages with numbers are told how far this node is, if it has moved. What they are
/// not subscribed to moves it, too: a client that was told long ago would take for lost what never was for it.
const POSITION_INTERVAL: Nanos = 1_000_000_000;

impl<L: Local> Plane<L> {
    /// Completes publishes whose grace is over, though nothing arrives.
    pub(super) async fn keep_deadlines(self: Rc<Self>) {
        loop {
            let deadline = self.state.borrow().outbound.deadline();
            let Some(deadline) = deadline else {
                self.deadline.notified().await;
                continue;
            };
            // No shorter than a fraction of the grace: the next deadlines are near, and most are never reached.
            let wait = Duration::from_nanos(deadline.saturating_sub(clock::now_ns()));
            self.deadline_sleeps.set(true);
            tokio::time::sleep(wait.max(self.settings.grace / 10)).await;
            self.deadline_sleeps.set(false);
            self.complete();
        }
    }

    pub(super) async fn tick(self: Rc<Self>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = 0;
        loop {
            interval.tick().await;
            let now = clock::now_ns();
            let mut state = self.state.borrow_mut();
            state
                .origins
                .values_mut()
                .filter_map(|origin| origin.inbound.as_mut())
                .for_each(|inbound| inbound.age(now));
            state.outbound.age(now);
            let kept = 2 * self.settings.kept();
            state.departed.retain(|_, departed| now.saturating_sub(departed.since) < kept);
            if state.incarnation != 0 {
                for (node, incarnation) in state.outbound.laggards(now, self.settings.lag.as_nanos() as Nanos)
                {
                    let by = state.incarnation;
                    let _ = self.events.send(PlaneEvent::Lags { by, node, incarnation });
                }
            }
            drop(state);
            if now.saturating_sub(told) >= POSITION_INTERVAL {
                told = now;
                self.tell_position();
            }
        }
    }
}
