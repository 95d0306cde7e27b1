//! What texts may look like.

#[cfg(feature = "service")]
use tracing_subscriber::{EnvFilter, filter::ParseError};

use super::Form;

pub(super) const NAME: Form = Form { allowed: "a text", value_name: "TEXT", is_right: |_| true };
pub(super) const HOST_PORT: Form =
    Form { allowed: "host:port", value_name: "HOST:PORT", is_right: is_host_port };
pub(super) const PEERS: Form = Form {
    allowed: "host:port or _service._udp.domain",
    value_name: "HOST:PORT",
    is_right: |text| text.contains(':') || text.starts_with('_'),
};
pub(super) const LOG_FILTER: Form = Form {
    allowed: "error, warn, info, debug, trace, off, or a filter such as info,carillon_broker::cluster=debug",
    value_name: "FILTER",
    is_right: is_log_filter,
};

/// What is logged, as [`EnvFilter`] has it. The values of fields in it are texts, not regular expressions: of those, some
/// that fit into a line take minutes to be made ready. Spaces around its parts do not count: `EnvFilter` would take the wrong
/// bytes for a part that begins with some, or panic.
#[cfg(feature = "service")]
pub fn log_filter(text: &str) -> Result<EnvFilter, ParseError> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    EnvFilter::builder().with_regex(false).parse(parts.join(","))
}

#[cfg(feature = "service")]
fn is_log_filter(text: &str) -> bool {
    !text.is_empty() && log_filter(text).is_ok()
}

/// What a node inside another program logs is filtered by that program.
#[cfg(not(feature = "service"))]
fn is_log_filter(text: &str) -> bool {
    !text.is_empty()
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

#[cfg(feature = "service")]
#[cfg(test)]
mod tests {
    use super::*;

    /// Its automaton would have as many states as there are subsets of the dots.
    #[test]
    fn a_log_filter_with_many_dots_is_read_at_once() {
        let filter = format!("info,x[{{field=1p{}a?b}}]=debug", ".".repeat(200));
        let start = std::time::Instant::now();
        let _ = log_filter(&filter);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
        assert!(log_filter("info,carillon_broker::cluster=debug").is_ok());
    }

    #[test]
    fn a_log_filter_with_spaces_is_read_as_without() {
        let filter = log_filter("info, carillon_broker=debug ,\thyper=warn").unwrap();
        assert_eq!(
            filter.to_string(),
            log_filter("info,carillon_broker=debug,hyper=warn").unwrap().to_string()
        );
        // Cut by the bytes of the untrimmed text, it would end inside a character.
        let _ = log_filter("info, 0.5\u{5e45b}[++[");
    }
}
