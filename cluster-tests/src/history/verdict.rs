//! The outcome, and every way in which a promise can be broken.

use std::{
    fmt::{self, Write as _},
    time::{Duration, Instant},
};

use super::{Answer, History};

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
    /// Not answered on a connection that stayed open, though clients have given up (P2, P7).
    NeverAnswered { publisher: usize, sequence: usize, waited: Duration },
    /// A PUBLISH answered with an error (P7).
    PublishRefused { publisher: usize, sequence: usize, text: String },
    /// A SUBSCRIBE answered with an error (P7).
    SubscribeRefused { subscription: usize, text: String },
}

impl Violation {
    /// The message that it is about.
    fn message(&self) -> Option<(usize, usize)> {
        match *self {
            Self::Lost { publisher, sequence, .. }
            | Self::Hole { publisher, sequence, .. }
            | Self::Twice { publisher, sequence, .. }
            | Self::OutOfOrder { publisher, sequence, .. }
            | Self::Late { publisher, sequence, .. }
            | Self::Invented { publisher, sequence, .. }
            | Self::Split { publisher, sequence, .. }
            | Self::Miscounted { publisher, sequence, .. }
            | Self::AnsweredLate { publisher, sequence, .. }
            | Self::NeverAnswered { publisher, sequence, .. }
            | Self::PublishRefused { publisher, sequence, .. } => Some((publisher, sequence)),
            Self::SubscribeRefused { .. } => None,
        }
    }

    /// The subscriptions that it is about.
    fn witnesses(&self) -> Vec<usize> {
        match *self {
            Self::Lost { subscription, .. }
            | Self::Hole { subscription, .. }
            | Self::Twice { subscription, .. }
            | Self::OutOfOrder { subscription, .. }
            | Self::Late { subscription, .. }
            | Self::Invented { subscription, .. }
            | Self::SubscribeRefused { subscription, .. } => vec![subscription],
            Self::Split { with, without, .. } => vec![with, without],
            Self::Miscounted { .. }
            | Self::AnsweredLate { .. }
            | Self::NeverAnswered { .. }
            | Self::PublishRefused { .. } => Vec::new(),
        }
    }
}

impl History {
    /// A violation with all that was noted about it, in milliseconds after `start`.
    pub fn explain(&self, violation: &Violation, start: Instant) -> String {
        let ms = |at: Instant| at.saturating_duration_since(start).as_secs_f64() * 1000.0;
        let mut text = format!("{violation:?}");
        let message = violation.message();
        if let Some(publication) =
            message.and_then(|(publisher, sequence)| self.publication(publisher, sequence))
        {
            let answer = match &publication.answer {
                Answer::Never => "never answered".to_owned(),
                Answer::Receivers(count, at) => format!("answered {count} at {:.1}", ms(*at)),
                Answer::Refused(text) => format!("refused: {text}"),
            };
            let (node, connection, sent) = (publication.node, publication.connection, ms(publication.sent));
            let _ = write!(
                text,
                "\n    published on node {node}, connection {connection}, sent at {sent:.1}, {answer}"
            );
        }
        for index in violation.witnesses() {
            let Some(subscription) = self.subscriptions.get(index) else { continue };
            let received = message.and_then(|(publisher, sequence)| {
                let is_it = |receipt: &&super::Receipt| {
                    (receipt.publisher, receipt.sequence) == (publisher, sequence)
                };
                subscription.received.iter().find(is_it).map(|receipt| ms(receipt.at))
            });
            let last = subscription.received.last().map(|receipt| ms(receipt.at));
            let _ = write!(
                text,
                "\n    subscription {index}: node {}, {:?}, confirmed at {:?}, this message at {received:?}, the last \
                 message at {last:?}, {} at {:.1}",
                subscription.node,
                subscription.topic,
                subscription.confirmed.map(ms),
                match subscription.closed {
                    super::Closed::ByNode(_) => "closed by the node",
                    super::Closed::ByClient(_) => "closed by the client",
                    super::Closed::AtTheEnd(_) => "open to the end",
                },
                ms(subscription.closed.at()),
            );
        }
        text
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
        self.violations.iter().try_for_each(|violation| write!(formatter, "\n  {violation:?}"))
    }
}
