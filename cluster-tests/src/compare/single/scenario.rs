//! What is measured, and what Carillon's figure may be as a part of the best other's.

/// A figure of a scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    pub(super) what: What,
    /// The ratio to the best of the others that is aimed at: the most, or for what should be more, the least.
    pub(super) goal: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The server's processor time for each delivery or operation.
    Cpu,
    P50,
    P99,
    Deliveries,
    BytesPerConnection,
    BytesPerSubscription,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// One publisher of `carillon bench`, with these flags.
    Bench(&'static str),
    /// SUBSCRIBE and UNSUBSCRIBE on one connection, this many in flight.
    Churn(usize),
    /// Subscribers that wait.
    Idle,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) load: Load,
    pub(super) figures: &'static [Figure],
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::Deliveries => "deliveries a second",
            Self::BytesPerConnection => "bytes per connection",
            Self::BytesPerSubscription => "bytes per subscription",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Cpu | Self::P50 | Self::P99 => " µs",
            Self::Deliveries => "/s",
            Self::BytesPerConnection | Self::BytesPerSubscription => " B",
        }
    }

    pub(super) fn is_more_better(self) -> bool {
        self == Self::Deliveries
    }
}

const fn figure(what: What, goal: f64) -> Figure {
    Figure { what, goal }
}

/// CPU and latency, all of which must not be worse.
const ALL_AS_GOOD: &[Figure] = &[figure(What::Cpu, 1.0), figure(What::P50, 1.0), figure(What::P99, 1.0)];

const fn cpu(name: &'static str, flags: &'static str, figures: &'static [Figure]) -> Scenario {
    Scenario { name, load: Load::Bench(flags), figures }
}

pub(super) const AGAINST_OTHERS: &[Scenario] = &[
    cpu("1 → 1, one in flight", "--subscribers 1", ALL_AS_GOOD),
    cpu("1 → 1, 16 in flight", "--subscribers 1 --pipeline 16", &[figure(What::Cpu, 0.9)]),
    cpu("1 → 1, 64 in flight", "--subscribers 1 --pipeline 64", &[figure(What::Cpu, 0.9)]),
    cpu("1 → 10, one in flight", "--subscribers 10", &[figure(What::Cpu, 1.0)]),
    cpu("1 → 10, 16 in flight", "--subscribers 10 --pipeline 16", &[figure(What::Cpu, 0.85)]),
    cpu("1 → 100, one in flight", "--subscribers 100", &[figure(What::Cpu, 1.0)]),
    cpu("1 → 100, 16 in flight", "--subscribers 100 --pipeline 16", &[figure(What::Cpu, 0.85)]),
    cpu("1 → 1,000, one in flight", "--subscribers 1000", &[figure(What::Cpu, 1.0)]),
    cpu("1 → 1,000, 16 in flight", "--subscribers 1000 --pipeline 16", &[figure(What::Cpu, 0.85)]),
    cpu(
        "100 channels × 1 subscriber, 64 in flight",
        "--channels 100 --subscribers 100 --pipeline 64",
        &[figure(What::Cpu, 0.95)],
    ),
    cpu(
        "10 pattern subscribers, 16 in flight",
        "--patterns --subscribers 10 --pipeline 16",
        &[figure(What::Cpu, 0.8)],
    ),
    cpu(
        "1 → 10, 1 KiB, 16 in flight",
        "--subscribers 10 --pipeline 16 --size 1024",
        &[figure(What::Cpu, 0.9)],
    ),
    cpu(
        "1 → 10, 16 KiB, 16 in flight",
        "--subscribers 10 --pipeline 16 --size 16384",
        &[figure(What::Cpu, 0.7)],
    ),
    cpu("5,000 messages/s → 10", "--subscribers 10 --rate 5000", ALL_AS_GOOD),
    Scenario {
        name: "SUBSCRIBE/UNSUBSCRIBE, one in flight",
        load: Load::Churn(1),
        figures: &[figure(What::Cpu, 0.9)],
    },
    Scenario {
        name: "SUBSCRIBE/UNSUBSCRIBE, 16 in flight",
        load: Load::Churn(16),
        figures: &[figure(What::Cpu, 0.9)],
    },
    Scenario {
        name: "idle",
        load: Load::Idle,
        figures: &[figure(What::BytesPerConnection, 1.0), figure(What::BytesPerSubscription, 1.0)],
    },
];

/// More shards than one must deliver more, where the server is the limit: of a delivery that is written alone it takes more than
/// twice what the load does, of sixteen together hardly more than the load.
pub(super) const SHARDS: &[Scenario] = &[
    cpu(
        "1 → 1,000 with two shards, one in flight",
        "--subscribers 1000",
        &[figure(What::Deliveries, 1.0), figure(What::Cpu, 1.0)],
    ),
    cpu(
        "1 → 100 with two shards, 16 in flight",
        "--subscribers 100 --pipeline 16",
        &[figure(What::Deliveries, 1.0), figure(What::Cpu, 1.0)],
    ),
];
