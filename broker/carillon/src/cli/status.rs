//! `carillon status`, `carillon nodes` and `carillon drain`: a running node, asked through its admin port.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use serde_json::Value;

/// How long a node may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// The node to ask.
#[derive(Args, Clone, Debug)]
pub struct AdminSettings {
    /// Admin address of a node.
    #[arg(long, env = "CARILLON_ADMIN_ADDR", default_value = "127.0.0.1:9379")]
    pub admin_addr: SocketAddr,
    /// File with the token that the node asks for, if it does.
    #[arg(long, env = "CARILLON_ADMIN_TOKEN_FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Print the node's JSON as it is.
    #[arg(long)]
    pub json: bool,
}

/// Prints how a node and its cluster are.
pub fn status(settings: &AdminSettings) -> ExitCode {
    show(settings, "/nodes", |status| format!("{}\n{}", summary(status), nodes_table(status)))
}

/// Prints the nodes of a cluster.
pub fn nodes(settings: &AdminSettings) -> ExitCode {
    show(settings, "/nodes", nodes_table)
}

/// Asks a node to leave its cluster and to stop.
pub fn drain(settings: &AdminSettings) -> ExitCode {
    match ask(settings, "/drain", Some("")) {
        Ok(_) => {
            super::print_line("the node closes its clients, leaves the view and stops");
            ExitCode::SUCCESS
        }
        Err(text) => fail(&text),
    }
}

/// Prints what a node answers: its JSON, or that in a form for people.
pub(super) fn show(settings: &AdminSettings, path: &str, form: impl Fn(&Value) -> String) -> ExitCode {
    let answer = ask(settings, path, None).and_then(|body| {
        let status = serde_json::from_str(&body).map_err(|error| format!("no JSON: {error}"))?;
        Ok((body, status))
    });
    match answer {
        Ok((body, _)) if settings.json => super::print_line(&body),
        Ok((_, status)) => super::print_line(form(&status).trim_end()),
        Err(text) => return fail(&text),
    }
    ExitCode::SUCCESS
}

pub(super) fn fail(text: &str) -> ExitCode {
    eprintln!("carillon: {text}");
    ExitCode::FAILURE
}

/// Gets what is at `path`, or posts `body` there.
pub(super) fn ask(settings: &AdminSettings, path: &str, body: Option<&str>) -> Result<String, String> {
    let addr = settings.admin_addr;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_TIME_MAX))
        .http_status_as_error(false)
        .build()
        .into();
    let url = format!("http://{addr}{path}");
    let token = settings.admin_token_file.as_deref().map(|file| {
        let token = std::fs::read_to_string(file);
        token.map_err(|error| format!("--admin-token-file {}: {error}", file.display()))
    });
    let bearer = token.transpose()?.map(|token| format!("Bearer {}", token.trim())).unwrap_or_default();
    let response = match body {
        Some(body) => agent.post(&url).header("Authorization", &bearer).send(body),
        None => agent.get(&url).header("Authorization", &bearer).call(),
    };
    let mut response =
        response.map_err(|error| format!("no node answers at {addr}: {error}; is --admin-addr right?"))?;
    let text = response.body_mut().read_to_string().map_err(|error| format!("{addr}: {error}"))?;
    if response.status().is_success() { Ok(text) } else { Err(format!("{addr}: {}", text.trim_end())) }
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn summary(status: &Value) -> String {
    let mut lines = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(lines, "{label:<10} {value}");
    };
    line(
        "node",
        format!(
            "{} (id {}), version {}",
            text(&status["name"]),
            text(&status["node"]),
            text(&status["version"])
        ),
    );
    let why = status["reason"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    line("condition", format!("{}{why}", text(&status["condition"])));
    line("cluster", text(&status["cluster_id"]));
    line(
        "view",
        format!("epoch {}, lease for {} ms more", text(&status["epoch"]), text(&status["lease_ms_left"])),
    );
    line(
        "raft",
        format!(
            "{}, term {}, leader {}",
            text(&status["role"]),
            text(&status["term"]),
            text(&status["leader"])
        ),
    );
    line("clients", text(&status["clients"]));
    lines
}

/// A line for each node. Round trip, lag and link are as the node that was asked sees them.
fn nodes_table(status: &Value) -> String {
    let header = [
        "ID", "NAME", "ADDRESS", "VERSION", "IN VIEW", "EPOCH", "ROLE", "LEASE ms", "CLIENTS", "LINK",
        "RTT µs", "LAG",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for member in status["members"].as_array().into_iter().flatten() {
        let own = &member["status"];
        let link = match member["link_up"].as_bool() {
            None => "-",
            Some(true) => "up",
            Some(false) => "down",
        };
        rows.push(vec![
            text(&member["id"]),
            text(&member["name"]),
            text(&member["addr"]),
            text(&own["version"]),
            if member["in_view"] == true { "yes" } else { "no" }.to_owned(),
            text(&own["epoch"]),
            role_of(member, &status["leader"]).to_owned(),
            text(&own["lease_ms_left"]),
            text(&own["clients"]),
            link.to_owned(),
            text(&member["rtt_us"]),
            text(&member["lag"]),
        ]);
    }
    let widths: Vec<usize> = (0..header.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let mut table = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(table, "{}", cells.join("  ").trim_end());
    }
    table
}

/// What a node is to Raft, as the node that was asked sees it.
fn role_of(member: &Value, leader: &Value) -> &'static str {
    match member["voter"].as_bool() {
        None => "-",
        Some(_) if member["id"] == *leader => "leader",
        Some(true) => "voter",
        Some(false) => "learner",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nodes_stand_in_columns() {
        let status = json!({
            "leader": 1,
            "members": [
                {
                    "id": 1, "name": "a", "addr": "a:1", "in_view": true, "voter": true, "link_up": true,
                    "status": {"version": "0.1.0", "epoch": 7, "lease_ms_left": 2400, "clients": 3},
                },
                {
                    "id": 14, "name": "bee", "addr": "bee:1", "in_view": false, "voter": true, "link_up": false,
                    "rtt_us": 80, "lag": 3, "status": null,
                },
            ],
        });
        assert_eq!(
            nodes_table(&status),
            "ID  NAME  ADDRESS  VERSION  IN VIEW  EPOCH  ROLE    LEASE ms  CLIENTS  LINK  RTT µs  LAG\n\
             1   a     a:1      0.1.0    yes      7      leader  2400      3        up    -       -\n\
             14  bee   bee:1    -        no       -      voter   -         -        down  80      3\n"
        );
    }
}
