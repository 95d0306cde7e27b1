//! Whether a subscriber got everything once and in order, or was told where not.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

/// A message that was published.
#[derive(Clone, Debug)]
pub struct Sent {
    /// By whom.
    pub publisher: usize,
    /// Which of its own.
    pub number: u64,
    /// When it was sent.
    pub sent: SystemTime,
    /// When it was answered; `None` if the answer did not come, so that it may have been published or not.
    pub answered: Option<SystemTime>,
}

/// What a subscriber was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message {
        /// By whom.
        publisher: usize,
        /// Which of its own.
        number: u64,
    },
    /// Some may be missing.
    Gap {
        /// From when on.
        since: SystemTime,
        /// Until when.
        until: SystemTime,
        /// Because the servers have forgotten them.
        is_forgotten: bool,
    },
    /// The connection was lost.
    Interrupted,
    /// Nothing was missed.
    Resumed,
}

impl Heard {
    pub(super) fn message(payload: &[u8]) -> Self {
        let text = String::from_utf8_lossy(payload);
        let mut words = text.split(' ');
        let mut number =
            || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a message of this test");
        Self::Message { publisher: number() as usize, number: number() }
    }
}

/// What a judge found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Messages that were answered.
    pub answered: usize,
    /// Messages whose answer did not come.
    pub unanswered: usize,
    /// Answered ones that the subscriber did not get.
    pub missing: usize,
    /// Those of them that no gap covers.
    pub uncovered: usize,
    /// Messages that it got more than once.
    pub doubled: usize,
    /// Answered ones that it got behind a later one of the same publisher.
    pub reordered: usize,
    /// Gaps.
    pub gaps: usize,
    /// Times that the connection was lost, and times that it went on without a gap.
    pub interrupted: usize,
    /// Times that it went on without a gap.
    pub resumed: usize,
    /// The first that is wrong.
    pub example: Option<String>,
}

impl Verdict {
    /// Whether everything was got once and in order, and no gap was told.
    pub fn is_lossless(&self) -> bool {
        self.missing == 0 && self.gaps == 0 && self.is_honest()
    }

    /// Whether nothing was double or out of order, and whatever is missing is covered by a gap.
    pub fn is_honest(&self) -> bool {
        self.uncovered == 0 && self.doubled == 0 && self.reordered == 0
    }
}

/// Judges.
pub fn judge(sent: &[Sent], heard: &[Heard]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut times: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    let mut gaps = Vec::new();
    let answered: HashMap<(usize, u64), &Sent> = sent
        .iter()
        .filter(|sent| sent.answered.is_some())
        .map(|sent| ((sent.publisher, sent.number), sent))
        .collect();
    let mut last: HashMap<usize, u64> = HashMap::new();
    let mut note = |example: String| {
        verdict.example.get_or_insert(example);
    };
    let (mut reordered, mut interrupted, mut resumed) = (0, 0, 0);
    for item in heard {
        match item {
            Heard::Message { publisher, number } => {
                let count = times.entry((*publisher, *number)).or_default();
                *count += 1;
                if *count > 1 {
                    note(format!("message {number} of publisher {publisher} came {count} times"));
                } else if answered.contains_key(&(*publisher, *number)) {
                    let last = last.entry(*publisher).or_default();
                    if number < last {
                        reordered += 1;
                        note(format!("message {number} of publisher {publisher} came behind {last}"));
                    }
                    *last = (*last).max(*number);
                }
            }
            Heard::Gap { since, until, .. } => gaps.push((*since, *until)),
            Heard::Interrupted => interrupted += 1,
            Heard::Resumed => resumed += 1,
        }
    }
    let (mut missing, mut uncovered) = (0, 0);
    for (key, sent) in &answered {
        if times.contains_key(key) {
            continue;
        }
        missing += 1;
        let covers = |(since, until): &(SystemTime, SystemTime)| {
            sent.answered.is_some_and(|answered| *since <= answered) && sent.sent <= *until
        };
        if !gaps.iter().any(covers) {
            uncovered += 1;
            note(format!("{sent:?} is missing and in no gap of {gaps:?}"));
        }
    }
    verdict.answered = answered.len();
    verdict.unanswered = sent.len() - answered.len();
    verdict.doubled = times.values().filter(|count| **count > 1).count();
    (verdict.missing, verdict.uncovered, verdict.reordered) = (missing, uncovered, reordered);
    (verdict.gaps, verdict.interrupted, verdict.resumed) = (gaps.len(), interrupted, resumed);
    verdict
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn sent(number: u64) -> Sent {
        Sent { publisher: 0, number, sent: at(number), answered: Some(at(number)) }
    }

    fn heard(number: u64) -> Heard {
        Heard::Message { publisher: 0, number }
    }

    #[test]
    fn a_judge_finds_what_is_missing_double_and_out_of_order() {
        let all: Vec<Sent> = (0..6).map(sent).collect();
        let fine: Vec<Heard> = (0..6).map(heard).collect();
        assert!(judge(&all, &fine).is_lossless());
        let verdict = judge(&all, &[heard(0), heard(2), heard(1), heard(2), heard(5)]);
        let found = (verdict.missing, verdict.uncovered, verdict.doubled, verdict.reordered);
        assert_eq!(found, (2, 2, 1, 1), "{verdict:?}");
        let gap = Heard::Gap { since: at(3), until: at(3), is_forgotten: false };
        let verdict = judge(&all, &[heard(0), heard(1), heard(2), gap, heard(5)]);
        assert_eq!((verdict.missing, verdict.uncovered), (2, 1), "{verdict:?}");
    }

    #[test]
    fn what_was_not_answered_may_come_or_not() {
        let mut all: Vec<Sent> = (0..3).map(sent).collect();
        all[1].answered = None;
        assert!(judge(&all, &[heard(0), heard(2)]).is_lossless());
        assert!(judge(&all, &[heard(0), heard(2), heard(1)]).is_lossless());
    }
}
