//! What can be set: one [table](TABLE), from which come the [struct](Settings), the flags, the variables, the
//! configuration file and all that is written about them. Command lines are parsed by the binary, so that
//! a node can be embedded without.

mod bytes;
#[cfg(test)]
mod chart;
mod choices;
mod error;
mod file;
mod forms;
mod log_filter;
mod origin;
mod print;
mod row;
mod rules;
mod sources;
mod table;
mod typed;
mod value;

pub use bytes::parse_redis as parse_redis_bytes;
pub use choices::{LogFormat, TlsClientAuth};
pub use error::ConfigError;
pub use log_filter::{LogFilter, LogFilterError};
pub use origin::Origin;
pub use print::{reference, sample};
pub use row::{Group, Row, row};
pub use rules::SettingsError;
pub use sources::{CONFIG, CONFIG_VARIABLE, Configuration, Sources};
pub use table::{OUTBOX_LIMIT, Settings, TABLE};
pub use typed::IntoSetting;
pub use value::{Form, Given, Kind, Value};
