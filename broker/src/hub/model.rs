//! The hub against the simplest thing that could be right: a list of who is subscribed to what.

use ahash::RandomState;
use carillon_proto::resp::{Encoder, Protocol};
use proptest::prelude::*;

use super::{ChannelKind, Glob, Hub, SubscriptionKind};

const CLIENTS: usize = 4;
const NAMES: [&str; 5] = ["a", "b", "a*", "?", "ab"];

#[derive(Clone, Debug)]
enum Step {
    Subscribe(usize, SubscriptionKind, usize),
    Unsubscribe(usize, SubscriptionKind, usize),
    Publish(ChannelKind, usize, usize),
    Hello(usize, Protocol),
}

fn step() -> impl Strategy<Value = Step> {
    use SubscriptionKind as S;
    let kind = || prop_oneof![Just(S::Channel), Just(S::Pattern), Just(S::ShardChannel)];
    let channel_kind = prop_oneof![Just(ChannelKind::Channel), Just(ChannelKind::Shard)];
    let protocol = prop_oneof![Just(Protocol::Resp2), Just(Protocol::Resp3)];
    prop_oneof![
        (0..CLIENTS, kind(), 0..NAMES.len())
            .prop_map(|(client, kind, name)| Step::Subscribe(client, kind, name)),
        (0..CLIENTS, kind(), 0..NAMES.len())
            .prop_map(|(client, kind, name)| Step::Unsubscribe(client, kind, name)),
        (channel_kind, 0..NAMES.len(), prop_oneof![0_usize..40, 20_000..20_002_usize])
            .prop_map(|(kind, name, len)| Step::Publish(kind, name, len)),
        (0..CLIENTS, protocol).prop_map(|(client, protocol)| Step::Hello(client, protocol)),
    ]
}

#[derive(Default)]
struct Model {
    subscriptions: Vec<(usize, SubscriptionKind, &'static str)>,
    protocols: [Protocol; CLIENTS],
    received: [Vec<u8>; CLIENTS],
}

impl Model {
    fn publish(&mut self, kind: ChannelKind, channel: &str, payload: &[u8]) -> u64 {
        let mut receivers = 0;
        for &(client, subscription, name) in &self.subscriptions {
            let (head, pattern) = match (kind, subscription) {
                (ChannelKind::Channel, SubscriptionKind::Channel) if name == channel => ("message", None),
                (ChannelKind::Shard, SubscriptionKind::ShardChannel) if name == channel => ("smessage", None),
                (ChannelKind::Channel, SubscriptionKind::Pattern)
                    if Glob::new(name.as_bytes()).matches(channel.as_bytes()) =>
                {
                    ("pmessage", Some(name))
                }
                _ => continue,
            };
            let mut encoder = Encoder::new(&mut self.received[client], self.protocols[client]);
            encoder.push(3 + usize::from(pattern.is_some()));
            encoder.bulk(head);
            pattern.into_iter().for_each(|pattern| encoder.bulk(pattern));
            encoder.bulk(channel);
            encoder.bulk(payload);
            receivers += 1;
        }
        receivers
    }
}

/// What a client gets from one publish may come in any order (channel first, then patterns in some order), so
/// each publish is compared with its bytes sorted.
fn drain(hub: &mut Hub, seat: usize) -> Vec<u8> {
    let mut received = Vec::new();
    while !hub.outbox(seat).is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 3];
        let filled = hub.outbox(seat).slices(&mut slices);
        received.extend(slices[..filled].iter().flat_map(|slice| slice.to_vec()));
        let len = slices[..filled].iter().map(|slice| slice.len()).sum();
        hub.advance(seat, len);
    }
    received.sort_unstable();
    received
}

proptest! {
    #[test]
    fn the_hub_delivers_what_a_list_would(steps in prop::collection::vec(step(), 1..60)) {
        let (mut hub, mut model) = (Hub::new(RandomState::with_seeds(1, 2, 3, 4)), Model::default());
        let seats: Vec<usize> = (0..CLIENTS).map(|_| hub.connect()).collect();
        for step in steps {
            match step {
                Step::Subscribe(client, kind, name) => {
                    let row = (client, kind, NAMES[name]);
                    let is_new = !model.subscriptions.contains(&row);
                    prop_assert_eq!(hub.subscribe(seats[client], kind, NAMES[name].as_bytes()), is_new);
                    if is_new {
                        model.subscriptions.push(row);
                    }
                }
                Step::Unsubscribe(client, kind, name) => {
                    let before = model.subscriptions.len();
                    model.subscriptions.retain(|row| *row != (client, kind, NAMES[name]));
                    let was_subscribed = model.subscriptions.len() < before;
                    prop_assert_eq!(hub.unsubscribe(seats[client], kind, NAMES[name].as_bytes()), was_subscribed);
                }
                Step::Publish(kind, name, len) => {
                    let payload = vec![b'x'; len];
                    let receivers = hub.publish(kind, NAMES[name].as_bytes(), &payload);
                    prop_assert_eq!(receivers, model.publish(kind, NAMES[name], &payload));
                    for (client, seat) in seats.iter().enumerate() {
                        let mut expected = std::mem::take(&mut model.received[client]);
                        expected.sort_unstable();
                        prop_assert!(drain(&mut hub, *seat) == expected, "client {} got something else", client);
                    }
                }
                Step::Hello(client, protocol) => {
                    hub.set_protocol(seats[client], protocol);
                    model.protocols[client] = protocol;
                }
            }
        }
        for (client, seat) in seats.iter().enumerate() {
            let counts = hub.counts(*seat);
            let total = model.subscriptions.iter().filter(|(owner, ..)| *owner == client).count();
            prop_assert_eq!(counts.all(), total);
        }
        for (client, kind, name) in model.subscriptions {
            hub.unsubscribe(seats[client], kind, name.as_bytes());
        }
        let held: usize = seats.iter().map(|seat| hub.held_by(*seat)).sum();
        prop_assert_eq!(held, 0);
        seats.into_iter().for_each(|seat| hub.disconnect(seat));
        // The hub itself keeps the payload of the last message.
        hub.publish(ChannelKind::Channel, b"", b"");
        prop_assert_eq!(hub.held_bytes(), 0);
    }
}
