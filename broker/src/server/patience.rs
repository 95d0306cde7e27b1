//! When a shard gives a client up: it reads too slowly, says nothing, or makes the node hold too much.

use std::{
    rc::Rc,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{CloseReason, Shard, access, connection::Connection};

/// How often clients are looked at.
const TICK: Duration = Duration::from_secs(1);

impl Shard {
    /// Closes a connection for which too much waits. What waits is dropped with it.
    pub(super) fn close_if_outbox_is_full(&self, connection: &Connection) {
        let pending = self.hub.borrow().outbox(connection.seat).pending_bytes();
        if self.node.settings.live.outbox_limit().is_above_hard(pending) {
            self.cut_off(connection, CloseReason::OutboxHardLimit);
        }
    }

    /// Ends a connection at once, without another byte for it.
    pub(super) fn cut_off(&self, connection: &Connection, reason: CloseReason) {
        self.hub.borrow_mut().discard_outbox(connection.seat);
        connection.close(reason);
    }

    fn close_if_slow(&self, connection: &Connection, now: Instant) {
        let limit = self.node.settings.live.outbox_limit();
        if !limit.is_above_soft(self.hub.borrow().outbox(connection.seat).pending_bytes()) {
            connection.slow_since.set(None);
            return;
        }
        let since = connection.slow_since.get().unwrap_or(now);
        connection.slow_since.set(Some(since));
        if now.duration_since(since) >= Duration::from_secs(limit.soft_s.get()) {
            self.cut_off(connection, CloseReason::OutboxSoftLimit);
        }
    }

    /// The setting `timeout`. As in Redis, subscribers and monitors may be quiet for as long as they like, and
    /// a client whose commands are held back is not the one that is silent.
    fn close_if_idle(&self, connection: &Connection, now: Instant) {
        if connection.was_heard.replace(false) {
            connection.heard.set(now);
        }
        let idle_s = self.node.settings.live.idle_s.get();
        if idle_s == 0 || now.saturating_duration_since(connection.heard.get()).as_secs() < idle_s {
            return;
        }
        let is_exempt =
            self.hub.borrow().counts(connection.seat).any() || connection.session.borrow().is_monitor;
        if !is_exempt && !connection.is_held_back.get() {
            connection.close(CloseReason::Idle);
        }
    }

    /// Closes a stranger who takes more than strangers may: time, bytes that it sends, bytes that it does not read.
    pub(super) fn close_if_stranger(&self, connection: &Connection, now: Instant) {
        let limits = &self.node.settings.live.limits;
        if !access::needs_auth(self, connection) {
            return;
        }
        let connected = connection.session.borrow().connected;
        let waits = self.hub.borrow().outbox(connection.seat).pending_bytes();
        let auth_s = limits.auth_s.get();
        let reason = if auth_s > 0 && now.saturating_duration_since(connected).as_secs() >= auth_s {
            CloseReason::AuthTimeout
        } else if limits.unauthenticated_input_bytes.is_exceeded_by(connection.stranger_bytes.get()) {
            CloseReason::UnauthenticatedInput
        } else if connection.is_write_blocked.get()
            && limits.unauthenticated_output_bytes.is_exceeded_by(waits)
        {
            CloseReason::UnauthenticatedOutput
        } else {
            return;
        };
        self.cut_off(connection, reason);
    }

    /// Keeps what all clients make the node hold below its bound, by closing those of this shard that hold most. Called
    /// at the end of a turn, and whenever a connection has left more to be held.
    pub(super) fn keep_to_the_budget(&self) {
        let node = &self.node;
        let mut own = self.note_held();
        let limit = &node.settings.live.limits.clients_bytes;
        let of_node = || node.stats.iter().map(|shard| shard.held_bytes.load(Ordering::Relaxed)).sum::<u64>();
        while limit.is_exceeded_by(of_node() as usize) {
            // Of several shards, those that hold more than their share see to it; one of them always does.
            let share = of_node() / node.stats.len() as u64;
            if own < share || !self.close_the_largest(of_node()) {
                return;
            }
            own = self.note_held();
        }
    }

    /// Tells the other shards what the clients of this one make it hold.
    fn note_held(&self) -> u64 {
        let held = (self.hub.borrow().held_bytes() + self.holdings.bytes()) as u64;
        self.stats().held_bytes.store(held, Ordering::Relaxed);
        held
    }

    /// False when there is none that holds anything.
    fn close_the_largest(&self, held_by_all: u64) -> bool {
        let held =
            |connection: &Connection| self.hub.borrow().held_by(connection.seat) + connection.held_bytes();
        let connections = self.connections().into_iter().filter(|connection| !connection.is_closing());
        let Some((bytes, largest)) = connections.map(|one| (held(&one), one)).max_by_key(|(bytes, _)| *bytes)
        else {
            return false;
        };
        if bytes == 0 {
            return false;
        }
        let (client, addr) = (largest.id, &largest.peer);
        tracing::warn!(
            client,
            addr,
            bytes,
            held_by_all,
            "clients hold too much; closing the one that holds most"
        );
        self.cut_off(&largest, CloseReason::MemoryBudget);
        super::serve::end_subscriptions(self, &largest);
        largest.unread_input.set(0);
        true
    }
}

/// Looks once a second at every client.
pub(super) async fn tick(shard: Rc<Shard>) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        let now = Instant::now();
        let (mut blocked, mut largest, mut subscriptions) = (0, 0, 0);
        for connection in shard.connections() {
            shard.close_if_slow(&connection, now);
            shard.close_if_idle(&connection, now);
            shard.close_if_handshake_is_late(&connection, now);
            shard.close_if_stranger(&connection, now);
            let hub = shard.hub.borrow();
            blocked += u64::from(connection.is_write_blocked.get());
            largest = largest.max(hub.outbox(connection.seat).pending_bytes() as u64);
            subscriptions += hub.counts(connection.seat).all() as u64;
        }
        let stats = shard.stats();
        stats.blocked.store(blocked, Ordering::Relaxed);
        stats.largest_outbox.store(largest, Ordering::Relaxed);
        stats.subscriptions.store(subscriptions, Ordering::Relaxed);
        shard.keep_to_the_budget();
    }
}
