//! The reading half of a connection: requests are run straight from what has been read.

use std::{
    io,
    rc::Rc,
    sync::atomic::Ordering,
    task::Poll,
    time::{Duration, Instant},
};

use carillon_proto::resp::RequestDecoder;

use super::{
    CloseReason, Shard, access,
    connection::{Connection, Deferred},
    dispatch::{self, Flow},
    pause::Paused,
    replay::{self, Replay},
    turn::READ_BYTES,
};

/// Publishes of one connection that may wait for other shards at a time. Further ones are not read.
const PUBLISHES_IN_FLIGHT_MAX: usize = 1024;

/// Deliveries after which a turn ends, whatever more has been read: a millisecond's or two. Bounds what a publisher with
/// many subscribers and much in flight adds to the latency of all others.
const DELIVERIES_IN_A_TURN_MAX: u64 = 16 * 1024;

/// Unfinished input up to this size is copied to the front of the shard's buffer, rather than continued where it is.
const CONTINUED_BYTES_MAX: usize = 64 * 1024;

/// Bytes that may wait for a client before its further commands do. Bounds what a client can ask for without
/// reading the answers.
const UNREAD_REPLIES_MAX: usize = 1024 * 1024;

/// How long a connection that is to leave may go on sending before all that it sent is answered. One that never
/// stops has to be closed in the middle.
const BUSY_TIME_MAX: Duration = Duration::from_secs(1);

/// Why a connection's task does not run further commands.
enum Stop {
    /// All that has arrived is done.
    NeedsInput,
    /// Publishes have to be answered first, or replies to be read.
    MustWait,
    Paused,
    /// It has caused so many deliveries that they are to leave before it causes more.
    TurnIsOver,
    Deferred(Deferred),
    Replay(Replay),
    Close(CloseReason),
}

