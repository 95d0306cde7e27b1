//! A publisher: sends at its pace, notes when, and what was answered.

use std::{
    collections::VecDeque,
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use carillon_proto::resp::Value;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::MissedTickBehavior,
};

use super::{
    Phase, PublisherPlan, Stage,
    conversation::{Incoming, payload},
};
use crate::{
    command,
    history::{Answer, Publication},
};

/// Pace of a publisher that sends as fast as answers come: the next turn of the runtime.
const NO_PAUSE: Duration = Duration::from_micros(1);

pub(super) async fn run(stage: Rc<Stage>, publisher: usize, plan: PublisherPlan) {
    let mut attempt = 0;
    let mut connection = 0;
    while let Some((node, stream)) = stage.connect(plan.place, &mut attempt, Phase::Quiet).await {
        let waiting = VecDeque::new();
        let mut talk =
            Talk { stage: &stage, publisher, plan: &plan, connection, node, waiting, not_handed_over: 0 };
        talk.run(stream).await;
        stage.history.borrow_mut().hangups.insert((publisher, connection), Instant::now());
        talk.note_crossed();
        let unanswered = talk.waiting.len() as u64;
        stage.counters.waiting.fetch_sub(unanswered, Relaxed);
        connection += 1;
    }
}

/// One connection.
struct Talk<'a> {
    stage: &'a Stage,
    publisher: usize,
    plan: &'a PublisherPlan,
    connection: u32,
    node: usize,
    /// Sequence numbers that are not answered.
    waiting: VecDeque<usize>,
    /// How many of them, the last ones, are not known to have been with the node's system before the end of the
    /// connection was with this one.
    not_handed_over: usize,
}

impl Talk<'_> {
    async fn run(&mut self, stream: TcpStream) {
        let (mut reader, mut writer) = stream.into_split();
        let mut phase = self.stage.phase.clone();
        let mut pace = tokio::time::interval(self.plan.every.max(NO_PAUSE));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut incoming = Incoming::default();
        let mut outgoing: Vec<u8> = Vec::new();
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::End || now == Phase::Quiet && self.waiting.is_empty() {
                return;
            }
            let may_send = now == Phase::Publish && self.waiting.len() < self.plan.in_flight;
            tokio::select! {
                // First of all: whoever knows that the connection has ended sends nothing more on it.
                biased;
                read = reader.read_buf(&mut incoming.bytes) => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                    while let Some(value) = incoming.next() {
                        self.answered(value);
                    }
                }
                written = writer.write(&outgoing), if !outgoing.is_empty() => match written {
                    Ok(count) => {
                        outgoing.drain(..count);
                        // On loopback what is written is with its receiver at once, and so is the end of a connection.
                        if outgoing.is_empty() && !is_hung_up(writer.as_ref()) {
                            self.not_handed_over = 0;
                        }
                    }
                    Err(_) => return,
                },
                _ = pace.tick(), if may_send => self.send(&mut outgoing),
                changed = phase.changed() => if changed.is_err() { return },
            }
        }
    }

    fn send(&mut self, outgoing: &mut Vec<u8>) {
        let mut history = self.stage.history.borrow_mut();
        let publications = &mut history.publications[self.publisher];
        let sequence = publications.len();
        let channel = &self.plan.channels[sequence % self.plan.channels.len()];
        let payload = payload(self.publisher, sequence, self.plan.payload_bytes);
        outgoing.extend(command(&[b"PUBLISH", channel.as_bytes(), &payload]));
        publications.push(Publication {
            connection: self.connection,
            node: self.node,
            channel: channel.clone(),
            sent: Instant::now(),
            answer: Answer::Never,
            has_crossed_end: false,
        });
        self.not_handed_over += 1;
        self.waiting.push_back(sequence);
        self.stage.counters.published.fetch_add(1, Relaxed);
        self.stage.counters.waiting.fetch_add(1, Relaxed);
    }

    /// At the end of the connection: what has not been handed over before it.
    fn note_crossed(&self) {
        let mut history = self.stage.history.borrow_mut();
        for &sequence in self.waiting.iter().rev().take(self.not_handed_over) {
            history.publications[self.publisher][sequence].has_crossed_end = true;
        }
    }

    fn answered(&mut self, value: Value) {
        let sequence = self.waiting.pop_front().expect("an answer belongs to a request");
        self.stage.counters.waiting.fetch_sub(1, Relaxed);
        self.stage.counters.answered.fetch_add(1, Relaxed);
        let answer = match value {
            Value::Integer(receivers) => Answer::Receivers(receivers, Instant::now()),
            other => Answer::Refused(format!("{other:?}")),
        };
        self.stage.history.borrow_mut().publications[self.publisher][sequence].answer = answer;
    }
}

/// Whether the other end has closed its half, as far as this system knows: the program may see it much later.
fn is_hung_up(stream: &TcpStream) -> bool {
    let mut ends = [PollFd::new(stream, PollFlags::RDHUP)];
    let now = Timespec::default();
    poll(&mut ends, Some(&now)).is_ok_and(|_| !ends[0].revents().is_empty())
}
