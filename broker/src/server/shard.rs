//! One thread and the connections that live on it.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::{Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::runtime::LocalOptions;

use super::{
    CloseReason, Node, Relay, ShardStats, access,
    connection::Connection,
    holdings::Holdings,
    inbox::Envelope,
    patience,
    stream::{Liveness, Socket, Stream},
    turn::{READ_BYTES, Turn},
};
use crate::{
    acl::Users,
    hub::{Hub, Seat},
};

/// Pieces that one write takes at most.
const SLICES: usize = 64;

/// The state of one shard. Never leaves its thread.
#[derive(Debug)]
pub struct Shard {
    pub(crate) index: usize,
    pub(crate) node: Arc<Node>,
    pub(crate) hub: RefCell<Hub>,
    /// The node's users, as this shard knows them.
    pub(super) users: RefCell<Arc<Users>>,
    /// Where connections without unfinished input read into.
    pub(crate) scratch: RefCell<Vec<u8>>,
    is_draining: Cell<bool>,
    has_ended: Cell<bool>,
    pub(super) connections: RefCell<Vec<Option<Rc<Connection>>>>,
    /// Connections that this shard has ever taken over.
    adopted: Cell<u64>,
    monitors: RefCell<Vec<Seat>>,
    /// What connections hold beside what the hub holds for them.
    pub(super) holdings: Holdings,
    /// What is to be sent to the other shards at the end of the turn.
    pub(super) outgoing: RefCell<Vec<Vec<Envelope>>>,
    flusher: RefCell<Option<Waker>>,
    /// The way to other nodes; on the first shard of a node that has any.
    pub(super) relay: RefCell<Option<Rc<dyn Relay>>>,
    /// Connections that get their messages with their numbers.
    pub(super) positioned: Cell<usize>,
    /// How often this shard has closed its connections because the node was fenced.
    fences: Cell<u64>,
    has_work: Cell<bool>,
    pub(super) turn: Cell<Turn>,
}

impl Shard {
    /// Serves until the node stops.
    pub(crate) fn run(index: usize, node: Arc<Node>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .expect("a shard needs an epoll descriptor; raise the limit on open files");
        let shard = Rc::new(Self {
            index,
            hub: RefCell::new(Hub::new(node.hasher.clone())),
            scratch: RefCell::new(Vec::with_capacity(READ_BYTES + READ_BYTES / 4)),
            users: RefCell::new(node.access.users()),
            is_draining: Cell::new(false),
            has_ended: Cell::new(false),
            connections: RefCell::default(),
            adopted: Cell::new(0),
            monitors: RefCell::default(),
            holdings: Holdings::default(),
            outgoing: RefCell::new((0..node.settings.shards).map(|_| Vec::new()).collect()),
            flusher: RefCell::default(),
            relay: RefCell::default(),
            positioned: Cell::new(0),
            fences: Cell::new(0),
            has_work: Cell::new(false),
            turn: Cell::default(),
            node,
        });
        runtime.block_on(async {
            tokio::task::spawn_local(flush_turns(Rc::clone(&shard)));
            tokio::task::spawn_local(patience::tick(Rc::clone(&shard)));
            receive(&shard).await;
        });
        // They hold each other.
        shard.relay.take();
    }

    /// Counters of this shard.
    pub(crate) fn stats(&self) -> &ShardStats {
        &self.node.stats[self.index]
    }

    /// The connections of this shard.
    pub(crate) fn connections(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().iter().flatten().cloned().collect()
    }

