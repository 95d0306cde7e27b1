//! One row of the table.

use super::{Categories, CommandId, Flags};

/// Where the keys of a command are: positions count from the name at 0, a negative last counts from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Position of the first key; 0 for none.
    pub first: i8,
    /// Position of the last key.
    pub last: i8,
    /// Distance from one key to the next.
    pub step: i8,
    /// They decide where a Redis Cluster sends the command, but name no key: shard channels.
    pub only_routes: bool,
}

impl Keys {
    const NONE: Self = Self { first: 0, last: 0, step: 0, only_routes: false };
}

/// Which arguments of a command name channels that its user has to have access to. As in Redis, ending a subscription
/// takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// None.
    Nothing,
    /// The first argument.
    First,
    /// Every argument.
    All,
    /// Every argument, and they are patterns.
    AllPatterns,
}

impl Channels {
    /// Positions of the arguments that name channels, in a request of `len` arguments, the command's name included.
    pub fn positions(self, len: usize) -> std::ops::Range<usize> {
        match self {
            Self::Nothing => 0..0,
            Self::First => 1..len.min(2),
            Self::All | Self::AllPatterns => 1..len,
        }
    }
}

/// What is known of one command or subcommand.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// Which handler runs it.
    pub id: CommandId,
    /// In lower case; a subcommand carries its container's name: `client|list`.
    pub name: &'static str,
    /// Number of arguments with the name; negative for at least as many.
    pub arity: i8,
    /// Its properties.
    pub flags: Flags,
    /// Its categories, those that its flags imply included.
    pub categories: Categories,
    /// Where its keys are.
    pub keys: Keys,
    /// Which arguments name channels.
    pub channels: Channels,
    /// Hints to clients of a Redis Cluster.
    pub tips: &'static [&'static str],
    /// The part of the documentation it belongs to.
    pub group: &'static str,
    /// The Redis version that brought it.
    pub since: &'static str,
    /// Cost.
    pub complexity: &'static str,
    /// What it does here, in one sentence.
    pub summary: &'static str,
    /// Its subcommands.
    pub subcommands: &'static [CommandSpec],
}

impl CommandSpec {
    pub(super) const fn new(id: CommandId, name: &'static str, arity: i8, flags: Flags) -> Self {
        Self {
            id,
            name,
            arity,
            flags,
            categories: Categories::NONE.implied_by(flags),
            keys: Keys::NONE,
            channels: Channels::Nothing,
            tips: &[],
            group: "",
            since: "",
            complexity: "O(1)",
            summary: "",
            subcommands: &[],
        }
    }

    pub(super) const fn doc(
        mut self,
        group: &'static str,
        since: &'static str,
        summary: &'static str,
    ) -> Self {
        (self.group, self.since, self.summary) = (group, since, summary);
        self
    }

    pub(super) const fn cost(mut self, complexity: &'static str) -> Self {
        self.complexity = complexity;
        self
    }

    pub(super) const fn in_categories(mut self, categories: Categories) -> Self {
        self.categories = categories.implied_by(self.flags);
        self
    }

    pub(super) const fn with_keys(mut self, first: i8, last: i8, only_routes: bool) -> Self {
        self.keys = Keys { first, last, step: 1, only_routes };
        self
    }

    pub(super) const fn with_channels(mut self, channels: Channels) -> Self {
        self.channels = channels;
        self
    }

    pub(super) const fn with_tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    pub(super) const fn with_subcommands(mut self, subcommands: &'static [CommandSpec]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Whether a request of `len` arguments, the name included, has the right number of them.
    pub fn accepts(&self, len: usize) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { len >= wanted } else { len == wanted }
    }

    /// The subcommand called `name`, in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static CommandSpec> {
        let prefix = self.name.len() + 1;
        self.subcommands.iter().find(|sub| sub.name.as_bytes()[prefix..].eq_ignore_ascii_case(name))
    }
}
