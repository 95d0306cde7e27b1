//! What COMMAND INFO says about a command in words.

/// Properties of a command, as a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u16);

/// Groups of commands that access rules name with `@`, as a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Categories(u32);

/// The words for the bits of [`Flags`], in the order in which Redis lists them.
const FLAG_NAMES: [&str; 11] = [
    "write",
    "admin",
    "pubsub",
    "noscript",
    "loading",
    "stale",
    "skip_slowlog",
    "fast",
    "no_auth",
    "no_multi",
    "allow_busy",
];

impl Flags {
    /// Nothing in particular.
    pub const NONE: Self = Self(0);
    /// Changes the key space (of which a node has none).
    pub const WRITE: Self = Self(1);
    /// For operators: not shown to MONITOR.
    pub const ADMIN: Self = Self(1 << 1);
    /// Publishes, subscribes, or tells about it.
    pub const PUBSUB: Self = Self(1 << 2);
    /// Not allowed in a script.
    pub const NOSCRIPT: Self = Self(1 << 3);
    /// Allowed while Redis loads its data.
    pub const LOADING: Self = Self(1 << 4);
    /// Allowed on a Redis replica with stale data.
    pub const STALE: Self = Self(1 << 5);
    /// Not in the slow log.
    pub const SKIP_SLOWLOG: Self = Self(1 << 6);
    /// Constant or logarithmic time.
    pub const FAST: Self = Self(1 << 7);
    /// Allowed before authentication.
    pub const NO_AUTH: Self = Self(1 << 8);
    /// Not allowed in a transaction.
    pub const NO_MULTI: Self = Self(1 << 9);
    /// Allowed while a script blocks Redis.
    pub const ALLOW_BUSY: Self = Self(1 << 10);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The words of this set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        names(self.0.into(), &FLAG_NAMES)
    }
}

/// The words for the bits of [`Categories`], in the order in which Redis lists them. Those about kinds of keys are
/// there because access rules that were written for Redis name them; here no command is in them.
const CATEGORY_NAMES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

impl Categories {
    /// None of its own: only what follows from its flags.
    pub const NONE: Self = Self(0);
    /// Keys, whatever they hold.
    pub const KEYSPACE: Self = Self(1);
    const WRITE: Self = Self(1 << 2);
    const PUBSUB: Self = Self(1 << 12);
    /// For operators.
    pub const ADMIN: Self = Self(1 << 13);
    const FAST: Self = Self(1 << 14);
    const SLOW: Self = Self(1 << 15);
    /// Can harm or disclose.
    pub const DANGEROUS: Self = Self(1 << 17);
    /// About the connection itself.
    pub const CONNECTION: Self = Self(1 << 18);
    /// Transactions.
    pub const TRANSACTION: Self = Self(1 << 19);
    /// Scripts and functions.
    pub const SCRIPTING: Self = Self(1 << 20);

    /// The category of this name, in any case and without the `@`.
    pub fn named(name: &[u8]) -> Option<Self> {
        let bit = CATEGORY_NAMES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(Self(1 << bit))
    }

    /// The names of all categories.
    pub fn all_names() -> impl ExactSizeIterator<Item = &'static str> {
        CATEGORY_NAMES.into_iter()
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These, and those that the flags imply, as Redis derives them.
    pub(super) const fn implied_by(self, flags: Flags) -> Self {
        let mut all = self;
        if flags.contains(Flags::WRITE) {
            all = all.and(Self::WRITE);
        }
        if flags.contains(Flags::PUBSUB) {
            all = all.and(Self::PUBSUB);
        }
        if flags.contains(Flags::ADMIN) {
            all = all.and(Self::ADMIN).and(Self::DANGEROUS);
        }
        all.and(if flags.contains(Flags::FAST) { Self::FAST } else { Self::SLOW })
    }

    /// The words of this set, without the `@`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        names(self.0, &CATEGORY_NAMES)
    }
}

fn names<const N: usize>(bits: u32, table: &'static [&'static str; N]) -> impl Iterator<Item = &'static str> {
    table.iter().enumerate().filter(move |(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| *name)
}
