//! One thread of the load: an event loop over its clients, which reads into one large buffer and writes what has
//! gathered for a connection at once.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{
    client::{Client, Role, State, Trouble},
    clock::Times,
    control::{Control, Gauge},
    frame::{self, Frame},
    histogram::{Latencies, latencies},
    plan::Plan,
    poller::{Poller, WAIT_MAX},
    publisher::{Making, UNWRITTEN_BYTES_MAX},
};

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// Connections being made at a time: more would overflow a server's queue of those to be accepted.
const DIALS_MAX: usize = 64;

/// Publishes of one publisher that may be refused: each has to be remembered.
const REFUSED_MAX: u64 = 1_000_000;

/// What a thread has measured.
pub(super) struct Measured {
    pub(super) clients: Vec<Client>,
    /// From when a message was due to its delivery.
    pub(super) latencies: Latencies,
    /// From PUBLISH to its answer.
    pub(super) answers: Latencies,
    /// Longest time by which the thread was woken later than it had asked for, in nanoseconds.
    pub(super) stall_max_ns: u64,
}

pub(super) struct Driver {
    index: usize,
    plan: Arc<Plan>,
    control: Arc<Control>,
    poller: Poller,
    clients: Vec<Client>,
    publishers: usize,
    requests: Vec<Vec<u8>>,
    payload: Vec<u8>,
    fan_outs: Arc<Vec<u64>>,
    buffer: Vec<u8>,
    latencies: Latencies,
    answers: Latencies,
    received: u64,
    expected: u64,
    stall_max_ns: u64,
}

impl Driver {
    /// A thread's load; its publishers are first among `clients`.
    pub(super) fn new(
        index: usize,
        plan: Arc<Plan>,
        control: Arc<Control>,
        fan_outs: Arc<Vec<u64>>,
        clients: Vec<Client>,
    ) -> io::Result<Self> {
        let (requests, payload) = (plan.requests(), plan.payload());
        let buffer = vec![0; READ_BYTES.max(2 * plan.size + READ_BYTES / 2)];
        Ok(Self {
            index,
            plan,
            control,
            poller: Poller::new()?,
            publishers: clients.iter().filter(|client| matches!(client.role, Role::Publisher(_))).count(),
            clients,
            requests,
            payload,
            fan_outs,
            buffer,
            latencies: latencies(),
            answers: latencies(),
            received: 0,
            expected: 0,
            stall_max_ns: 0,
        })
    }

    /// Runs until the end is called, or something makes the run worthless.
    pub(super) fn run(mut self) -> Measured {
        if let Err(error) = self.turns() {
            self.control.fail(format!("the load cannot wait for its connections: {error}"));
        }
        let now_ns = self.control.clock.now_ns();
        if let Some(times) = self.control.times.get() {
            self.clients.iter_mut().for_each(|client| client.close(now_ns, times));
        }
        Measured {
            clients: self.clients,
            latencies: self.latencies,
            answers: self.answers,
            stall_max_ns: self.stall_max_ns,
        }
    }

