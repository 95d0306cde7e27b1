//! What is logged, as text.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;

/// What is logged: `info`, or `info,carillon_broker::cluster=debug`. A later part overrides an earlier one for the same.
///
/// It is less than `tracing_subscriber::EnvFilter` reads: no spans, no values of fields, and no target without its level,
/// so that a level with a typing error is an error and not a target that nothing has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// The level of what no target below takes; without one, nothing of it is logged.
    pub others: Option<LevelFilter>,
    /// Levels of targets, which are modules, and what is in them.
    pub targets: Vec<(String, LevelFilter)>,
}

/// A part of a [`LogFilter`] that is neither a level nor a target with its level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither a level nor target=level")]
pub struct LogFilterError(String);

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, LogFilterError> {
        let mut filter = Self::default();
        for part in text.split(',').map(str::trim) {
            let (target, word) =
                part.split_once('=').map_or((None, part), |(target, word)| (Some(target), word));
            let level = level(word.trim()).ok_or_else(|| LogFilterError(part.to_owned()))?;
            match target.map(str::trim) {
                None => filter.others = Some(level),
                Some(target) if is_target(target) => filter.targets.push((target.to_owned(), level)),
                Some(_) => return Err(LogFilterError(part.to_owned())),
            }
        }
        Ok(filter)
    }
}

/// The parser of levels takes no word at all for `error`.
fn level(word: &str) -> Option<LevelFilter> {
    if word.is_empty() { None } else { word.parse().ok() }
}

fn is_target(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_alphanumeric() || "_:-.".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_targets_are_read() {
        let filter: LogFilter = "warn, carillon_broker::cluster=debug ,\thyper = off".parse().unwrap();
        assert_eq!(filter.others, Some(LevelFilter::WARN));
        let targets = [("carillon_broker::cluster", LevelFilter::DEBUG), ("hyper", LevelFilter::OFF)];
        assert_eq!(filter.targets, targets.map(|(target, level)| (target.to_owned(), level)));
        assert_eq!("a=trace".parse::<LogFilter>().unwrap().others, None);
        assert_eq!("info,Error".parse::<LogFilter>().unwrap().others, Some(LevelFilter::ERROR));
    }

    #[test]
    fn a_level_with_a_typing_error_is_refused_and_named() {
        for (text, part) in [
            ("inof", "inof"),
            ("info,carillon=wran", "carillon=wran"),
            ("info,carillon_broker", "carillon_broker"),
            ("a=b=c", "a=b=c"),
            ("info,[span]=debug", "[span]=debug"),
            ("=debug", "=debug"),
            ("info,", ""),
            ("", ""),
            ("a=", "a="),
        ] {
            assert_eq!(text.parse::<LogFilter>(), Err(LogFilterError(part.to_owned())), "{text}");
        }
    }

    /// What made the parser before this one panic, or take minutes.
    #[test]
    fn fields_and_spans_are_refused_at_once() {
        for text in
            ["info, 0.5\u{5e45b}[++[", "x[{\"a\"=1?}],y,x[{\"a\"=1?}]", "info,x[{field=1p....a?b}]=debug"]
        {
            assert!(text.parse::<LogFilter>().is_err(), "{text}");
        }
    }
}
