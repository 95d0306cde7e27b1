//! What texts may look like.

use tracing_subscriber::EnvFilter;

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
    is_right: |text| !text.is_empty() && EnvFilter::builder().parse(text).is_ok(),
};

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}
