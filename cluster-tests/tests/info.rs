//! What INFO tells to monitoring tools.

use std::collections::BTreeMap;

use carillon_cluster_tests::{Server, Wire};
use carillon_proto::resp::Value;

fn info(wire: &mut Wire, sections: &[&str]) -> String {
    let Value::Bulk(info) = wire.ask(&[&["info"], sections].concat()) else { panic!("INFO is a string") };
    String::from_utf8(info).expect("INFO is text")
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// `cmdstat_…` with its values by name, as exporters read them: by their place.
fn command_stats(info: &str) -> BTreeMap<String, [u64; 3]> {
    let rows = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
    rows.map(|(command, values)| {
        let values: Vec<(&str, &str)> =
            values.split(',').map(|value| value.split_once('=').expect("name=value")).collect();
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["calls", "usec", "usec_per_call", "rejected_calls", "failed_calls"]);
        assert!(values[2].1.parse::<f64>().is_ok(), "{command} takes {}", values[2].1);
        (command.to_owned(), [0, 3, 4].map(|at| values[at].1.parse().expect("a number")))
    })
    .collect()
}

#[test]
fn commands_and_errors_are_counted_as_redis_counts_them() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    let [expected, actual] = [&redis, &carillon].map(|server| {
        let mut wire = Wire::connect(server.addr);
        for request in [
            &["ping"][..],
            &["config", "resetstat"],
            &["publish", "a", "b"],
            &["publish", "a", "b"],
            &["publish", "a"],
            &["nosuch"],
            &["client", "nosuch"],
            &["client", "id"],
            &["select", "99"],
            &["auth", "nobody", "password"],
            &["hello", "4"],
            &["multi"],
            &["publish", "a", "b"],
            &["select", "99"],
            &["shutdown"],
            &["exec"],
            &["multi"],
            &["publish", "a", "b"],
            &["select", "99"],
            &["exec"],
            &["multi"],
            &["exec", "x"],
            &["exec"],
            &["discard"],
            &["subscribe", "a"],
            &["publish", "a", "b"],
            &["reset"],
        ] {
            wire.ask(request);
        }
        let info = info(&mut wire, &["commandstats"]);
        assert!(info.starts_with("# Commandstats\r\n"), "{info}");
        let errors = crate::info(&mut wire, &["errorstats"]);
        (command_stats(&info), errors)
    });
    assert_eq!(actual.0, expected.0, "[calls, rejected, failed]");
    assert_eq!(actual.1, expected.1);
}

#[test]
fn sections_are_told_as_redis_tells_them() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    let mut wires = [Wire::connect(redis.addr), Wire::connect(carillon.addr)];
    for sections in [&[][..], &["default"], &["all"], &["everything"], &["cpu", "CommandStats"], &["server"]]
    {
        let [expected, actual] = wires.each_mut().map(|wire| {
            let info = info(wire, sections);
            let titles = info.lines().filter_map(|line| line.strip_prefix("# "));
            // What a node has nothing to tell about, and what is in no client's or exporter's way.
            let known = titles.filter(|title| !["Modules", "Latencystats"].contains(title));
            known.map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(actual, expected, "INFO {sections:?}");
    }
}

/// The fields without which a client or an exporter fails or shows nothing.
#[test]
fn fields_that_tools_read_are_there() {
    let server = Server::carillon(&["--shards", "2"]);
    let mut wire = Wire::connect(server.addr);
    let text = info(&mut wire, &[]);
    for name in [
        "redis_version",
        "redis_mode",
        "os",
        "arch_bits",
        "process_id",
        "run_id",
        "tcp_port",
        "uptime_in_seconds",
        "connected_clients",
        "maxclients",
        "blocked_clients",
        "used_memory",
        "used_memory_rss",
        "used_memory_peak",
        "maxmemory",
        "loading",
        "total_connections_received",
        "rejected_connections",
        "total_commands_processed",
        "total_net_input_bytes",
        "keyspace_hits",
        "pubsub_channels",
        "role",
        "connected_slaves",
        "used_cpu_sys",
        "used_cpu_user",
        "cluster_enabled",
    ] {
        assert!(field(&text, name).is_some_and(|value| !value.is_empty()), "{name} in\n{text}");
    }
    assert_eq!(field(&text, "loading"), Some("0"));
    let memory: u64 = field(&text, "used_memory").and_then(|bytes| bytes.parse().ok()).expect("bytes");
    assert!((1 << 20..1 << 30).contains(&memory), "{memory} bytes");
    // Work shows: some thousand commands take more than the two hundredths of a second that are told apart.
    let cpu = |wire: &mut Wire| -> f64 {
        let text = info(wire, &["cpu"]);
        ["used_cpu_sys", "used_cpu_user"]
            .map(|name| field(&text, name).and_then(|seconds| seconds.parse::<f64>().ok()).expect("seconds"))
            .iter()
            .sum()
    };
    let before = cpu(&mut wire);
    while cpu(&mut wire) < before + 0.02 {}
}
