//! The future that owns a connection's socket: writes what is ordered, reads what comes, asks a silent server
//! whether it is there, and tells everyone when it is over.

use std::{
    collections::VecDeque,
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Buf as _, Bytes, BytesMut};
use carillon_proto::{
    pipe::Piece,
    position::Origin,
    resp::{ValueDecoder, ValueError},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    ConnectionLost, LossCause, RequestError, SubscriptionKind,
    connection::{Shared, encode},
    conversation::Conversation,
    message::Pushed,
    order::Order,
    proof::Proof,
    pushes,
    queue::{QueueSender, Room},
    socket::{Socket, take_bytes},
};

/// Room made for one read, in bytes; also what is kept of the buffers between bursts.
const READ_BYTES: usize = 64 * 1024;
/// Bytes waiting to be written above which no order is taken.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// What a message may be longer than its longest string by, in bytes: headers and a channel's name.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Longest silence that can be set: a duration without end would overflow the clock.
const SILENCE_CEILING: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Whatever becomes of a connection: [`run`](Self::run) is to be polled for anything to happen on it.
pub(crate) struct Driver {
    socket: Socket,
    input: BytesMut,
    /// What has come behind the input from a node in this process. It begins with a message.
    pieces: VecDeque<Piece>,
    /// The origin of the last of these, as text.
    origin: Option<(Origin, Bytes)>,
    output: BytesMut,
    /// Why nothing can be written any more. What the server has sent before is still read.
    write_error: Option<io::Error>,
    orders: mpsc::Receiver<Order>,
    has_users: bool,
    conversation: Conversation,
    queue: Option<QueueSender>,
    /// A message that the queue has no room for, and since when. Nothing is read meanwhile.
    parked: Option<(Pushed, Instant)>,
    last_heard: SystemTime,
    proof: Proof,
    /// When something was received, or asked, or reading was held back.
    last_sign: Instant,
    shared: Arc<Shared>,
}

impl Driver {
    pub(crate) fn new(
        socket: Socket,
        input: BytesMut,
        shared: Arc<Shared>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        Self {
            socket,
            input,
            pieces: VecDeque::new(),
            origin: None,
            output: BytesMut::new(),
            write_error: None,
            orders,
            has_users: true,
            conversation: Conversation::new(shared.protocol, shared.endpoint.clone()),
            queue: None,
            parked: None,
            last_heard: SystemTime::now(),
            proof: Proof::default(),
            last_sign: Instant::now(),
            shared,
        }
    }

    /// Whether the server is a node in this process.
    pub(crate) fn is_in_process(&self) -> bool {
        self.socket.is_pipe()
    }

    /// Runs until the connection is lost, or nobody uses it and all that was asked is answered.
    pub(crate) async fn run(mut self) {
        let Err(cause) = self.serve().await else { return };
        let lost = ConnectionLost {
            endpoint: self.shared.endpoint.clone(),
            cause,
            last_heard: self.last_heard,
            complete_until: self.proof.until,
        };
        // Set before anyone can notice that the task is gone.
        let _ = self.shared.lost.set(lost.clone());
        self.conversation.fail(&lost);
        self.orders.close();
        while let Some(order) = self.orders.recv().await {
            order.refuse(lost.clone().into());
        }
    }

    async fn serve(&mut self) -> Result<(), LossCause> {
        self.receive()?;
        let mut timer = pin!(sleep_until(self.deadline()));
        while self.has_users || self.conversation.waiting() > 0 {
            // What puts the deadline off, as every message does, is looked at when the time is up: setting a timer costs more
            // than the message.
            let deadline = self.deadline();
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            self.input.reserve(READ_BYTES);
            // In order: what is bounded comes first, so that nothing starves, and the clock comes last, so that
            // a task that was held up itself does not take the server for silent.
            tokio::select! {
                biased;
                room = wait_for_room(self.queue.as_ref(), self.parked.as_ref()), if self.parked.is_some() => {
                    self.unpark(room);
                    self.receive()?;
                }
                order = self.orders.recv(), if self.takes_orders() => match order {
                    Some(order) => self.carry_out_all(order),
                    None => self.has_users = false,
                },
                () = wait_for_end(self.queue.as_ref()), if self.queue.is_some() => {
                    self.farewell();
                    self.receive()?;
                }
                written = self.socket.writer.write(&mut self.output), if !self.output.is_empty() => {
                    if let Err(error) = written {
                        self.output.clear();
                        self.write_error = Some(error);
                    }
                }
                read = self.socket.reader.read(&mut self.input, &mut self.pieces), if self.parked.is_none() => {
                    self.heard(read)?;
                    self.receive()?;
                }
                () = &mut timer => {
                    if self.deadline() <= Instant::now() {
                        self.check_silence()?;
                    }
                    timer.as_mut().reset(self.deadline());
                }
            }
            self.give_back_buffers();
        }
        Ok(())
    }

