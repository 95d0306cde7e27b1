//! A publisher: numbers its messages, sends them when they are due, and measures how long answers take.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{clock::Times, payload::Head, plan::Plan};

/// Messages that a publisher of an open loop keeps in flight at most; what is due beyond is sent later, and its latency
/// counts from when it was due all the same.
const IN_FLIGHT_MAX: usize = 65_536;

/// Bytes that may wait for the kernel to take them before no more messages are made.
pub(super) const UNWRITTEN_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
struct InFlight {
    channel: u32,
    sequence: u64,
    sent_ns: u64,
}

/// Numbers of messages that may have been published or not, by channel.
pub(super) type Unsure = BTreeMap<u32, BTreeSet<u64>>;

#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) id: u32,
    /// For each channel, the number of its next message.
    pub(super) sent: Vec<u64>,
    next_channel: u32,
    in_flight: VecDeque<InFlight>,
    /// Messages of an open loop that have been sent.
    count: u64,
    pub(super) unsure: Unsure,
    pub(super) refused: u64,
    /// Answers within the measured time.
    pub(super) answered: u64,
    /// Longest wait for an answer, in nanoseconds.
    pub(super) answer_wait_max_ns: u64,
    /// Longest time by which a message was sent later than it was due, in nanoseconds.
    pub(super) send_lag_max_ns: u64,
}

/// What publishers of one thread share.
pub(super) struct Making<'a> {
    pub(super) plan: &'a Plan,
    /// By channel: the request up to its payload.
    pub(super) requests: &'a [Vec<u8>],
    /// The payload and what ends the request.
    pub(super) payload: &'a [u8],
    pub(super) times: &'a Times,
}

impl Publisher {
    pub(super) fn new(id: u32, plan: &Plan) -> Self {
        Self {
            id,
            sent: vec![0; plan.channels as usize],
            // Publishers begin with different channels, so that they do not move in step.
            next_channel: id % plan.channels,
            in_flight: VecDeque::new(),
            count: 0,
            unsure: Unsure::new(),
            refused: 0,
            answered: 0,
            answer_wait_max_ns: 0,
            send_lag_max_ns: 0,
        }
    }

    /// Makes the messages that are due. Returns how many deliveries they should cause.
    pub(super) fn make(
        &mut self,
        now_ns: u64,
        making: &Making<'_>,
        fan_outs: &[u64],
        out: &mut Vec<u8>,
    ) -> u64 {
        let times = making.times;
        let mut deliveries = 0;
        if now_ns < times.publish_from_ns || now_ns >= times.measure_to_ns && making.plan.rate.is_none() {
            return 0;
        }
        let in_flight_max = if making.plan.rate.is_some() { IN_FLIGHT_MAX } else { making.plan.pipeline };
        while self.in_flight.len() < in_flight_max && out.len() < UNWRITTEN_BYTES_MAX {
            let intended_ns = match self.due_ns(making.plan, times) {
                None => now_ns,
                Some(due_ns) if due_ns <= now_ns && due_ns < times.measure_to_ns => due_ns,
                Some(_) => break,
            };
            self.count += 1;
            self.send_lag_max_ns = self.send_lag_max_ns.max(now_ns - intended_ns);
            deliveries += self.push(intended_ns, now_ns, making, fan_outs, out);
        }
        deliveries
    }

    fn push(
        &mut self,
        intended_ns: u64,
        now_ns: u64,
        making: &Making<'_>,
        fan_outs: &[u64],
        out: &mut Vec<u8>,
    ) -> u64 {
        let channel = self.next_channel;
        self.next_channel = (channel + 1) % making.plan.channels;
        let next = &mut self.sent[channel as usize];
        let head = Head { run: making.plan.run, publisher: self.id, channel, sequence: *next, intended_ns };
        *next += 1;
        out.extend_from_slice(&making.requests[channel as usize]);
        let payload_at = out.len();
        out.extend_from_slice(making.payload);
        head.write(&mut out[payload_at..]);
        self.in_flight.push_back(InFlight { channel, sequence: head.sequence, sent_ns: now_ns });
        fan_outs[channel as usize]
    }

    /// When the next message of an open loop is due.
    pub(super) fn due_ns(&self, plan: &Plan, times: &Times) -> Option<u64> {
        let rate = plan.rate?;
        // Publishers take turns.
        let turn = u128::from(self.count) * u128::from(plan.publishers) + u128::from(self.id);
        Some(times.publish_from_ns + (turn * 1_000_000_000 / u128::from(rate)) as u64)
    }

