//! What the server sends without being asked, taken apart. The pushes with numbers are told in Carillon's
//! `broker/src/server/POSITIONS.md`.

use std::iter::repeat_n;

use bytes::Bytes;
use carillon_proto::{pipe::Delivery, position::Origin, resp::Value};

use crate::{
    Message, Via,
    message::{Position, Pushed, Stamp},
};

/// A message, or something about messages; `None` if it is neither.
pub(crate) fn read(items: Vec<Value>) -> Option<Pushed> {
    let mut items = items.into_iter();
    let head = bulk(items.next())?;
    match head.as_ref() {
        b"message" => plain(Via::Channel, items),
        b"smessage" => plain(Via::Shard, items),
        b"pmessage" => plain(Via::Pattern(bulk(items.next())?), items),
        b"carillon-message" => numbered(&Via::Channel, items),
        b"carillon-smessage" => numbered(&Via::Shard, items),
        b"carillon-gap" => Some(Pushed::Gap),
        b"carillon-position" => position(items),
        _ => None,
    }
}

fn plain(via: Via, mut items: impl Iterator<Item = Value>) -> Option<Pushed> {
    Some(Pushed::Message(Message { channel: bulk(items.next())?, payload: bulk(items.next())?, via }))
}

fn numbered(direct: &Via, mut items: impl Iterator<Item = Value>) -> Option<Pushed> {
    let stamp = Stamp { origin: bulk(items.next())?, number: integer(items.next())? };
    let Value::Array(by) = items.next()? else { return None };
    let (channel, payload) = (bulk(items.next())?, bulk(items.next())?);
    let message = |((channel, payload), pattern)| {
        let via = match pattern {
            Value::Null => direct.clone(),
            pattern => Via::Pattern(bulk(Some(pattern))?),
        };
        Some(Message { channel, payload, via })
    };
    // The last gets them as they are: mostly it is the only one.
    let each = repeat_n((channel, payload), by.len());
    let messages: Option<Vec<Message>> = each.zip(by).map(message).collect();
    Some(Pushed::Numbered { stamp, messages: messages? })
}

/// A message that a node in this process has handed over. `last` keeps the text of the last origin.
pub(crate) fn delivered(delivery: Delivery, last: &mut Option<(Origin, Bytes)>) -> Pushed {
    let Delivery { stamp, is_shard, by, channel, payload } = delivery;
    let origin = match last {
        Some((origin, text)) if *origin == stamp.origin => text.clone(),
        _ => {
            let text = Bytes::from(stamp.origin.to_string());
            *last = Some((stamp.origin, text.clone()));
            text
        }
    };
    let message = |pattern: &Option<Bytes>| {
        let via = match pattern {
            None if is_shard => Via::Shard,
            None => Via::Channel,
            Some(pattern) => Via::Pattern(pattern.clone()),
        };
        Message { channel: channel.clone(), payload: payload.clone(), via }
    };
    let messages = by.iter().map(message).collect();
    Pushed::Numbered { stamp: Stamp { origin, number: stamp.number as i64 }, messages }
}

fn position(mut items: impl Iterator<Item = Value>) -> Option<Pushed> {
    let epoch = integer(items.next())?;
    let Value::Array(seen) = items.next()? else { return None };
    let (mut seen, mut stamps) = (seen.into_iter(), Vec::new());
    while let Some(origin) = seen.next() {
        stamps.push(Stamp { origin: bulk(Some(origin))?, number: integer(seen.next())? });
    }
    Some(Pushed::Position(Position { epoch, seen: stamps }))
}

fn bulk(value: Option<Value>) -> Option<Bytes> {
    match value? {
        Value::Bulk(bytes) => Some(Bytes::from(bytes)),
        _ => None,
    }
}

fn integer(value: Option<Value>) -> Option<i64> {
    match value? {
        Value::Integer(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Bulk(text.into())
    }

    #[test]
    fn a_numbered_message_is_one_for_each_subscription() {
        let by = Value::Array(vec![Value::Null, text("n*")]);
        let push =
            vec![text("carillon-message"), text("1-a"), Value::Integer(7), by, text("news"), text("hi")];
        let Some(Pushed::Numbered { stamp, messages }) = read(push) else { panic!("is a message") };
        assert_eq!((stamp.origin.as_ref(), stamp.number), (&b"1-a"[..], 7));
        let via: Vec<&Via> = messages.iter().map(|message| &message.via).collect();
        assert_eq!(via, [&Via::Channel, &Via::Pattern("n*".into())]);
        assert_eq!(messages[1].payload, "hi");
    }

    #[test]
    fn a_position_names_each_origin() {
        let seen = Value::Array(vec![text("1-a"), Value::Integer(7), text("2-b"), Value::Integer(0)]);
        let push = vec![text("carillon-position"), Value::Integer(3), seen];
        let Some(Pushed::Position(position)) = read(push) else { panic!("is a position") };
        assert_eq!((position.epoch, position.seen.len(), position.seen[1].number), (3, 2, 0));
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        assert_eq!(read(vec![]), None);
        assert_eq!(read(vec![text("invalidate"), Value::Array(vec![])]), None);
        assert_eq!(read(vec![text("carillon-message"), text("1-a")]), None);
        let odd = Value::Array(vec![text("1-a")]);
        assert_eq!(read(vec![text("carillon-position"), Value::Integer(3), odd]), None);
    }
}