    fn turns(&mut self) -> io::Result<()> {
        while !self.control.stop.load(Relaxed) {
            let now_ns = self.control.clock.now_ns();
            let times = self.control.times.get().copied();
            let due_ns = self.run_due(now_ns, times.as_ref());
            let now_ns = self.control.clock.now_ns();
            self.poller.wait(due_ns.map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(now_ns))))?;
            self.note_stall(now_ns);
            // They may have been set while this thread waited.
            let times = self.control.times.get().copied();
            for at in 0..self.poller.len() {
                let Some(ready) = self.poller.ready(at) else { continue };
                let mut done = Ok(());
                if ready.write {
                    done = self.flush(ready.client);
                }
                if ready.read && done.is_ok() {
                    done = self.read(ready.client, times.as_ref());
                }
                if let Err(trouble) = done {
                    self.trouble(ready.client, trouble, times.as_ref());
                }
            }
            self.gauge().received.store(self.received, Relaxed);
            self.gauge().expected.store(self.expected, Relaxed);
        }
        Ok(())
    }

    /// A thread that gets no processor cannot measure: what it finds late may have been there in time.
    fn note_stall(&mut self, waited_since_ns: u64) {
        let Some(times) = self.control.times.get() else { return };
        let now_ns = self.control.clock.now_ns();
        if times.is_measured(waited_since_ns) {
            let waited_ns = now_ns.saturating_sub(waited_since_ns);
            let stall_ns = waited_ns.saturating_sub(WAIT_MAX.as_nanos() as u64);
            self.stall_max_ns = self.stall_max_ns.max(stall_ns);
        }
    }

    fn gauge(&self) -> &Gauge {
        &self.control.gauges[self.index]
    }

    /// Dials and publishes what is due. Returns when the next is.
    fn run_due(&mut self, now_ns: u64, times: Option<&Times>) -> Option<u64> {
        let gauge = self.gauge();
        let is_publishing = times.is_some_and(|times| now_ns >= times.publish_from_ns);
        let is_settled =
            gauge.down.load(Relaxed) == 0 && gauge.ready.load(Relaxed) as usize == self.clients.len();
        // The usual turn of a closed loop: answers are what makes it publish.
        if is_settled && is_publishing && self.plan.rate.is_none() && self.expected > 0 {
            self.note_idle(now_ns, times);
            return None;
        }
        let mut next_ns: Option<u64> = None;
        let mut soonest = |due_ns: u64| next_ns = Some(next_ns.map_or(due_ns, |next_ns| next_ns.min(due_ns)));
        let (mut dials, mut down, mut ready) = (0, 0, 0);
        // Publishers are first; nothing is due at subscribers that are connected.
        let count = if is_settled && is_publishing { self.publishers } else { self.clients.len() };
        for index in 0..count {
            let client = &mut self.clients[index];
            let mut done = Ok(());
            match client.state {
                State::Down { retry_ns } if retry_ns > now_ns => soonest(retry_ns),
                State::Down { .. } if dials < DIALS_MAX => {
                    dials += 1;
                    done = client.dial(index, now_ns, &self.plan, &self.control, &self.poller);
                }
                State::Greeting { .. } | State::Subscribing { .. } => {
                    dials += 1;
                    if times.is_some() && client.is_overdue(now_ns) {
                        done = Err(io::Error::from(io::ErrorKind::TimedOut).into());
                    }
                }
                State::Down { .. } | State::Over => {}
                State::Ready => {
                    ready += 1;
                    done = self.publish(index, now_ns, times);
                    self.next_due_ns(index, times).into_iter().for_each(&mut soonest);
                }
            }
            if let Err(trouble) = done {
                self.trouble(index, trouble, times);
            }
            down += u32::from(!matches!(self.clients[index].state, State::Ready | State::Over));
        }
        if count == self.clients.len() {
            self.gauge().ready.store(ready, Relaxed);
            self.gauge().down.store(down, Relaxed);
        }
        self.note_idle(now_ns, times);
        next_ns.or_else(|| times.map(|times| times.publish_from_ns).filter(|from_ns| *from_ns > now_ns))
    }

    /// When a publisher of an open loop sends next; `None` while it waits for the server.
    fn next_due_ns(&self, index: usize, times: Option<&Times>) -> Option<u64> {
        let client = &self.clients[index];
        let (Role::Publisher(publisher), Some(link)) = (&client.role, &client.link) else { return None };
        let is_full = publisher.is_full() || link.unwritten() >= UNWRITTEN_BYTES_MAX;
        let due_ns = publisher.due_ns(&self.plan, times?)?;
        (!is_full && due_ns < times?.measure_to_ns).then_some(due_ns)
    }

    fn note_idle(&self, now_ns: u64, times: Option<&Times>) {
        let Some(times) = times.filter(|times| now_ns >= times.measure_to_ns) else { return };
        let is_idle = |client: &Client| match &client.role {
            Role::Publisher(publisher) => {
                let due_ns = publisher.due_ns(&self.plan, times);
                let is_due = due_ns.is_some_and(|due_ns| due_ns < times.measure_to_ns);
                client.state == State::Over || publisher.is_idle() && !is_due
            }
            Role::Subscriber(_) => true,
        };
        self.gauge().is_idle.store(self.clients.iter().all(is_idle), Relaxed);
    }

    fn flush(&mut self, index: usize) -> Result<(), Trouble> {
        let Some(link) = &mut self.clients[index].link else { return Ok(()) };
        Ok(link.flush(&self.poller, index)?)
    }

    /// Has a publisher make what is due, and sends it.
    fn publish(&mut self, index: usize, now_ns: u64, times: Option<&Times>) -> Result<(), Trouble> {
        let client = &mut self.clients[index];
        let (Role::Publisher(publisher), Some(link), Some(times)) =
            (&mut client.role, &mut client.link, times)
        else {
            return Ok(());
        };
        if link.unwritten() >= UNWRITTEN_BYTES_MAX {
            return Ok(());
        }
        let making = Making { plan: &self.plan, requests: &self.requests, payload: &self.payload, times };
        self.expected += publisher.make(now_ns, &making, &self.fan_outs, &mut link.out);
        if link.unwritten() > 0 {
            link.flush(&self.poller, index)?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize, times: Option<&Times>) -> Result<(), Trouble> {
        let Some(link) = &mut self.clients[index].link else { return Ok(()) };
        let gone = || Trouble::Gone(io::ErrorKind::UnexpectedEof.into());
        let len = link.read(&mut self.buffer)?.ok_or_else(gone)?;
        if link.has_more_to_write() {
            link.flush(&self.poller, index)?;
        }
        let now_ns = self.control.clock.now_ns();
        // Taken out while the client, which is part of this thread's state too, works on it.
        let buffer = std::mem::take(&mut self.buffer);
        let used = self.frames(index, &buffer[..len], now_ns, times);
        let kept = used.map(|used| {
            if let Some(link) = &mut self.clients[index].link {
                link.keep(&buffer[used..len]);
            }
        });
        self.buffer = buffer;
        kept?;
        if self.clients[index].state == State::Ready {
            self.publish(index, now_ns, times)?;
        }
        Ok(())
    }

    /// Works on all whole frames. Returns how many bytes they have.
    fn frames(
        &mut self,
        index: usize,
        input: &[u8],
        now_ns: u64,
        times: Option<&Times>,
    ) -> Result<usize, Trouble> {
        let client = &mut self.clients[index];
        let mut at = 0;
        if let State::Greeting { since_ns } = client.state {
            match client.greeted(input, since_ns, &self.plan)? {
                Some(used) => at = used,
                None => return Ok(0),
            }
        }
        let unexpected = |error: frame::Unexpected| Trouble::Refused(error.to_string());
        let mut messages = 0;
        while let Some((frame, used)) = self.plan.dialect.next(&input[at..]).map_err(unexpected)? {
            at += used;
            match (frame, &mut client.role, times) {
                (Frame::Message { payload }, Role::Subscriber(subscriber), Some(times)) => {
                    messages += 1;
                    if let Some(due_ns) = subscriber.receive(payload, &self.plan, times) {
                        self.latencies.saturating_record(now_ns.saturating_sub(due_ns));
                    }
                }
                (Frame::Receivers(_) | Frame::Accepted, Role::Publisher(publisher), Some(times)) => {
                    if let Some(wait_ns) = publisher.answer(now_ns, times) {
                        self.answers.saturating_record(wait_ns);
                    }
                    client.flows(now_ns);
                }
                (Frame::Nothing, ..) => {}
                (Frame::Subscribed | Frame::Accepted, Role::Subscriber(_), _) => {
                    if client.confirmed()
                        && let Role::Subscriber(subscriber) = &mut client.role
                    {
                        subscriber.resume(now_ns);
                    }
                }
                (Frame::Error(text), Role::Publisher(publisher), Some(_)) if self.plan.reconnect => {
                    // A server that others are still being told about: the message counts as refused.
                    publisher.refuse();
                    if publisher.refused > REFUSED_MAX {
                        self.control.fail(format!(
                            "more than {REFUSED_MAX} publishes are refused, now with: {}",
                            text.escape_ascii()
                        ));
                    }
                    tracing::debug!(error = %text.escape_ascii(), "a publish is refused");
                }
                (Frame::Error(text), ..) => {
                    return Err(Trouble::Refused(String::from_utf8_lossy(text).into_owned()));
                }
                _ => return Err(unexpected(frame::Unexpected)),
            }
        }
        if let (Role::Subscriber(subscriber), Some(times), true) = (&mut client.role, times, messages > 0) {
            subscriber.note(messages, now_ns, times);
            self.received += messages;
            client.flows(now_ns);
        }
        Ok(at)
    }

    /// A client has lost its connection or is refused: while all is being set up, and where the server says what is
    /// wrong, that ends the run.
    fn trouble(&mut self, index: usize, trouble: Trouble, times: Option<&Times>) {
        let client = &mut self.clients[index];
        let now_ns = self.control.clock.now_ns();
        match (trouble, times) {
            (Trouble::Gone(error), None) => {
                self.control.fail(format!(
                    "server {} of the list does not take all clients: {error}",
                    client.home + 1
                ));
            }
            (Trouble::Refused(text), _) if times.is_none() || !self.plan.reconnect => {
                self.control.fail(format!("server {} of the list says: {text}", client.home + 1));
            }
            _ => {
                client.lose(now_ns, &self.plan, times);
                self.gauge().down.store(1, Relaxed);
            }
        }
    }
}
