//! Who publishes and subscribes to what: the same for every target and round but for the names of the channels.

use super::{
    frame::{self, Frame, Unexpected},
    nats,
    settings::BenchSettings,
};

/// The language of the servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dialect {
    #[default]
    Redis,
    Nats,
}

impl Dialect {
    /// The frame at the front of `input` and its length in bytes; `None` when it has not arrived whole.
    pub(super) fn next(self, input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Unexpected> {
        match self {
            Self::Redis => frame::next(input),
            Self::Nats => nats::next(input),
        }
    }
}

/// The load of one run.
#[derive(Debug)]
pub(super) struct Plan {
    /// Tells this run's messages from those of others.
    pub(super) run: u32,
    pub(super) publishers: u32,
    pub(super) subscribers: u32,
    pub(super) channels: u32,
    channels_per_subscriber: u32,
    pub(super) size: usize,
    pub(super) pipeline: usize,
    /// Messages a second of all publishers, in an open loop.
    pub(super) rate: Option<u32>,
    pub(super) reconnect: bool,
    kind: Kind,
    pub(super) dialect: Dialect,
    /// What opens a connection, and is answered by one reply.
    pub(super) greeting: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Channel,
    Pattern,
    Shard,
}

/// Credentials, as AUTH and HELLO take them.
pub(super) struct Login<'a> {
    pub(super) username: Option<&'a str>,
    pub(super) password: &'a str,
}

impl Plan {
    pub(super) fn new(
        settings: &BenchSettings,
        run: u32,
        login: Option<&Login<'_>>,
        dialect: Dialect,
    ) -> Self {
        Self {
            run,
            publishers: settings.publishers,
            subscribers: settings.subscribers,
            channels: settings.channels,
            channels_per_subscriber: settings.channels_per_subscriber,
            size: settings.size as usize,
            pipeline: settings.pipeline as usize,
            rate: settings.rate,
            reconnect: settings.reconnect,
            kind: match (settings.patterns, settings.shard_channels) {
                (true, _) => Kind::Pattern,
                (_, true) => Kind::Shard,
                _ => Kind::Channel,
            },
            dialect,
            greeting: match dialect {
                Dialect::Redis => greeting(settings.resp, login),
                Dialect::Nats => nats::GREETING.to_vec(),
            },
        }
    }

    fn channel(&self, channel: u32) -> String {
        format!("bench:{:08x}:{channel}:all", self.run)
    }

    /// Channels of a subscriber, in order of its streams.
    pub(super) fn channels_of(&self, subscriber: u32) -> impl Iterator<Item = u32> + use<> {
        let (first, count) = (self.first_channel(subscriber), self.channels);
        (0..self.channels_per_subscriber).map(move |offset| (first + offset) % count)
    }

    fn first_channel(&self, subscriber: u32) -> u32 {
        let first = u64::from(subscriber) * u64::from(self.channels_per_subscriber);
        (first % u64::from(self.channels)) as u32
    }

    /// The index of a channel among a subscriber's own; `None` if it is not one of them.
    pub(super) fn channel_index(&self, subscriber: u32, channel: u32) -> Option<u32> {
        if channel >= self.channels {
            return None;
        }
        let index = (channel + self.channels - self.first_channel(subscriber)) % self.channels;
        (index < self.channels_per_subscriber).then_some(index)
    }

    /// Subscriptions of one subscriber.
    pub(super) fn subscriptions(&self) -> u32 {
        self.channels_per_subscriber
    }

    /// For each channel, how many subscribers it has.
    pub(super) fn fan_outs(&self) -> Vec<u64> {
        let mut fan_outs = vec![0; self.channels as usize];
        (0..self.subscribers)
            .flat_map(|subscriber| self.channels_of(subscriber))
            .for_each(|channel| fan_outs[channel as usize] += 1);
        fan_outs
    }

    /// The requests of a subscriber.
    pub(super) fn subscribe(&self, subscriber: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for channel in self.channels_of(subscriber) {
            let name = self.channel(channel);
            if self.dialect == Dialect::Nats {
                nats::subscribe(&name, channel, &mut bytes);
                continue;
            }
            let (command, name) = match self.kind {
                Kind::Channel => ("SUBSCRIBE", name),
                Kind::Shard => ("SSUBSCRIBE", name),
                Kind::Pattern => ("PSUBSCRIBE", name.replace(":all", ":*")),
            };
            request(&[command.as_bytes(), name.as_bytes()], &mut bytes);
        }
        bytes
    }

