//! Whether a user may run a command.

use carillon_proto::command::{Channels, CommandSpec, Flags};

use super::{Selector, User};

/// Why a user may not run a command. The order is Redis's: of several selectors' reasons the greatest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// The command itself.
    Command,
    /// One of the channels: the position of its argument.
    Channel(usize),
}

impl Denied {
    /// What the client is told, in Redis's words.
    pub fn text(self, spec: &CommandSpec) -> String {
        match self {
            Self::Command => {
                format!("NOPERM this user has no permissions to run the '{}' command", spec.name)
            }
            Self::Channel(_) => {
                "NOPERM this user has no permissions to access one of the channels used as arguments"
                    .to_owned()
            }
        }
    }

    /// What the client is told when a queued command has become forbidden before EXEC.
    pub fn text_at_exec(self) -> String {
        let reason = match self {
            Self::Command => "no permission to execute the command",
            Self::Channel(_) => "no permission to access one of the channels used as arguments",
        };
        format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
             This command is no longer allowed for the following reason: {reason}"
        )
    }
}

impl User {
    /// Whether this user may run a command. `arg` gives the arguments, the command's name at 0, of which there are
    /// `len`.
    pub fn check<'a>(
        &self,
        spec: &CommandSpec,
        len: usize,
        arg: impl Fn(usize) -> &'a [u8],
    ) -> Result<(), Denied> {
        let mut reason = Denied::Command;
        for selector in &self.selectors {
            match selector.check(spec, len, &arg) {
                Ok(()) => return Ok(()),
                Err(denied) => reason = reason.max(denied),
            }
        }
        Err(reason)
    }

    /// As [`check`](Self::check), for a command of which the table cannot tell where its channels are: at these places,
    /// each with whether it is a pattern. One selector has to allow all of it.
    pub fn check_with_channels<'a>(
        &self,
        spec: &CommandSpec,
        len: usize,
        arg: impl Fn(usize) -> &'a [u8],
        channels: &[(usize, bool)],
    ) -> Result<(), Denied> {
        let mut reason = Denied::Command;
        for selector in &self.selectors {
            let denied = selector.check(spec, len, &arg).and_then(|()| {
                let forbidden =
                    channels.iter().find(|(at, is_pattern)| !selector.allows_channel(arg(*at), *is_pattern));
                forbidden.map_or(Ok(()), |(at, _)| Err(Denied::Channel(*at)))
            });
            match denied {
                Ok(()) => return Ok(()),
                Err(denied) => reason = reason.max(denied),
            }
        }
        Err(reason)
    }

    /// Whether this user may be subscribed to a channel, or to a pattern.
    pub fn may_hear(&self, name: &[u8], is_pattern: bool) -> bool {
        self.selectors.iter().any(|selector| selector.allows_channel(name, is_pattern))
    }

    /// Whether this user may be subscribed to anything.
    pub fn may_hear_everything(&self) -> bool {
        self.selectors.iter().any(|selector| selector.all_channels)
    }
}

impl Selector {
    fn check<'a>(
        &self,
        spec: &CommandSpec,
        len: usize,
        arg: &impl Fn(usize) -> &'a [u8],
    ) -> Result<(), Denied> {
        // Whoever may not even authenticate could never become someone else.
        if !self.commands.contains(spec.id) && !spec.flags.contains(Flags::NO_AUTH) {
            let is_first_arg = |first: &[u8]| len > 1 && arg(1).eq_ignore_ascii_case(first);
            if !self.first_args.iter().any(|(id, first)| *id == spec.id && is_first_arg(first)) {
                return Err(Denied::Command);
            }
        }
        let is_pattern = spec.channels == Channels::AllPatterns;
        for at in spec.channels.positions(len) {
            if !self.allows_channel(arg(at), is_pattern) {
                return Err(Denied::Channel(at));
            }
        }
        Ok(())
    }

    /// A pattern is allowed if it is literally one of those allowed, as in Redis: whether one pattern matches no more
    /// than another does is not asked.
    fn allows_channel(&self, name: &[u8], is_pattern: bool) -> bool {
        self.all_channels
            || self
                .channels
                .iter()
                .any(|channel| if is_pattern { *channel.text == *name } else { channel.glob.matches(name) })
    }
}
