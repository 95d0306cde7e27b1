//! Histories of a hub against a list of who is subscribed to what: every message once, in order, encoded for
//! its reader, however the outboxes are read.
#![no_main]

use ahash::RandomState;
use carillon_broker::hub::{ChannelKind, Glob, Hub, Seat, SubscriptionKind};
use carillon_proto::resp::{Protocol, Value, ValueDecoder};
use libfuzzer_sys::fuzz_target;

const CLIENTS: usize = 4;
const NAMES: [&str; 6] = ["a", "b", "a*", "?", "ab", ""];
/// Payloads from 16 KiB on are shared between outboxes: a few lengths on both sides of that.
const LENGTHS: [usize; 4] = [10, 1_000, 16_384, 70_000];

#[derive(Debug)]
enum Step {
    Subscribe(usize, SubscriptionKind, &'static str),
    Unsubscribe(usize, SubscriptionKind, &'static str),
    Publish(ChannelKind, &'static str, usize),
    Hello(usize, Protocol),
    /// So many bytes of what waits for the client are written.
    Write(usize, usize),
    /// The connection ends, and another takes its place.
    Leave(usize),
}

impl Step {
    /// Three bytes make a step, whatever they are: so little that libFuzzer soon finds histories with a story.
    fn from_bytes(bytes: [u8; 3]) -> Self {
        let [what, who, which] = bytes.map(usize::from);
        let (client, name) = (who % CLIENTS, NAMES[which % NAMES.len()]);
        let kind = match who / CLIENTS % 3 {
            0 => SubscriptionKind::Channel,
            1 => SubscriptionKind::Pattern,
            _ => SubscriptionKind::ShardChannel,
        };
        match what % 9 {
            0 | 1 => Self::Subscribe(client, kind, name),
            2 => Self::Unsubscribe(client, kind, name),
            3 | 4 => Self::Publish(ChannelKind::Channel, name, LENGTHS[who % LENGTHS.len()]),
            5 => Self::Publish(ChannelKind::Shard, name, LENGTHS[who % LENGTHS.len()]),
            6 => Self::Hello(client, if which % 2 == 0 { Protocol::Resp2 } else { Protocol::Resp3 }),
            7 => Self::Write(client, which * which),
            _ => Self::Leave(client),
        }
    }
}

struct Client {
    seat: Seat,
    protocol: Protocol,
    subscriptions: Vec<(SubscriptionKind, &'static str)>,
    received: Vec<u8>,
    /// Number of the publish, and the value that it is to arrive as.
    expected: Vec<(usize, Value)>,
}

impl Client {
    fn new(seat: Seat) -> Self {
        let protocol = Protocol::Resp2;
        Self { seat, protocol, subscriptions: Vec::new(), received: Vec::new(), expected: Vec::new() }
    }

    fn expect(&mut self, kind: ChannelKind, channel: &str, number: usize, payload: &[u8]) -> u64 {
        let before = self.expected.len();
        for &(subscription, name) in &self.subscriptions {
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
            let strings = [head].into_iter().chain(pattern).chain([channel]).map(str::as_bytes);
            let values = strings.chain([payload]).map(|string| Value::Bulk(string.to_vec())).collect();
            let value =
                if self.protocol == Protocol::Resp3 { Value::Push(values) } else { Value::Array(values) };
            self.expected.push((number, value));
        }
        (self.expected.len() - before) as u64
    }

    fn write(&mut self, hub: &mut Hub, mut len: usize) {
        while len > 0 && !hub.outbox(self.seat).is_empty() {
            let mut slices = [std::io::IoSlice::new(&[]); 3];
            let filled = hub.outbox(self.seat).slices(&mut slices);
            let waiting: Vec<u8> =
                slices[..filled].iter().flat_map(|slice| slice.to_vec()).take(len).collect();
            hub.advance(self.seat, waiting.len());
            len -= waiting.len();
            self.received.extend(waiting);
        }
    }

    /// Everything expected has been received, and nothing else. What one publish brings to one client may come
    /// in any order: the channel's message first, then those of patterns.
    fn check(&mut self, hub: &mut Hub) {
        self.write(hub, usize::MAX);
        let mut received = Vec::new();
        let mut rest = &self.received[..];
        while let Some((value, used)) = ValueDecoder::new(1 << 20).decode(rest).expect("the hub writes RESP")
        {
            let (Value::Array(values) | Value::Push(values)) = &value else {
                panic!("{value:?} is no message")
            };
            let Some(Value::Bulk(payload)) = values.last() else { panic!("{value:?} has no payload") };
            let digits = payload.iter().take_while(|byte| byte.is_ascii_digit()).copied().collect();
            let number: usize =
                String::from_utf8(digits).expect("digits").parse().expect("payloads begin with a number");
            received.push((number, value));
            rest = &rest[used..];
        }
        assert!(rest.is_empty(), "half a message");
        assert!(received.is_sorted_by_key(|(number, _)| *number), "messages out of order");
        let key = |(number, value): &(usize, Value)| {
            let (Value::Array(values) | Value::Push(values)) = value else { unreachable!() };
            (*number, values.len(), format!("{:?}", values[1]))
        };
        received.sort_by_cached_key(key);
        self.expected.sort_by_cached_key(key);
        assert!(received == self.expected, "{} messages, {} expected", received.len(), self.expected.len());
        self.received.clear();
        self.expected.clear();
    }
}

fn run(steps: impl Iterator<Item = Step>) {
    let mut hub = Hub::new(RandomState::with_seeds(1, 2, 3, 4));
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(hub.connect())).collect();
    for (number, step) in steps.enumerate() {
        match step {
            Step::Subscribe(client, kind, name) => {
                let client = &mut clients[client];
                let is_new = !client.subscriptions.contains(&(kind, name));
                assert_eq!(hub.subscribe(client.seat, kind, name.as_bytes()), is_new);
                client.subscriptions.extend(is_new.then_some((kind, name)));
            }
            Step::Unsubscribe(client, kind, name) => {
                let client = &mut clients[client];
                let is_subscribed = client.subscriptions.contains(&(kind, name));
                assert_eq!(hub.unsubscribe(client.seat, kind, name.as_bytes()), is_subscribed);
                client.subscriptions.retain(|other| *other != (kind, name));
            }
            Step::Publish(kind, name, len) => {
                let mut payload = format!("{number};").into_bytes();
                payload.resize(len, b'x');
                let receivers: u64 =
                    clients.iter_mut().map(|client| client.expect(kind, name, number, &payload)).sum();
                assert_eq!(hub.publish(kind, name.as_bytes(), &payload), receivers);
            }
            Step::Hello(client, protocol) => {
                clients[client].protocol = protocol;
                hub.set_protocol(clients[client].seat, protocol);
            }
            Step::Write(client, len) => clients[client].write(&mut hub, len),
            Step::Leave(client) => {
                let client = &mut clients[client];
                client.check(&mut hub);
                for (kind, name) in client.subscriptions.drain(..) {
                    assert!(hub.unsubscribe(client.seat, kind, name.as_bytes()));
                }
                hub.disconnect(client.seat);
                *client = Client::new(hub.connect());
            }
        }
    }
    for client in &mut clients {
        let counts = hub.counts(client.seat);
        let count = counts.channels + counts.patterns + counts.shard_channels;
        assert_eq!(count, client.subscriptions.len());
        client.check(&mut hub);
    }
}

fuzz_target!(|input: &[u8]| run(input.as_chunks().0.iter().copied().map(Step::from_bytes)));