    /// For each channel, a request to publish up to where its payload begins.
    pub(super) fn requests(&self) -> Vec<Vec<u8>> {
        let command = if matches!(self.kind, Kind::Shard) { "SPUBLISH" } else { "PUBLISH" };
        let begin = |channel| {
            if self.dialect == Dialect::Nats {
                return nats::publish(&self.channel(channel), self.size);
            }
            let mut bytes = Vec::new();
            words(3, &[command.as_bytes(), self.channel(channel).as_bytes()], &mut bytes);
            bytes.extend_from_slice(format!("${}\r\n", self.size).as_bytes());
            bytes
        };
        (0..self.channels).map(begin).collect()
    }

    /// What follows: a payload whose head is still to be written, and the end of the request.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut payload = vec![b'.'; self.size];
        payload.extend_from_slice(b"\r\n");
        payload
    }
}

/// HELLO, AUTH or PING: each is answered by one reply, which says whether this client is welcome.
fn greeting(resp: u8, login: Option<&Login<'_>>) -> Vec<u8> {
    let resp = resp.to_string();
    let all: Vec<&str> = match (login, resp.as_str()) {
        (None, "2") => vec!["PING"],
        (None, resp) => vec!["HELLO", resp],
        (Some(Login { username: None, password }), "2") => vec!["AUTH", password],
        (Some(Login { username: Some(username), password }), "2") => vec!["AUTH", username, password],
        (Some(login), resp) => {
            vec!["HELLO", resp, "AUTH", login.username.unwrap_or("default"), login.password]
        }
    };
    let mut bytes = Vec::new();
    request(&all.iter().map(|word| word.as_bytes()).collect::<Vec<_>>(), &mut bytes);
    bytes
}

/// A request of these words.
pub(super) fn request(all: &[&[u8]], bytes: &mut Vec<u8>) {
    words(all.len(), all, bytes);
}

/// The first words of a request of `count`.
fn words(count: usize, first: &[&[u8]], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("*{count}\r\n").as_bytes());
    for word in first {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        settings: BenchSettings,
    }

    pub(in crate::cli::bench) fn settings(words: &str) -> BenchSettings {
        Line::parse_from(std::iter::once("bench").chain(words.split_whitespace())).settings
    }

    pub(in crate::cli::bench) fn plan(words: &str) -> Plan {
        Plan::new(&settings(words), 7, None, Dialect::Redis)
    }

    #[test]
    fn channels_are_dealt_out_in_turn() {
        let plan = plan("--subscribers 3 --channels 5 --channels-per-subscriber 2");
        assert_eq!(plan.channels_of(0).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(plan.channels_of(2).collect::<Vec<_>>(), [4, 0]);
        assert_eq!(plan.fan_outs(), [2, 1, 1, 1, 1]);
        assert_eq!((plan.channel_index(2, 4), plan.channel_index(2, 0)), (Some(0), Some(1)));
        assert_eq!((plan.channel_index(2, 1), plan.channel_index(2, 9)), (None, None));
    }

    #[test]
    fn requests_are_those_of_the_kind() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("is text");
        let subscribe = text(plan("--patterns").subscribe(0));
        assert_eq!(subscribe, "*2\r\n$10\r\nPSUBSCRIBE\r\n$18\r\nbench:00000007:0:*\r\n");
        let plan = plan("--shard-channels --size 30");
        let whole = [plan.requests().remove(0), plan.payload()].concat();
        let head = "*3\r\n$8\r\nSPUBLISH\r\n$20\r\nbench:00000007:0:all\r\n$30\r\n";
        assert_eq!(text(whole), format!("{head}{}\r\n", ".".repeat(30)));
        let login = Login { username: None, password: "pw" };
        assert_eq!(text(greeting(2, Some(&login))), "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n");
        assert!(text(greeting(3, Some(&login))).starts_with("*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH"));
    }
}
