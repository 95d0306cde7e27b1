//! What texts may look like.

use super::{Form, LogFilter};

pub(super) const NAME: Form =
    Form { allowed: "1 to 253 bytes without spaces", value_name: "TEXT", is_right: is_name };
pub(super) const HOST_PORT: Form =
    Form { allowed: "host:port", value_name: "HOST:PORT", is_right: is_host_port };
pub(super) const PEERS: Form = Form {
    allowed: "host:port or _service._udp.domain",
    value_name: "HOST:PORT",
    is_right: |text| text.contains(':') || text.starts_with('_'),
};
pub(super) const LOG_FILTER: Form = Form {
    allowed: "error, warn, info, debug, trace, off, or levels of modules such as info,carillon_broker::cluster=debug",
    value_name: "FILTER",
    is_right: |text| text.parse::<LogFilter>().is_ok(),
};

/// It stands in logs, labels of metrics and commands; as long as the name of a host may be (RFC 1035).
fn is_name(text: &str) -> bool {
    let is_right = |character: char| !character.is_whitespace() && !character.is_control();
    (1..=253).contains(&text.len()) && text.chars().all(is_right)
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}
