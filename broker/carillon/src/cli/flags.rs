//! The flags of a node's settings, made from the table.

use std::ffi::OsStr;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
    error::Error,
    parser::ValueSource,
};

use carillon_broker::config::{
    CONFIG, CONFIG_VARIABLE, Given, Group, Kind, Row, Settings, Sources, TABLE, Value,
};

/// What the command line and the environment say of a node's settings.
#[derive(Clone, Debug)]
pub struct SettingFlags {
    /// Where the settings come from.
    pub sources: Sources,
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let defaults = Settings::default();
        let rows = |group| TABLE.iter().filter(move |row| row.group == group);
        let settings = Group::ALL.into_iter().flat_map(rows).map(|row| flag(row, &defaults));
        command.arg(config_flag()).args(settings)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut sources = Sources::default();
        let names = TABLE.iter().map(|row| row.name).chain([CONFIG]);
        for name in names.filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine)) {
            let mut texts: Vec<String> = matches.get_many(name).into_iter().flatten().cloned().collect();
            let given = if texts.len() == 1 { Given::Text(texts.remove(0)) } else { list(&texts) };
            sources.add_flag(name, given);
        }
        Ok(Self { sources: sources.with_environment() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A list's flag may be given several times, and each time with commas.
fn list(texts: &[String]) -> Given {
    Given::List(texts.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect())
}

fn config_flag() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .env(CONFIG_VARIABLE)
        .hide_env_values(true)
        .help("TOML file with settings; flags and variables go before it")
}

/// Values are checked where those of files and variables are, in the same words; clap only divides the command line.
fn flag(row: &'static Row, defaults: &Settings) -> Arg {
    let arg = Arg::new(row.name)
        .long(row.name)
        .value_name(row.kind.value_name())
        .env(row.variable)
        .hide_env_values(true)
        .help_heading(row.group.heading())
        .help(row.help())
        .long_help(long_help(row));
    let arg = of_kind(arg, row.kind);
    match row.get(defaults) {
        Value::Unset | Value::List(_) => arg,
        _ => arg.default_value(row.show(defaults)),
    }
}

fn of_kind(arg: Arg, kind: Kind) -> Arg {
    match kind {
        Kind::Bool => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::List(_) => arg.action(ArgAction::Append),
        Kind::Path => arg.value_hint(ValueHint::AnyPath),
        Kind::Choice(words) => arg.value_parser(Words(words)),
        // A number below zero is no other flag.
        Kind::Number { .. } => arg.allow_hyphen_values(true),
        Kind::Bytes { .. } | Kind::Addr | Kind::Text(_) => arg,
    }
}

/// Words that help and completions offer. Another is refused where values are checked.
#[derive(Clone)]
struct Words(&'static [&'static str]);

impl TypedValueParser for Words {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

fn long_help(row: &Row) -> String {
    let mut help = row.help().to_owned();
    if let Kind::Number { .. } | Kind::Bytes { .. } = row.kind {
        help = format!("{help}\n\nAllowed is {}.", row.kind.allowed());
    }
    if let Some(why) = row.why {
        help = format!("{help}\n\nThe default: {why}.");
    }
    if row.is_live {
        help = format!("{help}\n\nChanges while the node runs: {}.", row.changed_by());
    }
    help
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::CommandLine;

    #[test]
    fn the_command_line_is_one_that_clap_allows() {
        <CommandLine as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_list_may_be_given_several_times_and_with_commas() {
        let line = ["carillon", "--peer-addr", "127.0.0.1:1", "--cluster-secret-file", "s"];
        let peers = ["--peers", "a:1,b:2", "--peers", "c:3"];
        let line = CommandLine::try_parse_from(line.iter().chain(&peers)).expect("is right");
        assert_eq!(line.serve.sources.load().expect("is right").settings.peers, ["a:1", "b:2", "c:3"]);
    }

    #[test]
    fn a_switch_alone_is_on() {
        for (word, expected) in [("--switch", "true"), ("--switch=false", "false")] {
            let switch = of_kind(Arg::new("switch").long("switch"), Kind::Bool);
            let matches = Command::new("test").arg(switch).try_get_matches_from(["test", word]);
            let matches = matches.expect("is right");
            assert_eq!(matches.value_source("switch"), Some(ValueSource::CommandLine));
            assert_eq!(matches.get_one::<String>("switch").map(String::as_str), Some(expected));
        }
    }
}
