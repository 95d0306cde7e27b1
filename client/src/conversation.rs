//! What belongs to what: replies to requests, confirmations to subscriptions, messages to the subscriber.
//!
//! In RESP3 messages are pushes and cannot be mistaken. In RESP2 they are arrays like any other; there requests
//! and subscriptions are kept apart, so that an array is a reply exactly when a request is the oldest that waits.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use carillon_proto::resp::{Protocol, Value};
use tokio::sync::oneshot;

use crate::{ConnectionLost, Endpoint, LossCause, RequestError, SubscriptionKind, message::Pushed, pushes};

pub(crate) type ReplySender = oneshot::Sender<Result<Value, RequestError>>;
pub(crate) type ConfirmationSender = oneshot::Sender<Result<(), RequestError>>;

/// Longest part of an unexpected value in an error, in characters.
const SHOWN_MAX: usize = 200;

/// What has been sent and is not answered yet, and what is subscribed to.
#[derive(Debug)]
pub(crate) struct Conversation {
    protocol: Protocol,
    endpoint: Endpoint,
    waiting: VecDeque<Waiting>,
    names: HashSet<(SubscriptionKind, Bytes)>,
    /// Unsubscriptions of a subscriber that is gone; until they are confirmed, messages are still its.
    farewells: usize,
    confirmations: usize,
    pings: usize,
}

#[derive(Debug)]
enum Waiting {
    Reply(ReplySender),
    Confirmations { verb: &'static str, left: usize, by: By },
    Ping,
}

/// Who waits for confirmations.
#[derive(Debug)]
enum By {
    Subscribe(ConfirmationSender, SubscriptionKind, Vec<Bytes>),
    Unsubscribe(ConfirmationSender),
    Farewell,
}

impl Conversation {
    pub(crate) fn new(protocol: Protocol, endpoint: Endpoint) -> Self {
        Self {
            protocol,
            endpoint,
            waiting: VecDeque::new(),
            names: HashSet::new(),
            farewells: 0,
            confirmations: 0,
            pings: 0,
        }
    }

    /// Number of requests and subscriptions that wait for an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len() - self.pings
    }

    pub(crate) fn has_ping(&self) -> bool {
        self.pings > 0
    }

    /// Whether a request could be answered: in RESP2, a subscribed connection takes none.
    pub(crate) fn takes_requests(&self) -> bool {
        self.protocol == Protocol::Resp3 || (self.names.is_empty() && self.confirmations == 0)
    }

    pub(crate) fn sent_request(&mut self, reply: ReplySender) {
        self.waiting.push_back(Waiting::Reply(reply));
    }

    pub(crate) fn sent_ping(&mut self) {
        self.pings += 1;
        self.waiting.push_back(Waiting::Ping);
    }

    pub(crate) fn sent_subscribe(
        &mut self,
        kind: SubscriptionKind,
        names: Vec<Bytes>,
        done: ConfirmationSender,
    ) {
        // Remembered from now on: a subscriber that goes away meanwhile has to be unsubscribed from them.
        self.names.extend(names.iter().map(|name| (kind, name.clone())));
        let left = names.len();
        self.sent_confirmed(kind.subscribe(), left, By::Subscribe(done, kind, names));
    }

    /// CARILLON SUBSCRIBE was sent: all its names are confirmed by one reply.
    pub(crate) fn sent_numbered(&mut self, names: Vec<(SubscriptionKind, Bytes)>, reply: ReplySender) {
        self.names.extend(names);
        self.waiting.push_back(Waiting::Reply(reply));
    }

    pub(crate) fn sent_unsubscribe(
        &mut self,
        kind: SubscriptionKind,
        names: &[Bytes],
        done: ConfirmationSender,
    ) {
        // Forgotten from now on: what is subscribed to again behind it must stay remembered.
        for name in names {
            self.names.remove(&(kind, name.clone()));
        }
        self.sent_confirmed(kind.unsubscribe(), names.len(), By::Unsubscribe(done));
    }

    /// Takes the names of `kind` of a subscriber that is gone; the caller sends their unsubscription.
    pub(crate) fn take_farewell(&mut self, kind: SubscriptionKind) -> Vec<Bytes> {
        let names: Vec<Bytes> = self.names.extract_if(|(of, _)| *of == kind).map(|(_, name)| name).collect();
        if !names.is_empty() {
            self.farewells += 1;
            self.sent_confirmed(kind.unsubscribe(), names.len(), By::Farewell);
        }
        names
    }

    fn sent_confirmed(&mut self, verb: &'static str, left: usize, by: By) {
        self.confirmations += 1;
        self.waiting.push_back(Waiting::Confirmations { verb, left, by });
    }

    /// Takes in a value from the server. Returns a message for the subscriber, if it is one.
    pub(crate) fn receive(&mut self, value: Value) -> Result<Option<Pushed>, LossCause> {
        match value {
            Value::Push(items) => self.push(items),
            Value::Array(items)
                if self.protocol == Protocol::Resp2
                    && !matches!(self.waiting.front(), Some(Waiting::Reply(_))) =>
            {
                self.push(items)
            }
            value => self.reply(value).map(|()| None),
        }
    }

