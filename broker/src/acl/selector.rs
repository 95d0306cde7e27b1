//! A set of permissions: commands, channels, and keys for those who come from Redis.

use carillon_proto::command::{self, Categories, CommandId, CommandSpec};

use super::{
    command_set::CommandSet,
    rule::{Known, RuleError, has_spaces},
};
use crate::hub::Glob;

/// A channel pattern as it was given, and compiled.
#[derive(Clone, Debug)]
pub(super) struct ChannelPattern {
    pub(super) text: Box<[u8]>,
    pub(super) glob: Glob,
}

/// Keys that match a pattern may be read, written, or both. Kept and told; there are no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    text: Box<[u8]>,
    reads: bool,
    writes: bool,
}

/// Permissions of a user. A user has one selector of its own and may have more, of which any may allow a command.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    pub(super) commands: CommandSet,
    /// Commands that are allowed with these first arguments only.
    pub(super) first_args: Vec<(CommandId, Box<[u8]>)>,
    /// Whether it began with everything allowed, future commands included, rather than nothing.
    begins_with_all: bool,
    /// What was said of commands since, in order. From this the selector can be made again.
    rules: Vec<Box<[u8]>>,
    pub(super) all_channels: bool,
    pub(super) channels: Vec<ChannelPattern>,
    all_keys: bool,
    keys: Vec<KeyPattern>,
}

impl Selector {
    /// Everything allowed.
    pub(super) fn all() -> Self {
        Self {
            commands: CommandSet::all(),
            begins_with_all: true,
            all_channels: true,
            all_keys: true,
            ..Self::default()
        }
    }

    /// Whether it allows every command there is, on every channel.
    pub(super) fn is_unrestricted(&self) -> bool {
        self.all_channels && self.commands == CommandSet::all()
    }

