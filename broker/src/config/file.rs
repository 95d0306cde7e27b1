//! The configuration file: TOML with a key for each setting, all of them at the top level.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::de::{DeTable, DeValue};

use super::{
    ConfigError, Given, Origin, Row, TABLE,
    error::told_again,
    row::row,
    sources::{Entry, wrong_value},
};

/// Longest file, in bytes: a thousand times the sample. Whoever names a device instead of a file is told.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let read = std::io::Read::read_to_string(&mut std::io::Read::take(file, FILE_BYTES_MAX), &mut text);
    read.map_err(unreadable)?;
    parse(path, &text)
}

/// Reads a file's text. `path` is for messages.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, ConfigError> {
    let syntax = |span: Option<Range<usize>>, what: String| ConfigError::Syntax {
        path: path.to_owned(),
        line: line_of(text, span.map_or(0, |span| span.start)),
        what,
    };
    let table = DeTable::parse(text).map_err(|error| syntax(error.span(), told_again(error.message())))?;
    let origin_path: Arc<Path> = path.into();
    // In the order of the file, so that it is the first mistake that is told.
    let mut keys: Vec<_> = table.get_ref().iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    let mut entries = Vec::new();
    for (key, value) in keys {
        let line = line_of(text, key.span().start);
        let name = key.get_ref().as_ref();
        let Some(row) = row(name) else {
            let path = path.to_owned();
            let advice = advice(name, value.get_ref());
            return Err(ConfigError::Unknown { path, line, key: told_again(name), advice });
        };
        let origin = Origin::File { path: Arc::clone(&origin_path), line };
        let Some(given) = given(value.get_ref()) else {
            let kind = value.get_ref().type_str().to_owned();
            return Err(wrong_value(row, &origin, &Given::Text(format!("a TOML {kind}"))));
        };
        entries.push(Entry { row, given, origin });
    }
    Ok(entries)
}

fn given(value: &DeValue<'_>) -> Option<Given> {
    if let DeValue::Array(items) = value {
        return items.iter().map(|item| scalar(item.get_ref())).collect::<Option<_>>().map(Given::List);
    }
    scalar(value).map(Given::Text)
}

/// Numbers and texts are not told apart: what a setting may be says its row.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.as_ref().to_owned()),
        DeValue::Boolean(is_on) => Some(is_on.to_string()),
        DeValue::Integer(number) => Some(match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.to_string(),
        }),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// Most letters of a key that is compared with names of settings, all of which are shorter.
const KEY_CHARS_MAX: usize = 64;

fn advice(key: &str, value: &DeValue<'_>) -> String {
    if matches!(value, DeValue::Table(_)) {
        return ": settings stand at the top level, without [tables]".to_owned();
    }
    if key == super::sources::CONFIG {
        return ": a file cannot name another".to_owned();
    }
    let spelled = key.to_lowercase().replace('_', "-");
    let spelled = spelled.trim_start_matches("carillon-").trim_start_matches('-');
    let spelled: String = spelled.chars().take(KEY_CHARS_MAX).collect();
    let nearest = TABLE.iter().map(|row: &Row| (distance(&spelled, row.name), row.name)).min();
    match nearest {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("; did you mean '{name}'?"),
        _ => String::new(),
    }
}

/// Letters to insert, to leave out or to change
/// ([Levenshtein](https://en.wikipedia.org/wiki/Levenshtein_distance)).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, own) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (at, other) in to.chars().enumerate() {
            let changed = diagonal + usize::from(own != other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.chars().count()]
}

/// The path that messages name in tests and fuzzing.
pub(super) fn no_path() -> PathBuf {
    PathBuf::from("carillon.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(&no_path(), text).map(|_| ()).expect_err("is wrong").to_string()
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        let text =
            "lease-ms = 3_000\nshards = 0x10\nname = 'a'\npeers = [\n 'a:1', \"b:2\"]\n'expect' = \"3\"";
        let entries = parse(&no_path(), text).expect("is right");
        let read: Vec<_> = entries.iter().map(|entry| (entry.row.name, entry.given.text())).collect();
        let expected =
            [("lease-ms", "3000"), ("shards", "16"), ("name", "a"), ("peers", "a:1,b:2"), ("expect", "3")];
        assert_eq!(read, expected.map(|(name, text)| (name, text.to_owned())));
        let last = &entries.last().expect("there are five").origin;
        assert_eq!(*last, Origin::File { path: Path::new("carillon.toml").into(), line: 6 });
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_what_may_be_meant() {
        let told = |key: &str| error(&format!("# a comment\n{key} = 1\n"));
        assert_eq!(
            told("leese-ms"),
            "carillon.toml:2: there is no setting 'leese-ms'; did you mean 'lease-ms'?"
        );
        assert!(told("lease_ms").ends_with("did you mean 'lease-ms'?"));
        assert!(told("CARILLON_LEASE_MS").ends_with("did you mean 'lease-ms'?"));
        assert!(told("colour").ends_with("there is no setting 'colour'"));
        assert!(told("config").ends_with("a file cannot name another"));
        assert!(told("cluster.lease-ms").ends_with("without [tables]"));
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        assert!(error("name = 'a'\nlease-ms 3").starts_with("carillon.toml:2: "));
        assert!(error("name = 'a'\nname = 'b'").starts_with("carillon.toml:2: duplicate key"));
        assert!(!error("name = 'a'\nlease-ms = [\n").contains('\n'));
    }

    #[test]
    fn a_value_of_another_type_is_told() {
        assert_eq!(
            error("lease-ms = 2.5"),
            "carillon.toml:1: lease-ms 'a TOML float': allowed is a whole number from 1 to 3600000"
        );
        assert!(error("[lease-ms]\na = 1").contains("a TOML table"));
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("lease-ms", "lease-ms"), 0);
    }
}
