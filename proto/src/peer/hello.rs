//! The handshake of a connection.

use std::ops::RangeInclusive;

use super::Refusal;

/// The dialling node's first frame.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hello {
    /// The newest protocol version it speaks.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The oldest protocol version it speaks.
    #[prost(uint32, tag = "2")]
    pub version_oldest: u32,
    /// Its cluster; empty as long as it has none.
    #[prost(string, tag = "3")]
    pub cluster_id: String,
    /// Its node id; 0 as long as it has none.
    #[prost(uint64, tag = "4")]
    pub node: u64,
    /// A random number of this run of the process.
    #[prost(uint64, tag = "5")]
    pub run: u64,
    /// Its name.
    #[prost(string, tag = "6")]
    pub name: String,
    /// Whether the connection is to be the link between the two nodes, rather than a visit.
    #[prost(bool, tag = "7")]
    pub is_link: bool,
}

impl Hello {
    /// The newest version that it and a node which speaks `ours` have in common, if there is one.
    pub fn common_version(&self, ours: RangeInclusive<u32>) -> Option<u32> {
        let newest = self.version.min(*ours.end());
        (newest >= self.version_oldest.max(*ours.start())).then_some(newest)
    }
}

/// The answer of a node that accepts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Welcome {
    /// The protocol version that both will speak.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Its cluster; empty as long as it has none.
    #[prost(string, tag = "2")]
    pub cluster_id: String,
    /// Its node id; 0 as long as it has none.
    #[prost(uint64, tag = "3")]
    pub node: u64,
    /// A random number of this run of its process.
    #[prost(uint64, tag = "4")]
    pub run: u64,
    /// Its name.
    #[prost(string, tag = "5")]
    pub name: String,
}

/// The answer to a [`Hello`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Verdict {
    /// Accepted or refused.
    #[prost(oneof = "verdict::Kind", tags = "1, 2")]
    pub kind: Option<verdict::Kind>,
}

/// Forms of [`Verdict`].
pub mod verdict {
    /// Accepted or refused.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Kind {
        /// The connection stands.
        #[prost(message, tag = "1")]
        Welcome(super::Welcome),
        /// The connection is closed for the reason given.
        #[prost(message, tag = "2")]
        Refusal(super::Refusal),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn hello(version_oldest: u32, version: u32) -> Hello {
        Hello { version, version_oldest, ..Hello::default() }
    }

    #[test]
    fn neighbours_speak_the_older_ones_newest_version_and_strangers_none() {
        for (oldest, newest, common) in [
            (2, 3, Some(3)),
            (3, 4, Some(3)),
            (1, 2, Some(2)),
            (1, 9, Some(3)),
            (4, 5, None),
            (0, 1, None),
            (9, 3, None),
        ] {
            assert_eq!(hello(oldest, newest).common_version(2..=3), common, "{oldest} to {newest}");
        }
    }

    #[test]
    fn what_a_later_version_adds_to_a_hello_is_passed_over() {
        let known = Hello { name: "n1".into(), node: 7, ..hello(1, 2) };
        // Fields 98 (a number) and 99 (a string) of nobody's.
        let unknown = [&[0x90, 0x06, 0x01][..], &[0x9a, 0x06, 0x03, b'n', b'e', b'w']].concat();
        let bytes = [known.encode_to_vec(), unknown].concat();
        assert_eq!(Hello::decode(bytes.as_slice()), Ok(known));
    }
}
