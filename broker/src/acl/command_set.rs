//! A set of commands, one bit each.

use carillon_proto::command::CommandId;

const WORDS: usize = CommandId::COUNT.div_ceil(64);

/// Commands and subcommands: asking for one costs a load and a mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandSet([u64; WORDS]);

impl CommandSet {
    pub(super) fn all() -> Self {
        let mut set = Self([u64::MAX; WORDS]);
        let left = CommandId::COUNT % 64;
        if left > 0 {
            set.0[WORDS - 1] = (1 << left) - 1;
        }
        set
    }

    pub(super) fn contains(&self, id: CommandId) -> bool {
        let bit = id as usize;
        self.0[bit / 64] & (1 << (bit % 64)) != 0
    }

    pub(super) fn set(&mut self, id: CommandId, is_in: bool) {
        let bit = id as usize;
        if is_in {
            self.0[bit / 64] |= 1 << (bit % 64);
        } else {
            self.0[bit / 64] &= !(1 << (bit % 64));
        }
    }
}
