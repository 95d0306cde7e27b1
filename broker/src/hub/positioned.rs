//! Connections that get each message with its number: the data plane feeds them, once the number is known, and the
//! ordinary path only counts them. What they get is told in `server/POSITIONS.md`.

use carillon_proto::{
    pipe::Delivery,
    position::{Gap, Position, Stamp},
    resp::Protocol,
};

use super::{
    ChannelKind, Client, Hub, Positioned, Seat, frame::MessageFrame, mark_dirty, outbox::BufferPool,
};

/// The first word of a message.
fn head(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Channel => "carillon-message",
        ChannelKind::Shard => "carillon-smessage",
    }
}

/// A message with its number, made at most once in each form: for sockets, and for clients in this process.
struct Numbered<'a> {
    frame: &'a mut MessageFrame,
    kind: ChannelKind,
    /// Channel and payload.
    message: (&'a [u8], &'a [u8]),
    stamp: &'a Stamp,
    is_encoded: bool,
    delivery: Option<Delivery>,
}

impl<'a> Numbered<'a> {
    fn new(
        frame: &'a mut MessageFrame,
        kind: ChannelKind,
        message: (&'a [u8], &'a [u8]),
        stamp: &'a Stamp,
    ) -> Self {
        frame.clear();
        Self { frame, kind, message, stamp, is_encoded: false, delivery: None }
    }

    /// The next connection gets it by other subscriptions.
    fn forget_form(&mut self) {
        (self.is_encoded, self.delivery) = (false, None);
    }

    /// Puts it into an outbox. `by` is the same since [`forget_form`](Self::forget_form).
    fn deliver(&mut self, by: &[Option<&[u8]>], client: &mut Client, pool: &mut BufferPool) {
        let Self { frame, kind, message, stamp, is_encoded, delivery } = self;
        if client.is_in_process {
            let is_shard = *kind == ChannelKind::Shard;
            let delivery = delivery.get_or_insert_with(|| frame.delivery(is_shard, stamp, by, *message));
            client.outbox.append_message(delivery.clone());
            return;
        }
        if !std::mem::replace(is_encoded, true) {
            frame.encode_positioned(head(*kind), stamp, by, *message);
        }
        frame.append_to(&mut client.outbox, client.protocol, pool);
    }
}

impl Hub {
    /// Gives `seat`, which must not be subscribed to anything, its messages with their numbers from now on, or not any
    /// more.
    pub fn set_positioned(&mut self, seat: Seat, is_positioned: bool) {
        debug_assert!(!self.counts(seat).any(), "its subscriptions are in one table or in the other");
        self.clients[seat].positioned = if is_positioned { Positioned::Live } else { Positioned::No };
    }

    /// Whether `seat` gets its messages with their numbers.
    pub fn is_positioned(&self, seat: Seat) -> bool {
        self.clients[seat].positioned != Positioned::No
    }

    /// Keeps messages from `seat` as they come, because it is given recent ones, or lets them through again.
    pub fn set_replaying(&mut self, seat: Seat, is_replaying: bool) {
        let client = &mut self.clients[seat];
        if client.positioned != Positioned::No {
            client.positioned = if is_replaying { Positioned::Replaying } else { Positioned::Live };
        }
    }