    /// Applies a rule. One that is refused may have no effect.
    pub(super) fn apply(&mut self, rule: &[u8], known: Known) -> Result<(), RuleError> {
        if has_spaces(rule) {
            // Told again, it would be two rules.
            let names_command = matches!(rule, [b'+' | b'-', ..]);
            return Err(if names_command { RuleError::UnknownName } else { RuleError::Syntax });
        }
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => {
                self.all_keys = true;
                self.keys.clear();
            }
            b"resetkeys" => {
                self.all_keys = false;
                self.keys.clear();
            }
            b"allchannels" | b"&*" => {
                self.all_channels = true;
                self.channels.clear();
            }
            b"resetchannels" => {
                self.all_channels = false;
                self.channels.clear();
            }
            b"allcommands" | b"+@all" => self.begin_with(true),
            b"nocommands" | b"-@all" => self.begin_with(false),
            _ => return self.apply_pattern_or_command(rule, known),
        }
        Ok(())
    }

    fn begin_with(&mut self, all: bool) {
        self.commands = if all { CommandSet::all() } else { CommandSet::default() };
        self.begins_with_all = all;
        self.first_args.clear();
        self.rules.clear();
    }

    fn apply_pattern_or_command(&mut self, rule: &[u8], known: Known) -> Result<(), RuleError> {
        match rule {
            [b'~' | b'%', ..] => self.add_keys(rule),
            [b'&', pattern @ ..] => self.add_channels(pattern),
            [sign @ (b'+' | b'-'), b'@', category @ ..] => {
                let is_allowed = *sign == b'+';
                match Categories::named(category) {
                    Some(category) => self.set_category(category, is_allowed),
                    None if known == Known::Any => {}
                    None => return Err(RuleError::UnknownName),
                }
                self.note(&rule[1..], is_allowed);
                Ok(())
            }
            [b'+', name @ ..] => self.allow(name, known),
            [b'-', name @ ..] => {
                match command::find_full(name) {
                    Some(spec) => self.set_command(spec, false),
                    None if known == Known::Any => {}
                    None => return Err(RuleError::UnknownName),
                }
                self.note(name, false);
                Ok(())
            }
            _ => Err(RuleError::Syntax),
        }
    }

    fn add_keys(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::KeysAfterAll);
        }
        let tilde = rule.iter().position(|byte| *byte == b'~').ok_or(RuleError::Syntax)?;
        let (mut reads, mut writes) = (tilde == 0, tilde == 0);
        for letter in &rule[..tilde] {
            match letter.to_ascii_uppercase() {
                b'%' => {}
                b'R' if !reads => reads = true,
                b'W' if !writes => writes = true,
                _ => return Err(RuleError::Syntax),
            }
        }
        let text = &rule[tilde + 1..];
        if !reads && !writes {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|keys| *keys.text == *text) {
            Some(keys) => {
                keys.reads |= reads;
                keys.writes |= writes;
            }
            None => self.keys.push(KeyPattern { text: text.into(), reads, writes }),
        }
        // Both halves of it together are all keys; told as that, they must mean the same when they are read again.
        if self.keys.iter().any(|keys| *keys.text == *b"*" && keys.reads && keys.writes) {
            (self.all_keys, self.keys) = (true, Vec::new());
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::ChannelsAfterAll);
        }
        if !self.channels.iter().any(|channel| *channel.text == *pattern) {
            self.channels.push(ChannelPattern { text: pattern.into(), glob: Glob::new(pattern) });
        }
        Ok(())
    }

    /// A command, a subcommand, or a command with a first argument.
    fn allow(&mut self, name: &[u8], known: Known) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else {
            match command::find(name) {
                Some(spec) => self.set_command(spec, true),
                None if known == Known::Any => {}
                None => return Err(RuleError::UnknownName),
            }
            self.note(name, true);
            return Ok(());
        };
        let (of, last) = (&name[..bar], &name[bar + 1..]);
        match command::find_full(of) {
            Some(spec) if spec.name.contains('|') => return Err(RuleError::FirstArgOfSubcommand),
            Some(_) if last.is_empty() => return Err(RuleError::Syntax),
            Some(spec) if !spec.subcommands.is_empty() => match spec.subcommand(last) {
                Some(spec) => self.set_command(spec, true),
                None if known == Known::Any => {}
                None => return Err(RuleError::UnknownName),
            },
            Some(spec) => {
                let first_arg = (spec.id, Box::from(last.to_ascii_lowercase()));
                if !self.first_args.contains(&first_arg) {
                    self.first_args.push(first_arg);
                }
            }
            None if known == Known::Any => {}
            None => return Err(RuleError::UnknownName),
        }
        self.note(name, true);
        Ok(())
    }

    fn set_category(&mut self, category: Categories, is_allowed: bool) {
        for spec in command::all().filter(|spec| spec.categories.contains(category)) {
            self.commands.set(spec.id, is_allowed);
            self.first_args.retain(|(id, _)| *id != spec.id);
        }
    }

    /// With its subcommands.
    fn set_command(&mut self, spec: &CommandSpec, is_allowed: bool) {
        for spec in std::iter::once(spec).chain(spec.subcommands) {
            self.commands.set(spec.id, is_allowed);
            self.first_args.retain(|(id, _)| *id != spec.id);
        }
    }

    /// Remembers a rule about commands, in the place of earlier ones about the same, as Redis does since 7.2: what was
    /// said of a command takes that of its subcommands with it.
    fn note(&mut self, name: &[u8], is_allowed: bool) {
        let name = name.to_ascii_lowercase();
        self.rules.retain(|rule| match rule[1..].strip_prefix(name.as_slice()) {
            Some(rest) => !rest.is_empty() && rest[0] != b'|',
            None => true,
        });
        let mut rule = vec![if is_allowed { b'+' } else { b'-' }];
        rule.extend_from_slice(&name);
        self.rules.push(rule.into());
    }

    /// The rules about commands from which these permissions follow.
    pub fn describe_commands(&self) -> Vec<u8> {
        let first = if self.begins_with_all { &b"+@all"[..] } else { b"-@all" };
        let rules = self.rules.iter().map(|rule| &**rule);
        std::iter::once(first).chain(rules).collect::<Vec<_>>().join(&b' ')
    }

    /// The patterns of keys.
    pub fn describe_keys(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        let patterns = self.keys.iter().map(|keys| {
            let prefix = match (keys.reads, keys.writes) {
                (true, false) => &b"%R~"[..],
                (false, true) => b"%W~",
                _ => b"~",
            };
            [prefix, &keys.text].concat()
        });
        patterns.collect::<Vec<_>>().join(&b' ')
    }

    /// The patterns of channels.
    pub fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        let patterns = self.channels.iter().map(|channel| [b"&", &*channel.text].concat());
        patterns.collect::<Vec<_>>().join(&b' ')
    }

    /// Rules that make these permissions of none.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut words = vec![self.describe_keys()];
        if !self.all_channels {
            words.push(b"resetchannels".to_vec());
        }
        words.extend([self.describe_channels(), self.describe_commands()]);
        words.retain(|word| !word.is_empty());
        words.join(&b' ')
    }
}
