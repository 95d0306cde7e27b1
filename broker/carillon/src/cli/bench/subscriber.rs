//! A subscriber: judges every message that it gets, and notes for how long it got none.

use super::{
    clock::Times,
    ledger::{Faults, Stream},
    payload::Head,
    plan::Plan,
};

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: u32,
    /// By channel of its own, then publisher.
    pub(super) streams: Vec<Stream>,
    pub(super) faults: Faults,
    /// Deliveries, and those within the measured time.
    pub(super) received: u64,
    pub(super) received_measured: u64,
    last_ns: u64,
    /// Longest time without a message while connected and measured, in nanoseconds.
    pub(super) gap_max_ns: u64,
}

impl Subscriber {
    pub(super) fn new(id: u32, plan: &Plan) -> Self {
        let streams = plan.subscriptions() as usize * plan.publishers as usize;
        Self {
            id,
            streams: vec![Stream::default(); streams],
            faults: Faults::default(),
            received: 0,
            received_measured: 0,
            last_ns: 0,
            gap_max_ns: 0,
        }
    }

    /// A message came. Returns when it was due, if its latency is to be measured.
    pub(super) fn receive(&mut self, payload: &[u8], plan: &Plan, times: &Times) -> Option<u64> {
        self.received += 1;
        let stream = |head: Head| {
            let is_ours = head.run == plan.run && head.publisher < plan.publishers;
            let index = plan.channel_index(self.id, head.channel).filter(|_| is_ours)?;
            Some((head, index as usize * plan.publishers as usize + head.publisher as usize))
        };
        let whole = Head::read(payload).filter(|_| payload.len() == plan.size);
        let Some((head, at)) = whole.and_then(stream) else {
            self.faults.damaged += 1;
            return None;
        };
        self.streams[at].receive(head.sequence, &mut self.faults);
        // Also of those that arrive after the end: leaving the slowest out would flatter the server.
        (head.intended_ns >= times.measure_from_ns).then_some(head.intended_ns)
    }

    /// Messages came, `count` of them at once.
    pub(super) fn note(&mut self, count: u64, now_ns: u64, times: &Times) {
        if times.is_measured(now_ns) {
            self.received_measured += count;
        }
        self.note_gap(now_ns, times);
        self.last_ns = now_ns;
    }

    /// The connection is lost; nothing is expected until it is there again.
    pub(super) fn interrupt(&mut self, now_ns: u64, times: Option<&Times>) {
        if let Some(times) = times {
            self.note_gap(now_ns, times);
        }
        self.streams.iter_mut().for_each(Stream::interrupt);
    }

    /// It is subscribed again.
    pub(super) fn resume(&mut self, now_ns: u64) {
        self.last_ns = now_ns;
    }

    /// The run ends while the connection is open.
    pub(super) fn note_gap(&mut self, now_ns: u64, times: &Times) {
        let until = now_ns.min(times.measure_to_ns);
        let gap_ns = until.saturating_sub(self.last_ns.max(times.measure_from_ns));
        self.gap_max_ns = self.gap_max_ns.max(gap_ns);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::plan::tests::plan, *};

    fn payload(head: Head) -> Vec<u8> {
        let mut payload = vec![0; 64];
        head.write(&mut payload);
        payload
    }

    #[test]
    fn what_is_not_ours_is_damaged() {
        let plan = plan("--publishers 2 --channels 2");
        let times = Times::beginning(0, Duration::ZERO, Duration::from_secs(1));
        let mut subscriber = Subscriber::new(1, &plan);
        let fine = Head { run: 7, publisher: 1, channel: 1, sequence: 0, intended_ns: times.measure_from_ns };
        assert_eq!(subscriber.receive(&payload(fine), &plan, &times), Some(times.measure_from_ns));
        let early = Head { sequence: 1, intended_ns: 0, ..fine };
        assert_eq!(subscriber.receive(&payload(early), &plan, &times), None, "of the warm-up");
        assert!(!subscriber.faults.any());
        for head in [Head { run: 8, ..fine }, Head { publisher: 2, ..fine }, Head { channel: 0, ..fine }] {
            subscriber.receive(&payload(head), &plan, &times);
        }
        subscriber.receive(&payload(fine)[..63], &plan, &times);
        assert_eq!(subscriber.faults, Faults { damaged: 4, ..Faults::default() });
    }

    #[test]
    fn a_gap_is_what_lies_within_the_measured_time() {
        let plan = plan("");
        let times = Times::beginning(0, Duration::ZERO, Duration::from_micros(1));
        let from = times.measure_from_ns;
        let mut subscriber = Subscriber::new(0, &plan);
        subscriber.note(1, from + 100, &times);
        subscriber.note(1, from + 150, &times);
        subscriber.note(1, from + 850, &times);
        assert_eq!(subscriber.gap_max_ns, 700);
        subscriber.note_gap(from + 9000, &times);
        assert_eq!((subscriber.gap_max_ns, subscriber.received_measured), (700, 3));
    }
}
