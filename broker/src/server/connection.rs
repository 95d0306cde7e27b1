//! One connection: its task reads requests and runs them; the shard writes.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use carillon_proto::resp::{Encoder, RequestDecoder};

use super::{
    CloseReason, Shard,
    dispatch::{self, Flow},
    inbox::Ticket,
    pause::Paused,
    session::Session,
    shard::READ_BYTES,
    stream::Stream,
};
use crate::hub::{ChannelKind, Seat, SubscriptionKind};

/// Publishes of one connection that may wait for other shards at a time. Further ones are not read.
const PUBLISHES_IN_FLIGHT_MAX: usize = 1024;

/// Bytes that may wait for a client before its further commands do. Bounds what a client can ask for without
/// reading the answers.
const UNREAD_REPLIES_MAX: usize = 1024 * 1024;

/// How long a closing connection may take to receive its last replies.
const LAST_REPLIES_TIME_MAX: Duration = Duration::from_secs(2);

/// How long the client may take to close its side after that. Closing with unread input makes the kernel send
/// a reset, which may take the last replies with it.
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

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
    pub(crate) session: RefCell<Session>,
    /// The socket took no more: its task waits until it does.
    pub(crate) is_write_blocked: Cell<bool>,
    /// Its task runs no commands until what waits for the client has left.
    pub(crate) waits_for_room: Cell<bool>,
    /// Since when its outbox is above the soft limit.
    pub(crate) slow_since: Cell<Option<Instant>>,
    /// Bytes of input that are not a complete request yet, or wait to be run.
    pub(crate) unread_input: Cell<usize>,
    publishes: RefCell<VecDeque<InFlight>>,
    /// Number of the publish at the front of `publishes`.
    first_publish: Cell<u64>,
    closing: Cell<Option<CloseReason>>,
    waker: RefCell<Option<Waker>>,
}

/// A publish that other shards have not answered yet.
#[derive(Debug)]
struct InFlight {
    legs_left: u32,
    receivers: u64,
    wants_reply: bool,
}

/// Why a connection's task does not run further commands.
enum Stop {
    /// All that has arrived is done.
    NeedsInput,
    /// Publishes have to be answered first, or replies to be read.
    MustWait,
    Paused,
    Deferred(Deferred),
    Close(CloseReason),
}

impl Connection {
    pub(crate) fn new(id: u64, seat: Seat, stream: Stream, peer: String, local: Arc<str>) -> Self {
        Self {
            id,
            seat,
            stream,
            peer,
            local,
            session: RefCell::new(Session::new(Instant::now())),
            is_write_blocked: Cell::new(false),
            waits_for_room: Cell::new(false),
            slow_since: Cell::new(None),
            unread_input: Cell::new(0),
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
        let ticket = Ticket { shard: shard.index, seat: self.seat, client: self.id, number };
        let (receivers, legs_left) = shard.publish(kind, channel, payload, ticket);
        let wants_reply = self.session.borrow().wants_reply();
        if legs_left == 0 && publishes.is_empty() {
            drop(publishes);
            return self.reply(shard, |reply| reply.integer(receivers));
        }
        publishes.push_back(InFlight { legs_left, receivers, wants_reply });
    }

    /// One more leg of a publish is complete.
    pub(crate) fn delivered(&self, shard: &Shard, number: u64, receivers: u64) {
        let mut publishes = self.publishes.borrow_mut();
        let at = (number - self.first_publish.get()) as usize;
        let Some(publish) = publishes.get_mut(at) else { return };
        publish.legs_left -= 1;
        publish.receivers += receivers;
        while publishes.front().is_some_and(|publish| publish.legs_left == 0) {
            if let Some(publish) = publishes.pop_front().filter(|publish| publish.wants_reply) {
                self.push(shard, |reply| reply.integer(publish.receivers));
            }
            self.first_publish.set(self.first_publish.get() + 1);
        }
        self.wake();
    }

    fn publishes_in_flight(&self) -> usize {
        self.publishes.borrow().len()
    }
}

/// Serves one connection from its first byte to its last.
pub(crate) async fn serve(shard: Rc<Shard>, connection: Rc<Connection>) {
    tracing::debug!(client = connection.id, addr = connection.peer, "connected");
    let _departure = Departure { shard: &shard, connection: &connection };
    let decoder = RequestDecoder::new(shard.node.settings.argument_bytes_max);
    let mut reader = Reader { shard: &shard, connection: &connection, decoder, input: Vec::new() };
    let reason = reader.run().await;
    end_subscriptions(&shard, &connection);
    if reason.answers_first() {
        reader.finish().await;
    }
    report(&shard, &connection, reason);
}

/// Clears a connection's place whatever ends its task: a panic must not leave a socket that is open and deaf.
struct Departure<'a> {
    shard: &'a Rc<Shard>,
    connection: &'a Rc<Connection>,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (client, addr) = (self.connection.id, &self.connection.peer);
            tracing::error!(
                client,
                addr,
                "a command made the connection's task panic; the connection is closed"
            );
        }
        end_subscriptions(self.shard, self.connection);
        self.shard.leave(self.connection.seat);
    }
}

