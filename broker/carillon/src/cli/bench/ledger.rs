//! What of one publisher and channel a subscriber got: which messages are lost, doubled or out of order.

use std::{collections::BTreeSet, ops::Range};

/// Gaps of one stream that are kept apart; a message that comes later than that many gaps counts as doubled.
const GAPS_MAX: usize = 1024;

/// What went wrong; all zero when nothing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Faults {
    /// Never came, though the connection was open the whole time.
    pub(super) lost: u64,
    /// Came again.
    pub(super) doubled: u64,
    /// Came behind a later one.
    pub(super) reordered: u64,
    /// Had another length than was published, or belonged to nobody here.
    pub(super) damaged: u64,
}

impl Faults {
    /// Whether anything went wrong.
    pub(super) fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Adds those of another.
    pub(super) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
        self.damaged += other.damaged;
    }
}

/// The messages of one publisher in one channel, as one subscriber gets them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// The number behind the highest that came.
    next: u64,
    /// Numbers below `next` that have not come.
    gaps: Vec<Range<u64>>,
    /// Numbers of gaps that are not kept any more.
    lost: u64,
    /// Passed over because the subscriber was not connected.
    missed: u64,
    /// Numbers below this belong to connections that are gone.
    resumed_at: u64,
    /// Came on an earlier connection and again on a later one: each connection by itself is right.
    repeated: u64,
    /// The connection is a new one: what was published meanwhile is not expected.
    is_resuming: bool,
}

impl Stream {
    /// Message number `sequence` came.
    pub(super) fn receive(&mut self, sequence: u64, faults: &mut Faults) {
        if sequence == self.next {
            self.next += 1;
            self.is_resuming = false;
        } else if sequence > self.next {
            if self.is_resuming {
                self.missed += sequence - self.next;
                self.is_resuming = false;
            } else {
                self.open_gap(self.next..sequence);
            }
            self.next = sequence + 1;
        } else if sequence < self.resumed_at {
            // A node that is behind the one that is gone: what was lost there, it may still bring.
            if !self.fill_gap(sequence) {
                self.repeated += 1;
            }
        } else if self.fill_gap(sequence) {
            faults.reordered += 1;
        } else {
            faults.doubled += 1;
        }
    }

    /// The connection was lost: until the next message, what is passed over was missed and not lost.
    pub(super) fn interrupt(&mut self) {
        self.is_resuming = true;
        self.resumed_at = self.next;
    }

    /// How many came again on another connection.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// At the end: how many of `sent` messages are lost and how many were missed while not connected. Those in `unsure`
    /// were never answered: they may be absent.
    pub(super) fn close(&self, sent: u64, unsure: &BTreeSet<u64>) -> (u64, u64) {
        let tail = self.next..sent.max(self.next);
        let certain = |range: &Range<u64>| {
            let absent = range.end - range.start;
            absent - unsure.range(range.clone()).count() as u64
        };
        let lost = self.lost + self.gaps.iter().map(certain).sum::<u64>();
        let at_end = certain(&tail);
        if self.is_resuming { (lost, self.missed + at_end) } else { (lost + at_end, self.missed) }
    }

    fn open_gap(&mut self, gap: Range<u64>) {
        if self.gaps.len() == GAPS_MAX {
            let oldest = self.gaps.remove(0);
            self.lost += oldest.end - oldest.start;
        }
        self.gaps.push(gap);
    }

    fn fill_gap(&mut self, sequence: u64) -> bool {
        let Some(at) = self.gaps.iter().position(|gap| gap.contains(&sequence)) else { return false };
        let gap = self.gaps.remove(at);
        for rest in [sequence + 1..gap.end, gap.start..sequence] {
            if !rest.is_empty() {
                self.gaps.insert(at, rest);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(received: &[u64], sent: u64, unsure: &[u64]) -> Faults {
        let (mut stream, mut faults) = (Stream::default(), Faults::default());
        received.iter().for_each(|sequence| stream.receive(*sequence, &mut faults));
        faults.lost = stream.close(sent, &unsure.iter().copied().collect()).0;
        faults
    }

    #[test]
    fn a_whole_stream_has_no_faults() {
        assert!(!judge(&[0, 1, 2, 3], 4, &[]).any());
    }

    #[test]
    fn planted_faults_are_found() {
        let lost = |lost| Faults { lost, ..Faults::default() };
        assert_eq!(judge(&[0, 1, 3], 4, &[]), lost(1), "in the middle");
        assert_eq!(judge(&[0, 1], 4, &[]), lost(2), "at the end");
        assert_eq!(judge(&[2, 3], 4, &[]), lost(2), "at the start");
        assert_eq!(judge(&[], 4, &[]), lost(4), "all");
        assert_eq!(judge(&[0, 1, 1, 2], 3, &[]), Faults { doubled: 1, ..Faults::default() });
        assert_eq!(judge(&[0, 2, 1, 3], 4, &[]), Faults { reordered: 1, ..Faults::default() });
        let all = Faults { lost: 1, doubled: 1, reordered: 3, damaged: 0 };
        assert_eq!(
            judge(&[0, 5, 2, 4, 2, 1], 6, &[]),
            all,
            "3 is lost, 2 comes twice, and 2, 4, 1 come late"
        );
    }

    #[test]
    fn what_was_never_answered_may_be_absent() {
        assert!(!judge(&[0, 1, 3], 5, &[2, 4]).any());
        assert_eq!(judge(&[0, 3], 5, &[2, 4]).lost, 1);
    }

    #[test]
    fn what_passes_while_not_connected_is_missed_and_not_lost() {
        let (mut stream, mut faults) = (Stream::default(), Faults::default());
        stream.receive(0, &mut faults);
        stream.receive(2, &mut faults);
        stream.interrupt();
        stream.receive(7, &mut faults);
        assert_eq!(stream.close(9, &BTreeSet::new()), (2, 4), "1 and 8 are lost, 3 to 6 are missed");
        stream.interrupt();
        assert_eq!(
            stream.close(9, &BTreeSet::new()),
            (1, 5),
            "8 too, when the connection is closed at the end"
        );
        assert!(!faults.any());
    }

    #[test]
    fn what_comes_again_on_another_connection_is_repeated_and_not_doubled() {
        let (mut stream, mut faults) = (Stream::default(), Faults::default());
        [0, 1, 3].iter().for_each(|sequence| stream.receive(*sequence, &mut faults));
        stream.interrupt();
        [1, 2, 3, 4].iter().for_each(|sequence| stream.receive(*sequence, &mut faults));
        assert_eq!(
            (stream.repeated(), stream.close(5, &BTreeSet::new())),
            (2, (0, 0)),
            "1 and 3; 2 came after all"
        );
        assert!(!faults.any());
        stream.receive(4, &mut faults);
        assert_eq!(faults, Faults { doubled: 1, ..Faults::default() });
    }

    #[test]
    fn many_gaps_are_counted_within_bounds() {
        let received: Vec<u64> = (0..10_000).map(|number| number * 2).collect();
        assert_eq!(judge(&received, 20_000, &[]).lost, 10_000);
    }
}