    /// Tells everyone who waits that nothing comes any more.
    pub(crate) fn fail(&mut self, lost: &ConnectionLost) {
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Reply(reply) => drop(reply.send(Err(lost.clone().into()))),
                Waiting::Confirmations { by: By::Subscribe(done, ..) | By::Unsubscribe(done), .. } => {
                    drop(done.send(Err(lost.clone().into())));
                }
                Waiting::Confirmations { by: By::Farewell, .. } | Waiting::Ping => {}
            }
        }
    }

    fn push(&mut self, items: Vec<Value>) -> Result<Option<Pushed>, LossCause> {
        // Most are messages with numbers, which only this protocol has: nothing else has to be thought of.
        if let Some(Value::Bulk(head)) = items.first()
            && head.starts_with(b"carillon-")
            && self.protocol == Protocol::Resp3
        {
            return Ok(self.pushed(items));
        }
        let parts: Option<Vec<&[u8]>> = items
            .iter()
            .filter_map(|item| match item {
                Value::Bulk(bytes) => Some(Some(bytes.as_slice())),
                // The number of subscriptions, which ends a confirmation.
                Value::Integer(_) => None,
                _ => Some(None),
            })
            .collect();
        match parts.as_deref() {
            Some([b"subscribe" | b"psubscribe" | b"ssubscribe", _]) => self.confirm(&items),
            Some([b"unsubscribe" | b"punsubscribe" | b"sunsubscribe", name]) => {
                let name = String::from_utf8_lossy(name).into_owned();
                self.unsubscribed(&items, name)
            }
            Some([b"pong", ..]) if matches!(self.waiting.front(), Some(Waiting::Ping)) => {
                self.reply(Value::Null)?;
                Ok(None)
            }
            Some([b"message" | b"smessage", _, _] | [b"pmessage", _, _, _]) => Ok(self.pushed(items)),
            // RESP3 pushes of other kinds, such as invalidations, are for whoever asked for them by a request.
            _ if self.protocol == Protocol::Resp3 => Ok(self.pushed(items)),
            _ => Err(unexpected(&Value::Array(items))),
        }
    }

    fn pushed(&self, items: Vec<Value>) -> Option<Pushed> {
        pushes::read(items).filter(|_| self.takes_messages())
    }

    /// Whether messages are for the subscriber that there is, and not for one that is gone.
    pub(crate) fn takes_messages(&self) -> bool {
        self.farewells == 0
    }

    /// Ours is confirmed; one that nobody asked for must not go unnoticed.
    fn unsubscribed(&mut self, items: &[Value], name: String) -> Result<Option<Pushed>, LossCause> {
        match (self.waiting.front(), &items[0]) {
            (Some(Waiting::Confirmations { verb, .. }), Value::Bulk(got)) if verb.as_bytes() == got => {
                self.confirm(items)
            }
            _ => Err(LossCause::Unsubscribed(name)),
        }
    }

    fn confirm(&mut self, items: &[Value]) -> Result<Option<Pushed>, LossCause> {
        match (self.waiting.front_mut(), &items[0]) {
            (Some(Waiting::Confirmations { verb, left, .. }), Value::Bulk(got)) if verb.as_bytes() == got => {
                *left -= 1;
                if *left == 0 {
                    self.confirmed(None);
                }
                Ok(None)
            }
            _ => Err(unexpected(&Value::Push(items.to_vec()))),
        }
    }

    fn reply(&mut self, value: Value) -> Result<(), LossCause> {
        match (self.waiting.front(), value) {
            (Some(Waiting::Reply(_)), value) => {
                let Some(Waiting::Reply(reply)) = self.waiting.pop_front() else {
                    unreachable!("is in front")
                };
                let result = match value {
                    Value::Error(reply) => Err(self.refused(reply)),
                    value => Ok(value),
                };
                // A request whose future was dropped wants no reply.
                let _ = reply.send(result);
            }
            (Some(Waiting::Confirmations { .. }), Value::Error(reply)) => self.confirmed(Some(reply)),
            // An error is as good a sign of life as a PONG.
            (Some(Waiting::Ping), _) => {
                self.pings -= 1;
                self.waiting.pop_front();
            }
            (_, value) => return Err(unexpected(&value)),
        }
        Ok(())
    }

    /// Ends the confirmations in front, with the server's error if it refused.
    fn confirmed(&mut self, refusal: Option<String>) {
        let Some(Waiting::Confirmations { by, .. }) = self.waiting.pop_front() else { return };
        self.confirmations -= 1;
        let result = match refusal {
            None => Ok(()),
            Some(reply) => Err(self.refused(reply)),
        };
        match by {
            By::Farewell => self.farewells -= 1,
            By::Unsubscribe(done) => drop(done.send(result)),
            By::Subscribe(done, kind, names) => {
                if result.is_err() {
                    for name in names {
                        self.names.remove(&(kind, name));
                    }
                }
                let _ = done.send(result);
            }
        }
    }

    fn refused(&self, reply: String) -> RequestError {
        RequestError::Refused { endpoint: self.endpoint.clone(), reply }
    }
}

fn unexpected(value: &Value) -> LossCause {
    LossCause::Unexpected(match value {
        Value::Error(text) => text.clone(),
        value => format!("{value:?}").chars().take(SHOWN_MAX).collect(),
    })
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
