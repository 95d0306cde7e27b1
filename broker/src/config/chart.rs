//! What the Helm chart's schema says of settings: which a user may give, and what each may be.

use std::fmt::Write as _;

use super::{Kind, TABLE};
use crate::pages;

const SCHEMA: &str = "deploy/helm/carillon/values.schema.json";

/// The line before what is made from the table, and the one after it.
const BEGIN: &str =
    "      \"$comment\": \"The properties are made from the table of settings: change them there.\",\n";
const END: &str = "\n      }\n";

/// What the chart says itself, in its file or as a variable, and what does not go with that. A test of the chart compares.
const OF_THE_CHART: &[&str] = &[
    "admin-addr",
    "admin-token-file",
    "advertise-addr",
    "client-addr",
    "cluster-secret-file",
    "data-dir",
    "drain-ms",
    "expect",
    "name",
    "password-file",
    "peer-addr",
    "peer-ca-file",
    "peer-cert-file",
    "peer-cert-name",
    "peer-key-file",
    "peers",
    "previous-password-file",
    "tls-addr",
    "tls-cert-file",
    "tls-key-file",
    "tls-only",
];

fn schema_of(kind: Kind) -> String {
    match kind {
        Kind::Bool => r#"{ "type": "boolean" }"#.to_owned(),
        Kind::Number { min, max } => {
            format!(r#"{{ "type": "integer", "minimum": {min}, "maximum": {max} }}"#)
        }
        Kind::Bytes { min, max } => format!(
            r#"{{ "type": ["integer", "string"], "minimum": {min}, "maximum": {max}, "pattern": "^[0-9]+([kKmMgG]?[bB]?|[kKmMgGtT][iI][bB])$" }}"#
        ),
        Kind::Choice(words) => format!("{{ \"enum\": {words:?} }}"),
        Kind::Addr | Kind::Path | Kind::Text(_) => r#"{ "type": "string" }"#.to_owned(),
        Kind::List(_) => r#"{ "type": ["array", "string"], "items": { "type": "string" } }"#.to_owned(),
    }
}

fn properties() -> String {
    let mut text = "      \"properties\": {".to_owned();
    let mut rows: Vec<_> = TABLE.iter().filter(|row| !OF_THE_CHART.contains(&row.name)).collect();
    rows.sort_by_key(|row| row.name);
    for (at, row) in rows.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\n        \"{}\": {}", row.name, schema_of(row.kind));
    }
    text
}

#[test]
fn what_is_written_in_the_charts_schema_is_what_the_table_says() {
    for name in OF_THE_CHART {
        assert!(super::row(name).is_some(), "there is no setting {name}");
    }
    let written = std::fs::read_to_string(pages::file(SCHEMA)).expect("the schema");
    let (head, rest) = written.split_once(BEGIN).expect("the comment");
    let (_, tail) = rest.split_once(END).expect("the end of the properties");
    pages::assert_is(SCHEMA, &format!("{head}{BEGIN}{}{END}{tail}", properties()));
}