    fn takes_orders(&self) -> bool {
        self.has_users
            && self.write_error.is_none()
            && self.output.len() < WRITE_BYTES_MAX
            && self.conversation.waiting() < self.shared.settings.requests_in_flight_max.max(1)
    }

    /// Those that wait behind an order go with it, in one write.
    fn carry_out_all(&mut self, first: Order) {
        self.carry_out(first);
        while self.takes_orders()
            && let Ok(order) = self.orders.try_recv()
        {
            self.carry_out(order);
        }
    }

    /// Writes behind what is to be written. What is large is not copied, if it can be helped.
    fn put(&mut self, bytes: Vec<u8>) {
        if self.output.is_empty() && bytes.len() >= READ_BYTES / 4 {
            self.output = BytesMut::from(Bytes::from(bytes));
        } else {
            self.output.extend_from_slice(&bytes);
        }
    }

    fn heard(&mut self, read: io::Result<usize>) -> Result<(), LossCause> {
        match read {
            Ok(0) => Err(match (self.socket.reader.end(), self.write_error.take()) {
                (Some(reason), _) => LossCause::ClosedBecause(reason),
                (None, Some(error)) => io_cause(error),
                (None, None) => LossCause::Closed,
            }),
            Ok(_) => {
                (self.last_heard, self.last_sign) = (SystemTime::now(), Instant::now());
                self.proof.heard();
                Ok(())
            }
            Err(error) => Err(io_cause(error)),
        }
    }

    /// Takes in all values that have arrived whole, as far as there is room for messages.
    fn receive(&mut self) -> Result<(), LossCause> {
        let bytes_max = self.shared.settings.reply_bytes_max;
        let decoder = ValueDecoder::new(bytes_max);
        while self.parked.is_none() {
            let Some((value, used)) = decoder.decode(&self.input)? else {
                if self.input.is_empty() && self.receive_message() {
                    continue;
                }
                if self.input.len() > bytes_max.saturating_add(FRAME_BYTES_MAX) {
                    return Err(ValueError::TooLong(self.input.len() as i64, bytes_max).into());
                }
                break;
            };
            self.input.advance(used);
            let had_ping = self.conversation.has_ping();
            let pushed = self.conversation.receive(value)?;
            if had_ping && !self.conversation.has_ping() {
                self.proof.answered();
            }
            self.hand_on(pushed);
        }
        Ok(())
    }

    /// Takes in a message that came as it is, between bytes. False if there is none.
    fn receive_message(&mut self) -> bool {
        let Some(Piece::Message(message)) = self.pieces.pop_front() else { return false };
        take_bytes(&mut self.input, &mut self.pieces);
        if self.conversation.takes_messages() {
            let pushed = pushes::delivered(message, &mut self.origin);
            self.hand_on(Some(pushed));
        }
        true
    }

    /// Queues what is for the subscriber, or parks it until there is room.
    fn hand_on(&mut self, pushed: Option<Pushed>) {
        if let (Some(message), Some(queue)) = (pushed, &self.queue) {
            match queue.room_now(&message) {
                Some(room) => queue.push(message, room),
                None => self.parked = Some((message, Instant::now())),
            }
        }
    }

