//! Values in, answers out, in both protocols.

use super::*;
use crate::{Message, Via};

fn conversation(protocol: Protocol) -> Conversation {
    Conversation::new(protocol, Endpoint::Unix("/test".into()))
}

fn items(words: &str) -> Vec<Value> {
    words
        .split(' ')
        .map(|word| word.parse().map_or_else(|_| Value::Bulk(word.into()), Value::Integer))
        .collect()
}

fn pushed(protocol: Protocol, words: &str) -> Value {
    match protocol {
        Protocol::Resp2 => Value::Array(items(words)),
        Protocol::Resp3 => Value::Push(items(words)),
    }
}

fn subscribe(conversation: &mut Conversation, names: &[&str]) -> oneshot::Receiver<Result<(), RequestError>> {
    let (done, receiver) = oneshot::channel();
    let names = names.iter().map(|name| Bytes::copy_from_slice(name.as_bytes())).collect();
    conversation.sent_subscribe(SubscriptionKind::Channel, names, done);
    receiver
}

fn message(pushed: Option<Pushed>) -> Message {
    match pushed {
        Some(Pushed::Message(message)) => message,
        other => panic!("{other:?} is no message"),
    }
}

#[test]
fn messages_may_come_before_between_and_behind_confirmations() {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut conversation = conversation(protocol);
        let mut done = subscribe(&mut conversation, &["a", "b"]);
        let mut receive = |words| conversation.receive(pushed(protocol, words)).expect(words);
        assert_eq!(receive("subscribe a 1"), None);
        assert_eq!(message(receive("message a x")).payload, "x");
        assert!(done.try_recv().is_err(), "b is not confirmed yet");
        assert_eq!(receive("subscribe b 2"), None);
        assert!(matches!(done.try_recv(), Ok(Ok(()))));
        let by_pattern = message(receive("pmessage p* pa x"));
        assert_eq!((by_pattern.channel, by_pattern.via), ("pa".into(), Via::Pattern("p*".into())));
        assert_eq!(message(receive("smessage s x")).via, Via::Shard);
    }
}

#[test]
fn replies_go_to_the_oldest_request_past_pushes() {
    let mut conversation = conversation(Protocol::Resp3);
    let (first, mut first_reply) = oneshot::channel();
    let (second, mut second_reply) = oneshot::channel();
    conversation.sent_request(first);
    conversation.sent_ping();
    conversation.sent_request(second);
    assert_eq!(conversation.waiting(), 2);
    for value in [
        Value::Integer(1),
        pushed(Protocol::Resp3, "message a x"),
        pushed(Protocol::Resp3, "invalidate a"),
        Value::Simple("PONG".into()),
        Value::Error("ERR no".into()),
    ] {
        conversation.receive(value).expect("belongs somewhere");
    }
    assert!(matches!(first_reply.try_recv(), Ok(Ok(Value::Integer(1)))));
    assert!(
        matches!(second_reply.try_recv(), Ok(Err(RequestError::Refused { reply, .. })) if reply == "ERR no")
    );
    assert!(!conversation.has_ping());
}

#[test]
fn a_subscribed_resp2_connection_takes_no_requests() {
    let mut conversation = conversation(Protocol::Resp2);
    assert!(conversation.takes_requests());
    let _done = subscribe(&mut conversation, &["a"]);
    assert!(!conversation.takes_requests(), "not confirmed, but sent");
    conversation.receive(pushed(Protocol::Resp2, "subscribe a 1")).expect("is confirmed");
    conversation.sent_ping();
    conversation
        .receive(Value::Array(vec![Value::Bulk(b"pong".to_vec()), Value::Bulk(Vec::new())]))
        .expect("a pong");
    assert!(!conversation.takes_requests());
    assert_eq!(conversation.take_farewell(SubscriptionKind::Channel), ["a"]);
    conversation.receive(pushed(Protocol::Resp2, "unsubscribe a 0")).expect("is confirmed");
    assert!(conversation.takes_requests());
}

#[test]
fn a_resp2_reply_that_looks_like_a_message_is_a_reply() {
    let mut conversation = conversation(Protocol::Resp2);
    let (sender, mut reply) = oneshot::channel();
    conversation.sent_request(sender);
    assert_eq!(conversation.receive(pushed(Protocol::Resp2, "message a x")).expect("is a reply"), None);
    assert!(matches!(reply.try_recv(), Ok(Ok(Value::Array(_)))));
}

#[test]
fn a_refused_subscription_leaves_nothing_to_unsubscribe() {
    let mut conversation = conversation(Protocol::Resp3);
    let mut done = subscribe(&mut conversation, &["a", "b"]);
    conversation.receive(Value::Error("NOPERM no".into())).expect("is the answer");
    assert!(matches!(done.try_recv(), Ok(Err(RequestError::Refused { .. }))));
    assert!(conversation.take_farewell(SubscriptionKind::Channel).is_empty());
}

/// A new subscriber on the same connection must not see what the one before it had asked for.
#[test]
fn messages_of_a_subscriber_that_is_gone_are_dropped() {
    let mut conversation = conversation(Protocol::Resp3);
    let _old = subscribe(&mut conversation, &["a"]);
    conversation.take_farewell(SubscriptionKind::Channel);
    let _new = subscribe(&mut conversation, &["a"]);
    let mut receive = |words| conversation.receive(pushed(Protocol::Resp3, words)).expect(words);
    receive("subscribe a 1");
    assert_eq!(receive("message a old"), None);
    receive("unsubscribe a 0");
    receive("subscribe a 1");
    assert!(receive("message a new").is_some());
    assert_eq!(conversation.take_farewell(SubscriptionKind::Channel), ["a"], "the new one's is known");
}

#[test]
fn what_nothing_asked_for_ends_the_connection() {
    for value in [
        Value::Error("ERR max number of clients reached".into()),
        Value::Integer(1),
        pushed(Protocol::Resp3, "subscribe a 1"),
        pushed(Protocol::Resp3, "sunsubscribe a 0"),
    ] {
        assert!(conversation(Protocol::Resp3).receive(value.clone()).is_err(), "{value:?}");
    }
    assert!(conversation(Protocol::Resp2).receive(Value::Array(Vec::new())).is_err());
    assert!(conversation(Protocol::Resp2).receive(pushed(Protocol::Resp2, "1 1")).is_err());
}