    /// Sees to it that outboxes and batches are sent at the end of this turn.
    pub(crate) fn schedule_flush(&self) {
        if !self.has_work.replace(true)
            && let Some(waker) = &*self.flusher.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// Shows a command to everyone who said MONITOR.
    pub(crate) fn show_to_monitors(&self, line: &[u8]) {
        self.append_to_monitors(line);
        for (shard, inbox) in self.node.inboxes.iter().enumerate() {
            if shard != self.index {
                inbox.push(Envelope::Monitor(Bytes::copy_from_slice(line)));
            }
        }
    }

    pub(crate) fn add_monitor(&self, seat: Seat) {
        self.monitors.borrow_mut().push(seat);
        self.node.monitors.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn remove_monitor(&self, seat: Seat) {
        self.monitors.borrow_mut().retain(|other| *other != seat);
        self.node.monitors.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets every connection answer what it has been sent, and end: one after the other, over some time, so that
    /// they do not come back all at once.
    pub(crate) fn drain(&self, over: Duration) {
        self.is_draining.set(true);
        let connections = self.connections();
        tokio::task::spawn_local(async move {
            let (start, count) = (tokio::time::Instant::now(), connections.len().max(1) as u32);
            for (index, connection) in connections.into_iter().enumerate() {
                if !over.is_zero() {
                    tokio::time::sleep_until(start + over * index as u32 / count).await;
                }
                connection.is_leaving.set(true);
                connection.wake();
            }
        });
    }

    /// Ends the shard's thread.
    pub(crate) fn end(&self) {
        self.has_ended.set(true);
    }

    /// Gives the seat of a connection that has ended to the next one.
    pub(crate) fn leave(&self, seat: Seat) {
        self.connections.borrow_mut()[seat] = None;
        self.hub.borrow_mut().disconnect(seat);
        self.node.release();
    }

    /// Closes every connection if the node may not act for its clients. Returns whether it may.
    fn check_gate(&self) -> bool {
        let gate = &self.node.gate;
        let fences = gate.fences();
        if fences == self.fences.get() && gate.is_open() {
            return true;
        }
        self.fences.set(fences);
        for connection in self.connections() {
            self.cut_off(&connection, CloseReason::Fenced);
        }
        false
    }

    /// Writes what waits for one connection, as far as its socket takes it and the node may.
    ///
    /// The gate is looked at before each write, not once for all connections: a process that is stopped in the
    /// middle of a fan-out must not finish it when it wakes up.
    pub(crate) fn write(&self, connection: &Connection) {
        let seat = connection.seat;
        loop {
            let is_empty = self.hub.borrow().outbox(seat).pending_bytes() == 0;
            if is_empty && !connection.stream.has_unsent() {
                if connection.waits_for_room.get() {
                    connection.wake();
                }
                return;
            }
            if !self.check_gate() {
                return;
            }
            let result = if is_empty {
                connection.stream.send_unsent().map(|()| 0)
            } else {
                self.write_once(connection)
            };
            match result {
                Ok(written) => {
                    self.stats().writes.add(1);
                    self.stats().output_bytes.add(written as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.wait_until_writable(connection);
                }
                Err(error) => return self.cut_off(connection, CloseReason::from_io(&error)),
            }
        }
    }

    /// Takes what was written out of the outbox.
    fn write_once(&self, connection: &Connection) -> io::Result<usize> {
        let seat = connection.seat;
        let mut hub = self.hub.borrow_mut();
        if let Stream::Pipe(pipe) = &connection.stream {
            return pipe.try_send(|room, pieces| hub.take_pieces(seat, room, pieces));
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = hub.outbox(seat).slices(&mut slices);
        let written = connection.stream.try_write(&slices[..filled])?;
        hub.advance(seat, written);
        Ok(written)
    }

    fn wait_until_writable(&self, connection: &Connection) {
        connection.is_write_blocked.set(true);
        connection.wake();
        self.close_if_outbox_is_full(connection);
    }

    fn append_to_monitors(&self, line: &[u8]) {
        for &seat in &*self.monitors.borrow() {
            self.hub.borrow_mut().append(seat, line);
        }
        self.schedule_flush();
    }

    /// One end of a turn.
    fn flush(&self, seats: &mut Vec<Seat>) {
        let turn = self.turn.take();
        if let Some(relay) = &*self.relay.borrow() {
            relay.flush();
        }
        // The other shards first: they can work while this one writes.
        for (shard, batch) in self.outgoing.borrow_mut().iter_mut().enumerate() {
            if !batch.is_empty() {
                self.node.inboxes[shard].push_batch(batch);
            }
        }
        self.hub.borrow_mut().take_dirty(seats);
        if !self.check_gate() {
            return;
        }
        // The last one first, as Redis does. That is mostly the publisher: it reads its answer and sends what is next while the
        // subscribers are written to. With them first, whoever reads all that is there sleeps again, and is woken for each
        // write: one message at a time for ten subscribers cost 7.1 us a delivery that way round, and 4.4 this way. Only one
        // subscriber has nothing to be woken for in between, and has its message a sixth sooner if it comes first.
        if seats.len() > 2 {
            seats.reverse();
        }
        for &seat in &*seats {
            let connection = self.connections.borrow()[seat].clone();
            if let Some(connection) = connection {
                if connection.is_write_blocked.get() {
                    // Its task waits for the socket already.
                    self.close_if_outbox_is_full(&connection);
                } else {
                    self.write(&connection);
                }
            }
        }
        self.stats().turns.add(1);
        if let Turn { start: Some(start), delivered, .. } = turn {
            self.stats().delivery_time.record(start.elapsed(), delivered);
        }
        self.keep_to_the_budget();
    }

    fn open(self: &Rc<Self>, envelope: Envelope) {
        match envelope {
            Envelope::Deliver(message, ticket) => {
                let receivers =
                    self.hub.borrow_mut().publish(message.kind, &message.channel, &message.payload);
                self.note_delivered(receivers);
                self.outgoing.borrow_mut()[ticket.shard()].push(Envelope::Delivered(ticket, receivers));
            }
            Envelope::DeliverNumbered(message, stamp) => {
                self.deliver_numbered_here(&stamp, message.kind, &message.channel, &message.payload);
            }
            Envelope::Relay(message, ticket) => {
                if let Some(relay) = &*self.relay.borrow() {
                    relay.publish(message.kind, &message.channel, &message.payload, ticket);
                }
            }
            Envelope::Delivered(ticket, receivers) => self.complete(ticket, receivers),
            Envelope::Adopt(socket) => self.adopt(socket),
            Envelope::Monitor(line) => self.append_to_monitors(&line),
            Envelope::Run(action) => action(self),
        }
    }

    /// A number for a new connection. Numbers are dealt out by shard, so that no two shards give the same one.
    fn next_client(&self) -> u64 {
        let adopted = self.adopted.replace(self.adopted.get() + 1);
        adopted * self.node.settings.shards as u64 + self.index as u64 + 1
    }

    fn liveness(&self) -> Liveness {
        let settings = &self.node.settings;
        Liveness { keepalive_s: settings.live.keepalive_s.get(), user_timeout_ms: settings.user_timeout_ms }
    }

    fn adopt(self: &Rc<Self>, socket: Socket) {
        let id = self.next_client();
        self.stats().connections.add(1);
        let stream = match Stream::new(socket.kind, self.liveness(), self.node.tls.get()) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(client = id, addr = socket.caller.peer, %error, "a connection could not be set up");
                self.node.release();
                return;
            }
        };
        let is_in_process = matches!(stream, Stream::Pipe(_));
        let seat = {
            let mut hub = self.hub.borrow_mut();
            if is_in_process { hub.connect_in_process() } else { hub.connect() }
        };
        let users = Arc::clone(&self.users.borrow());
        let (caller, held) = (socket.caller, self.holdings.part());
        let connection = Connection::new(id, seat, stream, caller, held, users.default_user());
        if is_in_process {
            access::make_owner(&connection);
        }
        let connection = Rc::new(connection);
        connection.is_leaving.set(self.is_draining.get());
        let mut connections = self.connections.borrow_mut();
        if connections.len() <= seat {
            connections.resize_with(seat + 1, || None);
        }
        connections[seat] = Some(Rc::clone(&connection));
        tokio::task::spawn_local(super::serve::serve(Rc::clone(self), connection));
    }
}

/// Runs whenever something has been put into an outbox or a batch. It is woken by the first, so it runs after
/// every task that was ready in the same turn, and sends what all of them have left.
async fn flush_turns(shard: Rc<Shard>) {
    let mut seats = Vec::new();
    std::future::poll_fn::<(), _>(|context| {
        if shard.flusher.borrow().is_none() {
            *shard.flusher.borrow_mut() = Some(context.waker().clone());
        }
        if shard.has_work.replace(false) {
            shard.flush(&mut seats);
        }
        Poll::Pending
    })
    .await;
}

/// Takes what arrives from other threads, until the shard ends.
async fn receive(shard: &Rc<Shard>) {
    let mut batch = Vec::new();
    while !shard.has_ended.get() {
        shard.node.inboxes[shard.index].receive(&mut batch).await;
        for envelope in batch.drain(..) {
            shard.open(envelope);
        }
        shard.schedule_flush();
    }
}
