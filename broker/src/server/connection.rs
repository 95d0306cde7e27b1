//! What the rest of a shard knows of one connection, and its publishes that are not answered yet.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::Waker,
    time::Instant,
};

use carillon_proto::resp::Encoder;

use super::{
    CloseReason, Shard,
    addresses::Place,
    holdings::Held,
    inbox::Ticket,
    session::Session,
    stats::CALLS_PER_TIMED,
    stream::{Caller, Stream},
};
use crate::{
    acl::User,
    hub::{ChannelKind, Seat},
};

/// A command that has to wait for other shards before it can be answered; yields its encoded reply.
pub(crate) type Deferred = Pin<Box<dyn Future<Output = Vec<u8>>>>;

/// What the rest of the shard knows of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) seat: Seat,
    pub(crate) stream: Stream,
    pub(crate) peer: String,
    pub(crate) local: Arc<str>,
    _place: Option<Place>,
    pub(crate) session: RefCell<Session>,
    /// Its user may do everything, so that nothing has to be asked before a command. False before authentication.
    pub(crate) is_unchecked: Cell<bool>,
    /// The socket took no more: its task waits until it does.
    pub(crate) is_write_blocked: Cell<bool>,
    /// It ends as soon as all that it was sent is answered.
    pub(crate) is_leaving: Cell<bool>,
    /// Its task runs no commands until what waits for the client has left.
    pub(crate) waits_for_room: Cell<bool>,
    /// Since when its outbox is above the soft limit.
    pub(crate) slow_since: Cell<Option<Instant>>,
    /// Something was read from it since the shard last looked.
    pub(crate) was_heard: Cell<bool>,
    /// When something was last read from it, to the second.
    pub(crate) heard: Cell<Instant>,
    /// CLIENT PAUSE keeps its commands from being run.
    pub(crate) is_held_back: Cell<bool>,
    /// Bytes of input that are not a complete request yet, or wait to be run.
    pub(crate) unread_input: Held,
    /// Bytes that it has sent before it showed its password.
    pub(crate) stranger_bytes: Cell<usize>,
    publishes: RefCell<VecDeque<InFlight>>,
    /// Number of the publish at the front of `publishes`.
    first_publish: Cell<u64>,
    pub(super) closing: Cell<Option<CloseReason>>,
    pub(super) waker: RefCell<Option<Waker>>,
}

/// A publish that other shards have not answered yet.
#[derive(Debug)]
struct InFlight {
    legs_left: u32,
    receivers: u64,
    wants_reply: bool,
    /// When it came, of those whose time is taken.
    began: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(
        id: u64,
        seat: Seat,
        stream: Stream,
        caller: Caller,
        unread_input: Held,
        default: &Arc<User>,
    ) -> Self {
        let now = Instant::now();
        let Caller { peer, local, place } = caller;
        Self {
            id,
            seat,
            stream,
            peer,
            local,
            _place: place,
            session: RefCell::new(Session::new(now, default)),
            is_unchecked: Cell::new(default.is_open() && default.is_unrestricted()),
            is_write_blocked: Cell::new(false),
            is_leaving: Cell::new(false),
            waits_for_room: Cell::new(false),
            slow_since: Cell::new(None),
            was_heard: Cell::new(false),
            heard: Cell::new(now),
            is_held_back: Cell::new(false),
            unread_input,
            stranger_bytes: Cell::new(0),
            publishes: RefCell::default(),
            first_publish: Cell::new(0),
            closing: Cell::new(None),
            waker: RefCell::default(),
        }
    }

    /// Asks the connection to end. The first reason counts.
    pub(crate) fn close(&self, reason: CloseReason) {
        if self.closing.get().is_none() {
            self.closing.set(Some(reason));
        }
        self.wake();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Appends a reply, unless the client does not want this one.
    pub(crate) fn reply(&self, shard: &Shard, write: impl FnOnce(&mut Encoder<'_>)) {
        if self.session.borrow().wants_reply() {
            self.push(shard, write);
        }
    }

    /// Appends what is sent whether replies are wanted or not: confirmations of subscriptions.
    pub(crate) fn push(&self, shard: &Shard, write: impl FnOnce(&mut Encoder<'_>)) {
        shard.hub.borrow_mut().reply(self.seat, write);
        shard.schedule_flush();
    }

    /// Runs PUBLISH or SPUBLISH. Its reply keeps its place among the replies to the publishes before it.
    pub(crate) fn publish(&self, shard: &Shard, kind: ChannelKind, channel: &[u8], payload: &[u8]) {
        let mut publishes = self.publishes.borrow_mut();
        let number = self.first_publish.get() + publishes.len() as u64;
        let ticket = Ticket::Client { shard: shard.index, seat: self.seat, client: self.id, number };
        let (receivers, legs_left) = shard.publish(kind, channel, payload, ticket);
        let (wants_reply, came) = {
            let session = self.session.borrow();
            (session.wants_reply(), session.last_active)
        };
        if legs_left == 0 && publishes.is_empty() {
            drop(publishes);
            return self.reply(shard, |reply| reply.integer(receivers));
        }
        let began = number.is_multiple_of(CALLS_PER_TIMED).then_some(came);
        publishes.push_back(InFlight { legs_left, receivers, wants_reply, began });
    }

    /// One more leg of a publish is complete.
    pub(crate) fn delivered(&self, shard: &Shard, number: u64, receivers: u64) {
        let mut publishes = self.publishes.borrow_mut();
        let at = (number - self.first_publish.get()) as usize;
        let Some(publish) = publishes.get_mut(at) else { return };
        publish.legs_left -= 1;
        publish.receivers += receivers;
        while publishes.front().is_some_and(|publish| publish.legs_left == 0) {
            let Some(publish) = publishes.pop_front() else { break };
            if let Some(began) = publish.began {
                shard.stats().publish_time.record(began.elapsed(), 1);
            }
            if publish.wants_reply {
                self.push(shard, |reply| reply.integer(publish.receivers));
            }
            self.first_publish.set(self.first_publish.get() + 1);
        }
        self.wake();
    }

    /// Bytes that it makes the shard hold, beside what the hub holds for it.
    pub(super) fn held_bytes(&self) -> usize {
        let session = self.session.borrow();
        let queued = session.transaction.as_ref().map_or(0, |transaction| transaction.held.get());
        let executing = session.executing.as_ref().map_or(0, |executing| executing.held.get());
        self.unread_input.get() + queued + executing
    }

    pub(super) fn publishes_in_flight(&self) -> usize {
        self.publishes.borrow().len()
    }
}
