//! What texts may look like.

use super::{Form, LogFilter};

pub(super) const NAME: Form = Form { allowed: "a text", value_name: "TEXT", is_right: |_| true };
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

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}