/// Input and what it is decoded with.
pub(super) struct Reader<'a> {
    pub(super) shard: &'a Rc<Shard>,
    pub(super) connection: &'a Rc<Connection>,
    decoder: RequestDecoder,
    /// Input that could not be run yet. Empty, and without memory, most of the time.
    input: Vec<u8>,
    /// How much of it has been run all the same.
    used: usize,
    /// Since when it has been found busy though it is to leave.
    busy_since: Option<Instant>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(shard: &'a Rc<Shard>, connection: &'a Rc<Connection>) -> Self {
        let decoder = RequestDecoder::new(shard.node.settings.argument_bytes_max);
        Self { shard, connection, decoder, input: Vec::new(), used: 0, busy_since: None }
    }

    /// Reads and runs until something ends the connection.
    pub(super) async fn run(&mut self) -> CloseReason {
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
                    let reason = if self.connection.is_leaving.get() {
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
            Stop::Paused => self.wait_for_the_end_of_the_pause().await,
            Stop::Deferred(deferred) => {
                let reply = deferred.await;
                self.answer(&reply);
            }
            Stop::Replay(replay) => {
                if let Some(reply) = replay::run(self, replay).await {
                    self.answer(&reply);
                } else if self.connection.closing.get().is_none() {
                    // The node is in no view any more; it closes its clients.
                    return Some(CloseReason::Fenced);
                }
            }
            Stop::MustWait => self.wait_for_room().await,
            Stop::TurnIsOver => tokio::task::yield_now().await,
            Stop::Close(reason) => return Some(reason),
        }
        None
    }

    /// The reply to a command that took a while.
    fn answer(&self, reply: &[u8]) {
        if let Some(error) = reply.strip_prefix(b"-") {
            self.shard.stats().count_error(error);
        }
        if self.connection.session.borrow().wants_reply() {
            self.shard.hub.borrow_mut().append(self.connection.seat, reply);
            self.shard.schedule_flush();
        }
        self.connection.session.borrow_mut().command_done();
    }

    fn has_queued(&self) -> bool {
        self.connection.session.borrow().executing.is_some()
    }

    /// Waits for input and runs it. `None` at its end: the client has closed, or the node drains and there is
    /// nothing more to read.
    async fn read(&mut self) -> io::Result<Option<Stop>> {
        let ready = self.wait(true).await?;
        if !ready {
            return Ok(Some(Stop::NeedsInput));
        }
        let (stop, has_more) = match self.read_now() {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // While the node drains, this is the moment at which all that was sent has been read. It has to be
                // answered as well: what the client sends while its answer is awaited belongs to it.
                if !self.connection.is_leaving.get() {
                    return Ok(Some(Stop::NeedsInput));
                }
                let busy_since = *self.busy_since.get_or_insert_with(Instant::now);
                if self.connection.publishes_in_flight() == 0 || busy_since.elapsed() > BUSY_TIME_MAX {
                    return Ok(None);
                }
                self.wait_for_room().await;
                return Ok(Some(Stop::NeedsInput));
            }
            Err(error) => return Err(error),
        };
        // The others come first. Who has to wait lets them anyway, and must not do so before it is known to wait: the room that it
        // waits for may come meanwhile, and nobody would wake it.
        if has_more && !matches!(stop, Some(Stop::MustWait)) {
            tokio::task::yield_now().await;
        }
        Ok(stop)
    }

    /// Reads once and runs what it can. Returns what stopped it, `None` at the end of input, and whether more is
    /// likely to be waiting.
    fn read_now(&mut self) -> io::Result<(Option<Stop>, bool)> {
        let shard = Rc::clone(self.shard);
        let mut scratch = shard.scratch.borrow_mut();
        // Requests are run straight from the shard's buffer, behind what is unfinished; so a client that sends a byte at
        // a time makes the node hold these bytes and no buffer. Only a request that is larger than the shard's buffer is
        // continued where it is.
        let unfinished = self.input.len() - self.used;
        let is_large = unfinished > CONTINUED_BYTES_MAX;
        let room = shard.read_room();
        let mut short = Vec::new();
        let buffer = if is_large {
            self.input.drain(..self.used);
            self.used = 0;
            self.input.reserve(room);
            &mut self.input
        } else {
            let buffer = if room < READ_BYTES {
                short.reserve_exact(unfinished + room);
                &mut short
            } else {
                scratch.clear();
                &mut *scratch
            };
            buffer.extend_from_slice(&self.input[self.used..]);
            buffer
        };
        let room = buffer.capacity() - buffer.len();
        let count = self.connection.stream.try_read(buffer)?;
        if count == 0 {
            return Ok((None, false));
        }
        self.connection.was_heard.set(true);
        shard.stats().reads.add(1);
        shard.stats().input_bytes.add(count as u64);
        shard.note_read(count);
        let stop = if is_large {
            self.run_input()
        } else {
            let read = if short.is_empty() { &scratch } else { &short };
            let (used, stop) = self.run_requests(read);
            self.keep(&read[used..]);
            stop
        };
        if access::needs_auth(&shard, self.connection) {
            let sent = &self.connection.stranger_bytes;
            sent.set(sent.get() + count);
            shard.close_if_stranger(self.connection, Instant::now());
        }
        Ok((Some(stop), count == room))
    }

    /// Keeps what could not be run yet, in no more memory than it takes.
    fn keep(&mut self, unfinished: &[u8]) {
        (self.input, self.used) = (unfinished.to_vec(), 0);
        self.connection.unread_input.set(self.input.len());
        if !self.input.is_empty() {
            self.shard.keep_to_the_budget();
        }
    }

    /// Runs what has been read but not run.
    fn run_input(&mut self) -> Stop {
        let input = std::mem::take(&mut self.input);
        let (used, stop) = self.run_requests(&input[self.used..]);
        self.used += used;
        if self.used < input.len() {
            self.input = input;
        } else {
            self.used = 0;
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
            if self.shard.turn.get().delivered >= DELIVERIES_IN_A_TURN_MAX {
                return (used, Stop::TurnIsOver);
            }
            let in_flight = self.connection.publishes_in_flight();
            // Publishes may overtake nothing and be overtaken by nothing; only they may be in flight together.
            let is_relay_full = self.shard.node.relay_is_full.load(Ordering::Relaxed);
            let must_wait = |is_publish: bool| {
                in_flight > 0 && !is_publish
                    || in_flight >= PUBLISHES_IN_FLIGHT_MAX
                    || is_publish && is_relay_full
            };
            let queued = self.connection.session.borrow_mut().next_executing();
            let flow = if let Some(queued) = queued {
                if must_wait(dispatch::is_publish(queued.as_request())) {
                    let mut session = self.connection.session.borrow_mut();
                    if let Some(executing) = &mut session.executing {
                        executing.left.push_front(queued);
                    }
                    return (used, Stop::MustWait);
                }
                dispatch::run_queued(self.shard, self.connection, queued.as_request())
            } else {
                let (request, len) = match self.decoder.decode(&input[used..]) {
                    Ok(Some(decoded)) => decoded,
                    Ok(None) => return (used, Stop::NeedsInput),
                    Err(_) if in_flight > 0 => return (used, Stop::MustWait),
                    Err(error) => {
                        let text = format!("ERR {error}");
                        self.shard.stats().count_error(text.as_bytes());
                        self.connection.push(self.shard, |reply| reply.error(text));
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
                if paused != Paused::Nothing
                    && dispatch::is_held_back(self.shard, self.connection, request, paused)
                {
                    return (used, Stop::Paused);
                }
                used += len;
                dispatch::run(self.shard, self.connection, request)
            };
            match flow {
                Flow::Continue => {}
                Flow::Defer(deferred) => return (used, Stop::Deferred(deferred)),
                Flow::Replay(replay) => return (used, Stop::Replay(replay)),
                Flow::Close(reason) => return (used, Stop::Close(reason)),
            }
        }
    }

    /// Meanwhile the client gets what waits for it, and can be closed.
    async fn wait_for_the_end_of_the_pause(&self) {
        let connection = self.connection;
        connection.is_held_back.set(true);
        let mut over = std::pin::pin!(self.shard.node.pause.over());
        while !connection.is_closing() {
            tokio::select! {
                () = &mut over => break,
                () = self.wait_for_room() => {}
            }
        }
        connection.waits_for_room.set(false);
        connection.is_held_back.set(false);
        connection.was_heard.set(true);
    }

    /// Waits until replies have left or publishes are answered.
    pub(super) async fn wait_for_room(&self) {
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
                if connection.is_leaving.get() {
                    return Poll::Ready(Ok(true));
                }
                return connection.stream.poll_read_ready(context).map(|ready| ready.map(|()| true));
            }
            connection.waits_for_room.set(std::mem::take(&mut is_first));
            if connection.waits_for_room.get() { Poll::Pending } else { Poll::Ready(Ok(false)) }
        })
        .await
    }
}
