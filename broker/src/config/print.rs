//! What is written of settings: the effective ones, a sample file to begin with, and the reference.

use std::fmt::Write as _;

use super::{Configuration, Group, Kind, Row, Settings, TABLE, Value};

/// Columns of the sample file's comments.
const COLUMNS: usize = 100;

const SAMPLE_HEAD: &str = "\
# The settings of `carillon serve --config FILE`, with their defaults. Flags go before variables, and those before this
# file; `carillon check --config FILE` tells what is wrong with it, and which value comes from where. When it changes, and
# at SIGHUP, a node reads it again. Made from the table of settings: change it there.
";

const REFERENCE_HEAD: &str = "\
# Settings

A flag `--lease-ms`, a variable `CARILLON_LEASE_MS` and a key `lease-ms` of the file that `--config` or
`CARILLON_CONFIG` names are the same setting. A flag goes before the variable, the variable before the file, and that
before the default. An empty variable says nothing. The last word of a name is the unit.
[A file to begin with](../deploy/carillon.toml) has them all.

`carillon check` takes the same settings as `carillon serve`. It tells what is wrong, or prints what would hold and where
each value comes from; nothing is bound and nothing written. Wrong settings end both with the exit code 64.

When its file changes, and at SIGHUP, a node reads it again, and the files that it names. What can
change, changes, also what CONFIG SET has changed since; for the rest the log says that it needs a restart. Of a wrong
file nothing is taken.

This page is made from the table of settings: change it there.
";

impl Configuration {
    /// What holds, as a configuration file, with where each value came from. What a program has
    /// given is left out.
    pub fn to_toml(&self) -> String {
        let mut lines = Vec::new();
        for group in Group::ALL {
            lines.push((format!("# {}", group.heading()), None));
            for (row, value, origin) in self.rows().filter(|(row, _, _)| row.group == group) {
                let origin = origin.of(row).to_string();
                lines.push(match row.kind.toml(&value) {
                    Some(text) => (format!("{} = {text}", row.name), Some(origin)),
                    None if value == Value::Unset => (format!("# {} is not set", row.name), None),
                    None => (format!("# {} is {}", row.name, row.kind.show(&value)), Some(origin)),
                });
            }
        }
        let is_aligned = |width: &usize| *width <= COLUMNS / 2;
        let widths =
            lines.iter().filter(|(_, origin)| origin.is_some()).map(|(line, _)| line.chars().count());
        let width = widths.filter(is_aligned).max().unwrap_or_default();
        let mut text = String::new();
        for (line, origin) in lines {
            // Writing to a string cannot fail.
            let _ = match origin {
                Some(origin) => writeln!(text, "{line:<width$}  # {}", origin.escape_debug()),
                None => writeln!(text, "{line}"),
            };
        }
        text
    }
}

/// A configuration file that says nothing yet: every setting is there as a comment, with its default.
pub fn sample() -> String {
    let defaults = Settings::default();
    let mut text = SAMPLE_HEAD.to_owned();
    for group in Group::ALL {
        let _ = write!(text, "\n#\n# {}\n#\n", group.heading());
        for row in TABLE.iter().filter(|row| row.group == group) {
            let mut about = row.help().to_owned();
            if let Some(why) = row.why {
                let _ = write!(about, " The default: {why}.");
            }
            let _ = write!(about, " Allowed is {}.", row.kind.allowed());
            if row.is_live {
                about.push_str(" Changes at SIGHUP.");
            }
            text.push('\n');
            for line in wrapped(&about) {
                let _ = writeln!(text, "# {line}");
            }
            let value = row.kind.toml(&row.get(&defaults)).unwrap_or_else(|| example(row));
            let _ = writeln!(text, "#{} = {value}", row.name);
        }
    }
    text
}

/// Stands where there is no default.
fn example(row: &Row) -> String {
    match row.kind {
        Kind::Bool => "true".to_owned(),
        Kind::Number { min, .. } | Kind::Bytes { min, .. } => min.to_string(),
        Kind::List(_) => format!("[\"{}\"]", row.kind.value_name()),
        _ => format!("\"{}\"", row.kind.value_name()),
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > COLUMNS {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The page about all settings, in Markdown.
pub fn reference() -> String {
    let defaults = Settings::default();
    let mut text = REFERENCE_HEAD.to_owned();
    for group in Group::ALL {
        let _ = write!(text, "\n## {}\n\n", group.heading());
        text.push_str(
            "| setting | default | allowed | what it is for | changes with |\n|---|---|---|---|---|\n",
        );
        for row in TABLE.iter().filter(|row| row.group == group) {
            let default = row.show(&defaults);
            let default = if default.is_empty() { "none".to_owned() } else { format!("`{default}`") };
            let why = row.why.map(|why| format!(" *The default: {why}.*")).unwrap_or_default();
            let changed_by = row.changed_by();
            let changed_by = if changed_by.is_empty() { "a restart" } else { &changed_by };
            let allowed = row.kind.allowed();
            let cells = [
                format!("`--{}` `{}`", row.name, row.variable),
                default,
                allowed,
                format!("{}{why}", row.help()),
                changed_by.to_owned(),
            ];
            let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages;

    #[test]
    fn what_is_written_about_the_settings_is_what_the_table_says() {
        pages::assert_is("broker/SETTINGS.md", &reference());
        pages::assert_is("deploy/carillon.toml", &sample());
    }

    #[test]
    fn the_sample_is_a_file_of_the_defaults() {
        let with_defaults: Vec<String> = sample()
            .lines()
            .filter(|line| !line.starts_with("# "))
            .map(|line| line.trim_start_matches('#').to_owned())
            .filter(|line| {
                let name = line.split(' ').next().unwrap_or_default();
                super::super::row(name).is_some_and(|row| row.get(&Settings::default()) != Value::Unset)
            })
            .collect();
        let text = with_defaults.join("\n").replace("[\"HOST:PORT\"]", "[]");
        let read = Configuration::from_toml(&text).expect("is right");
        assert_eq!(read.settings, Settings::default());
        assert!(with_defaults.len() > TABLE.len() / 2, "{with_defaults:?}");
        for row in TABLE {
            assert!(sample().contains(&format!("\n#{} = ", row.name)), "{}", row.name);
        }
    }

    #[test]
    fn what_holds_is_printed_with_its_origins_and_read_as_the_same() {
        let text = "payload-bytes-max = 100000\nlog-level = 'info,x=debug'\npeers = []\nname = 'ä\"\\b'";
        let configuration = Configuration::from_toml(text).expect("is right");
        let printed = configuration.to_toml();
        assert!(printed.contains("payload-bytes-max = 100000"), "{printed}");
        for line in ["# carillon.toml:1\n", "# default\n", "# peer-addr is not set\n", "\"32MiB\""] {
            assert!(printed.contains(line), "no {line} in {printed}");
        }
        assert_eq!(Configuration::from_toml(&printed).expect("is right").settings, configuration.settings);
    }
}
