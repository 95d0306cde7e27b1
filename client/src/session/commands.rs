//! What is sent to the server: one command at a time.

use std::pin::Pin;

use bytes::Bytes;

use super::{Name, position::Seen};
use crate::{Connection, RequestError, SubscriptionKind, queue::QueueSender};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Subscribe with numbers, from where the client was; all of it or nothing, if strict.
    Resume {
        is_strict: bool,
    },
    /// Subscribe, with numbers or as Redis does.
    Subscribe {
        is_numbered: bool,
    },
    Unsubscribe,
}

/// What has come of it.
pub(super) struct Outcome {
    pub(super) what: What,
    pub(super) names: Vec<Name>,
    pub(super) result: Result<(), RequestError>,
}

pub(super) type UnderWay = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Sends a command. `queue` goes with the first of a connection.
pub(super) fn send(
    connection: &Connection,
    what: What,
    names: Vec<Name>,
    seen: &Seen,
    queue: Option<QueueSender>,
) -> UnderWay {
    let connection = connection.clone();
    let mut words = vec![Bytes::from_static(b"CARILLON"), Bytes::from_static(b"SUBSCRIBE")];
    if let What::Resume { is_strict } = what {
        words.extend(is_strict.then_some(Bytes::from_static(b"COMPLETE")));
        seen.words(&mut words);
    }
    Box::pin(async move {
        let result = match what {
            What::Unsubscribe => {
                let kind = names.first().map_or(SubscriptionKind::Channel, |name| name.0);
                connection.drop_names(kind, names.iter().map(|name| name.1.clone()).collect()).await
            }
            What::Subscribe { is_numbered: false } => plain(&connection, &names, queue).await,
            What::Resume { .. } | What::Subscribe { .. } => {
                for (kind, word) in WORDS {
                    let of_kind: Vec<&Bytes> =
                        names.iter().filter(|name| name.0 == kind).map(|name| &name.1).collect();
                    if !of_kind.is_empty() {
                        words.extend([Bytes::from_static(word), of_kind.len().to_string().into()]);
                        words.extend(of_kind.into_iter().cloned());
                    }
                }
                connection.add_numbered(&words, names.clone(), queue).await
            }
        };
        Outcome { what, names, result }
    })
}

const WORDS: [(SubscriptionKind, &[u8]); 3] = [
    (SubscriptionKind::Channel, b"CHANNELS"),
    (SubscriptionKind::Pattern, b"PATTERNS"),
    (SubscriptionKind::Shard, b"SHARDCHANNELS"),
];

async fn plain(
    connection: &Connection,
    names: &[Name],
    mut queue: Option<QueueSender>,
) -> Result<(), RequestError> {
    for (kind, _) in WORDS {
        let of_kind: Vec<Bytes> =
            names.iter().filter(|name| name.0 == kind).map(|name| name.1.clone()).collect();
        if !of_kind.is_empty() {
            connection.add_names(kind, of_kind, queue.take()).await?;
        }
    }
    Ok(())
}