fn end_subscriptions(shard: &Shard, connection: &Connection) {
    use SubscriptionKind::{Channel, Pattern, ShardChannel};
    for kind in [Channel, Pattern, ShardChannel] {
        dispatch::unsubscribe_all(shard, connection.seat, kind, |_| {});
    }
    if std::mem::take(&mut connection.session.borrow_mut().is_monitor) {
        shard.remove_monitor(connection.seat);
    }
}

fn report(shard: &Shard, connection: &Connection, reason: CloseReason) {
    shard.stats().closed[reason.index()].add(1);
    let session = connection.session.borrow();
    let name = String::from_utf8_lossy(&session.name);
    let (client, addr, reason_label) = (connection.id, &connection.peer, reason.label());
    if reason.is_notable() {
        tracing::info!(client, addr, %name, reason = reason_label, "connection closed");
    } else {
        tracing::debug!(client, addr, %name, reason = reason_label, "connection closed");
    }
}

/// The reading half: input and what it is decoded with.
struct Reader<'a> {
    shard: &'a Rc<Shard>,
    connection: &'a Rc<Connection>,
    decoder: RequestDecoder,
    /// Input that could not be run yet. Empty, and without memory, most of the time.
    input: Vec<u8>,
}

impl Reader<'_> {
    async fn run(&mut self) -> CloseReason {
        let mut is_last_input = false;
        loop {
            if let Some(reason) = self.connection.closing.get() {
                return reason;
            }
            let stop = if is_last_input || !self.input.is_empty() || self.has_queued() {
                self.run_input()
            } else {
                Stop::NeedsInput
            };
            match stop {
                Stop::NeedsInput if is_last_input => {
                    let reason = if self.shard.is_draining.get() {
                        CloseReason::Shutdown
                    } else {
                        CloseReason::PeerClosed
                    };
                    return reason;
                }
                Stop::NeedsInput => match self.read().await {
                    Ok(Some(stop)) => {
                        if let Some(reason) = self.after_read(stop).await {
                            return reason;
                        }
                    }
                    Ok(None) => is_last_input = true,
                    Err(error) => return CloseReason::from_io(&error),
                },
                other => {
                    if let Some(reason) = self.after_read(other).await {
                        return reason;
                    }
                }
            }
        }
    }

    /// Waits for what stopped the last run. Returns the reason when the connection is to end.
    async fn after_read(&mut self, stop: Stop) -> Option<CloseReason> {
        match stop {
            Stop::NeedsInput => {}
            Stop::Paused => self.shard.node.pause.over().await,
            Stop::Deferred(deferred) => {
                let reply = deferred.await;
                if self.connection.session.borrow().wants_reply() {
                    self.shard.hub.borrow_mut().append(self.connection.seat, &reply);
                    self.shard.schedule_flush();
                }
                self.connection.session.borrow_mut().command_done();
            }
            Stop::MustWait => self.wait_for_room().await,
            Stop::Close(reason) => return Some(reason),
        }
        None
    }

    fn has_queued(&self) -> bool {
        !self.connection.session.borrow().executing.is_empty()
    }

    /// Waits for input and runs it. `None` at its end: the client has closed, or the node drains and there is
    /// nothing more to read.
    async fn read(&mut self) -> io::Result<Option<Stop>> {
        let shard = Rc::clone(self.shard);
        let ready = self.wait(true).await?;
        if !ready {
            return Ok(Some(Stop::NeedsInput));
        }
        let (stop, has_more) = match self.read_now() {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // While the node drains, this is the moment at which all that was sent has been read.
                return Ok(if shard.is_draining.get() { None } else { Some(Stop::NeedsInput) });
            }
            Err(error) => return Err(error),
        };
        if has_more {
            // The others come first.
            tokio::task::yield_now().await;
        }
        Ok(stop)
    }

    /// Reads once and runs what it can. Returns what stopped it, `None` at the end of input, and whether more is
    /// likely to be waiting.
    fn read_now(&mut self) -> io::Result<(Option<Stop>, bool)> {
        let shard = Rc::clone(self.shard);
        let mut scratch = shard.scratch.borrow_mut();
        // Unfinished input is continued where it is; otherwise requests are run straight from the shard's buffer.
        let is_continued = !self.input.is_empty();
        let buffer = if is_continued { &mut self.input } else { &mut *scratch };
        if is_continued {
            buffer.reserve(READ_BYTES);
        } else {
            buffer.clear();
        }
        let room = buffer.capacity() - buffer.len();
        let count = self.connection.stream.try_read(buffer)?;
        if count == 0 {
            return Ok((None, false));
        }
        shard.stats().reads.add(1);
        shard.stats().input_bytes.add(count as u64);
        let stop = if is_continued {
            self.run_input()
        } else {
            let (used, stop) = self.run_requests(&scratch);
            self.input.extend_from_slice(&scratch[used..]);
            self.connection.unread_input.set(self.input.len());
            stop
        };
        Ok((Some(stop), count == room))
    }

    /// Runs what has been read but not run.
    fn run_input(&mut self) -> Stop {
        let input = std::mem::take(&mut self.input);
        let (used, stop) = self.run_requests(&input);
        if used < input.len() {
            self.input = input;
            self.input.drain(..used);
        }
        self.connection.unread_input.set(self.input.len());
        stop
    }

    /// Runs as many requests as it may, those of EXEC first. Returns the bytes it has used.
    fn run_requests(&mut self, input: &[u8]) -> (usize, Stop) {
        let mut used = 0;
        loop {
            if self.connection.is_closing() {
                return (used, Stop::NeedsInput);
            }
            if self.shard.hub.borrow().outbox(self.connection.seat).pending_bytes() > UNREAD_REPLIES_MAX {
                return (used, Stop::MustWait);
            }
            let in_flight = self.connection.publishes_in_flight();
            // Publishes may overtake nothing and be overtaken by nothing; only they may be in flight together.
            let must_wait =
                |is_publish: bool| in_flight > 0 && !is_publish || in_flight >= PUBLISHES_IN_FLIGHT_MAX;
            let queued = self.connection.session.borrow_mut().executing.pop_front();
            let flow = if let Some(queued) = queued {
                if must_wait(dispatch::is_publish(queued.as_request())) {
                    self.connection.session.borrow_mut().executing.push_front(queued);
                    return (used, Stop::MustWait);
                }
                dispatch::run_queued(self.shard, self.connection, queued.as_request())
            } else {
                let (request, len) = match self.decoder.decode(&input[used..]) {
                    Ok(Some(decoded)) => decoded,
                    Ok(None) => return (used, Stop::NeedsInput),
                    Err(_) if in_flight > 0 => return (used, Stop::MustWait),
                    Err(error) => {
                        self.connection.push(self.shard, |reply| reply.error(format!("ERR {error}")));
                        self.shard.stats().errors.add(1);
                        return (input.len(), Stop::Close(CloseReason::ProtocolError));
                    }
                };
                if request.is_empty() {
                    used += len;
                    continue;
                }
                let is_publish = dispatch::is_publish(request);
                if must_wait(is_publish) {
                    return (used, Stop::MustWait);
                }
                let paused = self.shard.node.pause.now();
                if paused == Paused::Everything || paused == Paused::Publishing && is_publish {
                    return (used, Stop::Paused);
                }
                used += len;
                dispatch::run(self.shard, self.connection, request)
            };
            match flow {
                Flow::Continue => {}
                Flow::Defer(deferred) => return (used, Stop::Deferred(deferred)),
                Flow::Close(reason) => return (used, Stop::Close(reason)),
            }
        }
    }

    /// Waits until replies have left or publishes are answered.
    async fn wait_for_room(&self) {
        let _ = self.wait(false).await;
    }

    /// Waits for input if `wants_input`, or to be woken. Sees to a blocked outbox meanwhile.
    async fn wait(&self, wants_input: bool) -> io::Result<bool> {
        let (shard, connection) = (self.shard, self.connection);
        let mut is_first = true;
        std::future::poll_fn(|context| {
            let is_registered =
                connection.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
            if !is_registered {
                *connection.waker.borrow_mut() = Some(context.waker().clone());
            }
            // A write that blocks again has made the socket not ready, so this ends by waiting for it.
            while connection.is_write_blocked.get() && connection.stream.poll_write_ready(context).is_ready()
            {
                connection.is_write_blocked.set(false);
                shard.write(connection);
            }
            if wants_input {
                // A closing connection reads no more, but it still waits for room: for its last replies.
                if connection.is_closing() {
                    return Poll::Ready(Ok(false));
                }
                if shard.is_draining.get() {
                    return Poll::Ready(Ok(true));
                }
                return connection.stream.poll_read_ready(context).map(|ready| ready.map(|()| true));
            }
            connection.waits_for_room.set(std::mem::take(&mut is_first));
            if connection.waits_for_room.get() { Poll::Pending } else { Poll::Ready(Ok(false)) }
        })
        .await
    }

    /// Sends the last replies and waits for the client to close.
    async fn finish(&self) {
        let (shard, connection) = (self.shard, self.connection);
        let sent = async {
            while connection.publishes_in_flight() > 0 {
                self.wait_for_room().await;
            }
            loop {
                shard.write(connection);
                if shard.hub.borrow().outbox(connection.seat).is_empty() {
                    return;
                }
                let ready = std::future::poll_fn(|context| connection.stream.poll_write_ready(context));
                if ready.await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(LAST_REPLIES_TIME_MAX, sent).await;
        if connection.stream.finish().is_err() {
            return;
        }
        let closed = async {
            let mut discarded = Vec::with_capacity(4096);
            loop {
                discarded.clear();
                match connection.stream.try_read(&mut discarded) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let ready =
                            std::future::poll_fn(|context| connection.stream.poll_read_ready(context));
                        if ready.await.is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(LINGER_TIME_MAX, closed).await;
    }
}