    fn unpark(&mut self, room: Option<Room>) {
        if let (Some((message, _)), Some(queue), Some(room)) = (self.parked.take(), &self.queue, room) {
            queue.push(message, room);
        }
        // Nothing was read meanwhile: the server's silence begins now.
        self.last_sign = Instant::now();
    }

    fn carry_out(&mut self, order: Order) {
        let endpoint = || self.shared.endpoint.clone();
        match order {
            Order::Request { reply, .. } if !self.conversation.takes_requests() => {
                let _ = reply.send(Err(RequestError::OnlySubscriptions { endpoint: endpoint() }));
            }
            Order::Request { bytes, reply } => {
                self.put(bytes);
                self.conversation.sent_request(reply);
            }
            Order::Subscribe { done, queue: Some(_), .. }
                if self.queue.as_ref().is_some_and(|queue| !queue.is_closed()) =>
            {
                let _ = done.send(Err(RequestError::AlreadySubscribed { endpoint: endpoint() }));
            }
            Order::Subscribe { bytes, kind, names, done, queue } => {
                if queue.is_some() {
                    self.farewell();
                    self.queue = queue;
                }
                self.put(bytes);
                self.conversation.sent_subscribe(kind, names, done);
            }
            Order::Numbered { bytes, names, reply, queue } => {
                if queue.is_some() {
                    self.farewell();
                    self.queue = queue;
                }
                self.put(bytes);
                self.conversation.sent_numbered(names, reply);
            }
            Order::Unsubscribe { bytes, kind, names, done } => {
                self.put(bytes);
                self.conversation.sent_unsubscribe(kind, &names, done);
            }
        }
    }

    /// The subscriber is gone: nothing more shall be sent to it.
    fn farewell(&mut self) {
        self.queue = None;
        self.parked = None;
        for kind in SubscriptionKind::ALL {
            let names = self.conversation.take_farewell(kind);
            if !names.is_empty() {
                let mut words = vec![Bytes::from_static(kind.unsubscribe().as_bytes())];
                words.extend(names);
                self.output.extend_from_slice(&encode(&words));
            }
        }
    }

    fn silence_max(&self) -> Duration {
        self.shared.settings.silence_time_max.min(SILENCE_CEILING)
    }

    fn deadline(&self) -> Instant {
        if let Some((_, since)) = &self.parked {
            return *since + self.silence_max();
        }
        let silent = self.last_sign + self.silence_max() / 2;
        self.proof_due().map_or(silent, |due| due.min(silent))
    }

    /// When the server is to be asked, so that it is known until when nothing is missing.
    fn proof_due(&self) -> Option<Instant> {
        let is_wanted = self.queue.is_some() && !self.conversation.has_ping();
        self.proof.due().filter(|_| is_wanted)
    }

    fn check_silence(&mut self) -> Result<(), LossCause> {
        let silence_max = self.silence_max();
        if let Some((_, since)) = &mut self.parked {
            if self.conversation.waiting() > 0 {
                return Err(LossCause::SubscriberTooSlow(silence_max));
            }
            // Only the subscriber itself waits: it may take its time, the server has limits of its own.
            *since = Instant::now();
            return Ok(());
        }
        if self.conversation.has_ping() {
            return Err(LossCause::Silent(silence_max));
        }
        self.proof.asked();
        self.output.extend_from_slice(&encode(&["ping"]));
        self.conversation.sent_ping();
        self.last_sign = Instant::now();
        Ok(())
    }

    /// One large message must not hold its memory for the rest of the connection.
    fn give_back_buffers(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > 4 * READ_BYTES {
                *buffer = BytesMut::new();
            }
        }
    }
}

async fn wait_for_room(queue: Option<&QueueSender>, parked: Option<&(Pushed, Instant)>) -> Option<Room> {
    match (queue, parked) {
        (Some(queue), Some((message, _))) => queue.room(message).await,
        _ => None,
    }
}

async fn wait_for_end(queue: Option<&QueueSender>) {
    match queue {
        Some(queue) => queue.closed().await,
        None => std::future::pending().await,
    }
}

fn io_cause(error: io::Error) -> LossCause {
    LossCause::Io(Arc::new(error))
}