    /// Puts a message with its number into the outboxes of those who get it so. A connection gets it once, with all the
    /// subscriptions by which it does: it could be cut off between two copies, and only know the number of the first.
    pub fn publish_positioned(&mut self, kind: ChannelKind, channel: &[u8], payload: &[u8], stamp: &Stamp) {
        if self.positioned_subscriptions == 0 {
            return;
        }
        let Self { clients, positioned, frame, pool, dirty, .. } = self;
        let mut hearing = positioned.hearing(kind, channel).peekable();
        let Some((by, seats)) = hearing.next() else { return };
        let mut numbered = Numbered::new(frame, kind, (channel, payload), stamp);
        let mut deliver = |seat: Seat, numbered: &mut Numbered<'_>, by: &[Option<&[u8]>]| {
            if clients[seat].positioned == Positioned::Live {
                numbered.deliver(by, &mut clients[seat], pool);
                mark_dirty(&mut clients[seat], seat, dirty);
            }
        };
        if hearing.peek().is_none() {
            seats.iter().for_each(|seat| deliver(seat, &mut numbered, &[by]));
            return;
        }
        let first = seats.iter().map(|seat| (seat, by));
        let others = hearing.flat_map(|(by, seats)| seats.iter().map(move |seat| (seat, by)));
        let mut all: Vec<(Seat, Option<&[u8]>)> = first.chain(others).collect();
        all.sort_unstable();
        for same in all.chunk_by(|one, other| one.0 == other.0) {
            let by: Vec<Option<&[u8]>> = same.iter().map(|(_, by)| *by).collect();
            numbered.forget_form();
            deliver(same[0].0, &mut numbered, &by);
        }
    }

    /// Puts a recent message into the outbox of `seat`, if it is subscribed to it. Returns whether it is.
    pub fn replay(
        &mut self,
        seat: Seat,
        kind: ChannelKind,
        channel: &[u8],
        payload: &[u8],
        stamp: &Stamp,
    ) -> bool {
        let hearing = self.positioned.hearing(kind, channel).filter(|(_, seats)| seats.contains(seat));
        let mut by: Vec<Option<&[u8]>> = hearing.map(|(by, _)| by).collect();
        if by.is_empty() {
            return false;
        }
        by.sort_unstable();
        let client = &mut self.clients[seat];
        let mut numbered = Numbered::new(&mut self.frame, kind, (channel, payload), stamp);
        numbered.deliver(&by, client, &mut self.pool);
        mark_dirty(client, seat, &mut self.dirty);
        true
    }

    /// Tells `seat` of messages that it cannot be given any more.
    pub fn tell_gap(&mut self, seat: Seat, gap: &Gap) {
        self.reply(seat, |push| {
            push.push(4);
            push.bulk("carillon-gap");
            push.bulk(gap.origin.to_string());
            push.integer(gap.first);
            match gap.last {
                Some(last) => push.integer(last),
                None => push.null(),
            }
        });
    }

    /// Tells `seat` how far it is.
    pub fn tell_position(&mut self, seat: Seat, position: &Position) {
        self.reply(seat, |push| {
            push.push(3);
            push.bulk("carillon-position");
            push.integer(position.epoch);
            push.array(2 * position.seen.len());
            for stamp in &position.seen {
                push.bulk(stamp.origin.to_string());
                push.integer(stamp.number);
            }
        });
    }

    /// Tells everyone who gets messages with their numbers how far they are. Returns whether there is anyone.
    pub fn tell_position_to_all(&mut self, position: &Position) -> bool {
        let is_live =
            |seat: &Seat| self.clients[*seat].positioned == Positioned::Live && self.counts(*seat).any();
        let seats: Vec<Seat> = self.clients.iter().map(|(seat, _)| seat).filter(is_live).collect();
        seats.iter().for_each(|seat| self.tell_position(*seat, position));
        !seats.is_empty()
    }

    /// Whether numbers can be told in this protocol: they come in pushes.
    pub fn can_be_positioned(&self, seat: Seat) -> bool {
        self.clients[seat].protocol == Protocol::Resp3
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use ahash::RandomState;
    use carillon_proto::{pipe::Piece, position::Origin};

    use super::*;
    use crate::hub::SubscriptionKind;

    fn text(hub: &Hub, seat: Seat) -> String {
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        let filled = hub.outbox(seat).slices(&mut slices);
        slices[..filled].iter().map(|slice| String::from_utf8_lossy(slice)).collect()
    }

    #[test]
    fn who_gets_numbers_is_counted_with_all_and_gets_each_message_once_with_its_number() {
        let mut hub = Hub::new(RandomState::with_seeds(1, 2, 3, 4));
        let (plain, numbered, held) = (hub.connect(), hub.connect(), hub.connect());
        for seat in [numbered, held] {
            hub.set_protocol(seat, Protocol::Resp3);
            hub.set_positioned(seat, true);
        }
        hub.set_replaying(held, true);
        for seat in [plain, numbered, held] {
            hub.subscribe(seat, SubscriptionKind::Channel, b"news");
        }
        hub.subscribe(numbered, SubscriptionKind::Pattern, b"n*");
        assert_eq!(hub.publish(ChannelKind::Channel, b"news", b"x"), 4);
        assert_eq!(hub.subscribers(ChannelKind::Channel, b"news").len(), 4);
        assert!(text(&hub, plain).contains("message"));
        assert_eq!((text(&hub, numbered), text(&hub, held)), (String::new(), String::new()));

        let stamp = Stamp { origin: Origin { node: 7, incarnation: 1 }, number: 42 };
        hub.publish_positioned(ChannelKind::Channel, b"news", b"x", &stamp);
        let expected = ">6\r\n$16\r\ncarillon-message\r\n$18\r\n7-0000000000000001\r\n:42\r\n\
                        *2\r\n_\r\n$2\r\nn*\r\n$4\r\nnews\r\n$1\r\nx\r\n";
        assert_eq!(text(&hub, numbered), expected);
        assert_eq!(text(&hub, held), "", "it is given recent ones first");
        assert!(hub.replay(held, ChannelKind::Channel, b"news", b"x", &stamp));
        assert!(!hub.replay(held, ChannelKind::Channel, b"other", b"x", &stamp), "not subscribed to it");
        assert_eq!(text(&hub, held), expected.replace("*2", "*1").replace("$2\r\nn*\r\n", ""));
    }

    #[test]
    fn clients_in_the_process_share_what_is_copied_once() {
        let mut hub = Hub::new(RandomState::with_seeds(1, 2, 3, 4));
        let seats = [hub.connect_in_process(), hub.connect_in_process(), hub.connect()];
        for seat in seats {
            hub.set_protocol(seat, Protocol::Resp3);
            hub.set_positioned(seat, true);
            hub.subscribe(seat, SubscriptionKind::Channel, b"news");
        }
        let stamp = Stamp { origin: Origin { node: 7, incarnation: 1 }, number: 42 };
        for len in [10, 100_000] {
            let payload = vec![b'x'; len];
            hub.publish_positioned(ChannelKind::Channel, b"news", &payload, &stamp);
            let payloads = [seats[0], seats[1]].map(|seat| {
                let mut pieces = VecDeque::new();
                assert!(hub.take_pieces(seat, usize::MAX, &mut pieces) > len);
                let Some(Piece::Message(message)) = pieces.pop_back() else { panic!("{pieces:?}") };
                assert_eq!(
                    (message.stamp, &*message.by, &message.channel[..]),
                    (stamp, &[None][..], &b"news"[..])
                );
                assert!(pieces.is_empty() && hub.outbox(seat).is_empty());
                message.payload
            });
            assert_eq!(payloads[0], payload);
            assert_eq!(payloads[0].as_ptr(), payloads[1].as_ptr());
        }
        assert!(text(&hub, seats[2]).starts_with(">6\r\n$16\r\ncarillon-message"));
        hub.publish_positioned(ChannelKind::Channel, b"other", b"", &stamp);
        hub.discard_outbox(seats[2]);
        // The last large payload went with its outboxes, but for what the hub itself keeps until the next message.
        hub.publish_positioned(ChannelKind::Channel, b"news", b"", &stamp);
        seats.into_iter().for_each(|seat| hub.discard_outbox(seat));
        assert_eq!(seats.map(|seat| hub.held_by(seat) - 164), [0, 0, 0], "but for the subscriptions");
    }
}
