//! The outcome, and every way in which a promise can be broken.

use std::{fmt, time::Duration};

/// Violations that are kept; more are only counted.
const KEPT_MAX: usize = 100;

/// A broken promise. `subscription` is an index of [`History::subscriptions`](super::History::subscriptions).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields are the same everywhere")]
pub enum Violation {
    /// Answered, and never received on a connection that stayed open (P1, P2).
    Lost { subscription: usize, publisher: usize, sequence: usize },
    /// Not received, while a later one of the same publishing connection was (P1).
    Hole { subscription: usize, publisher: usize, sequence: usize },
    /// Received more than once (P1).
    Twice { subscription: usize, publisher: usize, sequence: usize },
    /// Received behind a later one of the same publishing connection (P1).
    OutOfOrder { subscription: usize, publisher: usize, sequence: usize, before: usize },
    /// Received on a connection that should have been closed by then: it was deaf meanwhile (P2).
    Late { subscription: usize, publisher: usize, sequence: usize, late: Duration },
    /// Received, and never sent, or not to this subscription.
    Invented { subscription: usize, publisher: usize, sequence: usize },
    /// Never answered, and one subscriber has it while another has not (P3).
    Split { publisher: usize, sequence: usize, with: usize, without: usize },
    /// Answered with a number that cannot be (P3).
    Miscounted { publisher: usize, sequence: usize, answered: i64, possible: (i64, i64) },
    /// Answered after clients have given up (P7).
    AnsweredLate { publisher: usize, sequence: usize, waited: Duration },
    /// A PUBLISH answered with an error (P7).
    PublishRefused { publisher: usize, sequence: usize, text: String },
    /// A SUBSCRIBE answered with an error (P7).
    SubscribeRefused { subscription: usize, text: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// What the judge found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The first violations.
    pub violations: Vec<Violation>,
    /// How many there are.
    pub violations_count: usize,
    /// Messages that were sent.
    pub published: usize,
    /// Those that were answered.
    pub answered: usize,
    /// Answers whose number was checked.
    pub counted: usize,
    /// Messages that arrived at subscribers.
    pub received: usize,
    /// Connections of subscribers.
    pub subscriptions: usize,
}

impl Verdict {
    pub(super) fn add(&mut self, violation: Violation) {
        self.violations_count += 1;
        if self.violations.len() < KEPT_MAX {
            self.violations.push(violation);
        }
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.violations_count == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} published, {} answered ({} numbers checked), {} received on {} connections, {} violations",
            self.published,
            self.answered,
            self.counted,
            self.received,
            self.subscriptions,
            self.violations_count
        )?;
        self.violations.iter().try_for_each(|violation| write!(formatter, "\n  {violation}"))
    }
}
