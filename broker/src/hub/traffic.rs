//! How many messages channels and patterns have had, for those who watch.

use super::{Hub, SubscriptionKind};

/// A channel or pattern that somebody of this shard is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// What it is.
    pub kind: SubscriptionKind,
    /// Its name.
    pub name: Box<[u8]>,
    /// Messages that it had.
    pub messages: u32,
}

impl Hub {
    /// Takes what has come since this was last asked: of the `count` busiest names, and of those in `also`. A name may be
    /// there twice, and then the larger number is that of all its messages. It walks over all names.
    pub fn take_traffic(&self, count: usize, also: &[(SubscriptionKind, Box<[u8]>)]) -> Vec<Traffic> {
        let tables = [&self.tables, &self.positioned];
        let named = also.iter().flat_map(|(kind, name)| {
            let found = tables.map(|tables| tables.names(*kind)).into_iter().filter_map(|names| {
                let messages = names.messages(names.find(name)?);
                Some(Traffic { kind: *kind, name: name.clone(), messages })
            });
            found.collect::<Vec<_>>()
        });
        let mut all: Vec<Traffic> = named.collect();
        let mut busiest: Vec<Traffic> = Vec::with_capacity(count + 1);
        for kind in SubscriptionKind::ALL {
            for (name, messages) in tables.into_iter().flat_map(|tables| tables.names(kind).take_messages()) {
                let at = busiest.partition_point(|busier| busier.messages >= messages);
                if at < count {
                    busiest.insert(at, Traffic { kind, name: name.into(), messages });
                    busiest.truncate(count);
                }
            }
        }
        all.append(&mut busiest);
        all
    }
}

#[cfg(test)]
mod tests {
    use ahash::RandomState;
    use carillon_proto::resp::Protocol;

    use super::*;
    use crate::hub::ChannelKind;

    #[test]
    fn every_message_is_counted_once_for_each_name_that_hears_it() {
        let mut hub = Hub::new(RandomState::with_seeds(1, 2, 3, 4));
        let (plain, numbered) = (hub.connect(), hub.connect());
        for name in ["a", "b", "c"] {
            hub.subscribe(plain, SubscriptionKind::Channel, name.as_bytes());
        }
        hub.subscribe(plain, SubscriptionKind::Pattern, b"*");
        hub.set_protocol(numbered, Protocol::Resp3);
        hub.set_positioned(numbered, true);
        hub.subscribe(numbered, SubscriptionKind::Channel, b"d");
        for (channel, times) in [("a", 1), ("b", 3), ("d", 2), ("nobody", 1)] {
            for _ in 0..times {
                hub.publish(ChannelKind::Channel, channel.as_bytes(), b"x");
            }
        }
        let traffic = |kind, name: &str, messages| Traffic { kind, name: name.as_bytes().into(), messages };
        let also =
            [(SubscriptionKind::Channel, b"c"[..].into()), (SubscriptionKind::Channel, b"gone"[..].into())];
        assert_eq!(
            hub.take_traffic(3, &also),
            [
                traffic(SubscriptionKind::Channel, "c", 0),
                traffic(SubscriptionKind::Pattern, "*", 7),
                traffic(SubscriptionKind::Channel, "b", 3),
                traffic(SubscriptionKind::Channel, "d", 2),
            ]
        );
        assert_eq!(hub.take_traffic(3, &[]), [], "they were taken");
    }
}