    /// The oldest message in flight is answered. Returns how long that took, in nanoseconds, if it is to be measured.
    pub(super) fn answer(&mut self, now_ns: u64, times: &Times) -> Option<u64> {
        let oldest = self.in_flight.pop_front()?;
        if times.is_measured(now_ns) {
            self.answered += 1;
        }
        if !times.is_measured(oldest.sent_ns) {
            return None;
        }
        let wait_ns = now_ns - oldest.sent_ns;
        self.answer_wait_max_ns = self.answer_wait_max_ns.max(wait_ns);
        Some(wait_ns)
    }

    /// The oldest message in flight is answered with an error.
    pub(super) fn refuse(&mut self) {
        self.refused += 1;
        if let Some(InFlight { channel, sequence, .. }) = self.in_flight.pop_front() {
            self.unsure.entry(channel).or_default().insert(sequence);
        }
    }

    /// The connection is lost: what was in flight may have been published or not.
    pub(super) fn interrupt(&mut self) {
        for InFlight { channel, sequence, .. } in self.in_flight.drain(..) {
            self.unsure.entry(channel).or_default().insert(sequence);
        }
    }

    /// The run ends while the connection is open: what is in flight has waited until now.
    pub(super) fn close(&mut self, now_ns: u64) {
        if let Some(oldest) = self.in_flight.front() {
            self.answer_wait_max_ns = self.answer_wait_max_ns.max(now_ns.saturating_sub(oldest.sent_ns));
        }
        self.interrupt();
    }

    /// Whether nothing more is made before an answer comes, in an open loop.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight.len() >= IN_FLIGHT_MAX
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::plan::tests::plan, *};

    #[test]
    fn an_open_loop_sends_late_what_was_due_and_says_when_it_was_due() {
        let plan = plan("--rate 1000 --publishers 2 --seconds 1 --warmup 0");
        let times = Times::beginning(0, Duration::ZERO, Duration::from_secs(1));
        let (requests, payload, fan_outs) = (plan.requests(), plan.payload(), plan.fan_outs());
        let making = Making { plan: &plan, requests: &requests, payload: &payload, times: &times };
        let mut publisher = Publisher::new(1, &plan);
        let begin = times.publish_from_ns;
        assert_eq!(publisher.due_ns(&plan, &times), Some(begin + 1_000_000));
        // Nothing ran for ten milliseconds: what was due at 1, 3, 5, 7 and 9 is made now.
        let mut out = Vec::new();
        assert_eq!(
            publisher.make(begin + 10_000_000, &making, &fan_outs, &mut out),
            50,
            "to ten subscribers"
        );
        let len = requests[0].len() + payload.len();
        let due: Vec<u64> = out
            .chunks(len)
            .map(|request| Head::read(&request[requests[0].len()..]).expect("has a head").intended_ns - begin)
            .collect();
        assert_eq!(due, [1_000_000, 3_000_000, 5_000_000, 7_000_000, 9_000_000]);
        assert_eq!(publisher.send_lag_max_ns, 9_000_000);
    }

    #[test]
    fn a_closed_loop_keeps_as_many_in_flight_as_it_is_told() {
        let plan = plan("--pipeline 3 --seconds 1");
        let times = Times::beginning(0, Duration::ZERO, Duration::from_secs(1));
        let (requests, payload, fan_outs) = (plan.requests(), plan.payload(), plan.fan_outs());
        let making = Making { plan: &plan, requests: &requests, payload: &payload, times: &times };
        let mut publisher = Publisher::new(0, &plan);
        let now_ns = times.measure_from_ns;
        let mut out = Vec::new();
        assert_eq!(publisher.make(now_ns, &making, &fan_outs, &mut out), 30);
        assert_eq!(publisher.make(now_ns, &making, &fan_outs, &mut out), 0);
        assert_eq!(publisher.answer(now_ns + 50, &times), Some(50));
        publisher.refuse();
        assert_eq!(publisher.make(now_ns + 60, &making, &fan_outs, &mut out), 20);
        publisher.interrupt();
        assert!(publisher.is_idle());
        assert_eq!(publisher.unsure[&0], BTreeSet::from([1, 2, 3, 4]), "0 was answered");
        assert_eq!(publisher.make(times.measure_to_ns, &making, &fan_outs, &mut out), 0, "it is over");
    }
}
