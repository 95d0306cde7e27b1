//! `carillon bench`: that its figures can be trusted.

mod faulty;

use std::{thread, time::Duration};

use carillon_cluster_tests::{Ended, Running, Server, run};
use serde_json::Value;

use faulty::Faulty;

/// Every server that the load is for, with the name to show when a test fails.
fn servers() -> [(&'static str, Server); 2] {
    [("redis", Server::redis()), ("carillon", Server::carillon(&[]))]
}

fn bench(server: &str, words: &str) -> Ended {
    let words: Vec<&str> =
        ["bench", "--json", "--server", server].into_iter().chain(words.split(' ')).collect();
    run(&words, &[], b"")
}

/// The only round of the only target.
fn round(ended: &Ended) -> Value {
    let report: Value =
        serde_json::from_str(&ended.output).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    report["targets"][0]["rounds"][0].clone()
}

fn number(round: &Value, pointer: &str) -> f64 {
    round.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer} in {round}"))
}

#[test]
fn every_kind_of_load_arrives_whole() {
    for (name, server) in servers() {
        let addr = server.addr.to_string();
        for kind in [
            "--pipeline 16 --publishers 3",
            "--patterns --resp 3 --channels 4 --channels-per-subscriber 2",
            "--shard-channels --channels 3 --size 20000",
            "--threads 2 --publishers 2 --rate 2000",
        ] {
            let ended = bench(&addr, &format!("--subscribers 6 --seconds 0.5 --warmup 0.1 {kind}"));
            assert_eq!(ended.code, Some(0), "{name}, {kind}: {ended:?}");
            let round = round(&ended);
            assert!(number(&round, "/delivered") > 0.0, "{name}, {kind}: {round}");
            for fault in ["/lost", "/doubled", "/reordered", "/damaged", "/closed"] {
                assert!(number(&round, fault).abs() < 0.5, "{name}, {kind}: {round}");
            }
        }
    }
}

#[test]
fn an_open_loop_publishes_as_much_as_it_was_told() {
    for (name, server) in servers() {
        let ended = bench(&server.addr.to_string(), "--subscribers 4 --seconds 2 --warmup 0.2 --rate 1000");
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        let round = round(&ended);
        // What is under way at both ends of the measured time falls to one side or the other.
        assert!((number(&round, "/published") - 2000.0).abs() < 100.0, "{name}: {round}");
        assert!((number(&round, "/delivered") - 8000.0).abs() < 400.0, "{name}: {round}");
        assert!(number(&round, "/cpu_us_per_delivered") > 0.0, "{name}: its process is found: {round}");
        assert!(number(&round, "/machine/server_rss_bytes_max") > 1e6, "{name}: {round}");
    }
}

/// Coordinated omission would hide it: a load that waits for the server sends nothing while it is stopped, and would
/// count one slow message for each publisher.
#[test]
fn a_stopped_server_shows_in_every_message_that_was_due_meanwhile() {
    let server = Server::redis();
    let addr = server.addr.to_string();
    let words = ["bench", "--json", "--server", &addr, "--rate", "1000", "--seconds", "2", "--warmup", "0.2"];
    let mut load = Running::start(&words);
    assert!(load.error_line().contains("measuring"));
    thread::sleep(Duration::from_millis(700));
    server.signal("STOP");
    thread::sleep(Duration::from_millis(300));
    server.signal("CONT");
    let line = load.line();
    assert_eq!(load.code(), Some(0), "nothing is lost: {line}");
    let report: Value = serde_json::from_str(&line).expect("is JSON");
    let round = &report["targets"][0]["rounds"][0];
    assert!(number(round, "/latency/max_us") > 250_000.0, "{round}");
    // 300 of 2,000 messages were due meanwhile: the slowest 5 % of all waited for most of the stop.
    assert!(number(round, "/latency/p90_us") > 50_000.0, "{round}");
    assert!(number(round, "/latency/p99_us") > 200_000.0, "{round}");
}

#[test]
fn what_a_server_loses_doubles_or_turns_around_is_counted() {
    let faulty = Faulty::start();
    let ended = bench(&faulty.addr.to_string(), "--subscribers 2 --seconds 0.5 --warmup 0 --pipeline 8");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let round = round(&ended);
    for fault in ["/lost", "/doubled", "/reordered"] {
        assert!((number(&round, fault) - 2.0).abs() < 0.5, "one at each subscriber: {round}");
    }
    assert!(ended.errors.contains("2 lost, 2 doubled, 2 reordered"), "{ended:?}");
}

#[test]
fn a_comparison_tells_ratios_round_by_round_and_draws_them() {
    let [(_, one), (_, other)] = servers();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plot = folder.path().join("latency.svg");
    let words = format!(
        "--against {} --rounds 2 --seconds 0.3 --warmup 0.1 --pipeline 4 --plot {}",
        other.addr,
        plot.display()
    );
    let ended = bench(&one.addr.to_string(), &words);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.output).expect("is JSON");
    assert_eq!(report["ratios"].as_array().map(Vec::len), Some(2));
    assert!(report["targets"][0]["software"].as_str().is_some_and(|name| name.starts_with("redis ")));
    assert!(report["targets"][1]["software"].as_str().is_some_and(|name| name.starts_with("carillon ")));
    let drawn = std::fs::read_to_string(plot).expect("is drawn");
    assert_eq!(drawn.matches("<polyline").count(), 2);
    let words = ["bench", "--server", &one.addr.to_string(), "--seconds", "0.2", "--warmup", "0"];
    let table = run(&words, &[], b"").output;
    assert!(table.contains("deliveries/s") && table.contains("CPU µs/d"), "{table}");
}

#[test]
fn clients_of_a_server_that_restarts_come_back_and_the_outage_is_told() {
    let mut server = Server::carillon(&[]);
    let addr = server.addr.to_string();
    let words = ["bench", "--json", "--server", &addr, "--rate", "500", "--seconds", "3", "--warmup", "0.1"];
    let mut load = Running::start(&[&words[..], &["--reconnect"]].concat());
    assert!(load.error_line().contains("measuring"));
    server.kill();
    thread::sleep(Duration::from_millis(200));
    server.start_again();
    let line = load.line();
    assert_eq!(load.code(), Some(0), "to be closed is no failure with --reconnect: {line}");
    let report: Value = serde_json::from_str(&line).expect("is JSON");
    let view = &report["targets"][0]["rounds"][0]["servers"][0];
    assert!((number(view, "/closed") - 11.0).abs() < 0.5, "the publisher and ten subscribers: {view}");
    assert!((200.0..2900.0).contains(&number(view, "/subscriber_outage_ms_max")), "{view}");
}

#[test]
fn a_closed_connection_is_a_failure() {
    let mut server = Server::redis();
    let addr = server.addr.to_string();
    let mut load = Running::start(&["bench", "--server", &addr, "--seconds", "1", "--warmup", "0.1"]);
    assert!(load.error_line().contains("measuring"));
    server.kill();
    assert_eq!(load.code(), Some(1));
    assert!(load.error_line().contains("11 connections closed by the server"));
}

#[test]
fn what_cannot_be_is_said_before_anything_runs() {
    for (words, says) in [
        ("--channels-per-subscriber 2", "--channels-per-subscriber 2 is more than --channels 1"),
        ("--size 8", "28.."),
        ("--publishers 10000 --subscribers 60000", "20000000 is the most"),
        ("--seconds 0", "must be from 0.1"),
        ("--rate 5 --pipeline 2", "cannot be used with"),
        ("--patterns --shard-channels", "cannot be used with"),
        ("--server http://localhost", "the scheme must be redis://"),
        ("--resp 4", "2..=3"),
    ] {
        let ended = run(&["bench"].into_iter().chain(words.split(' ')).collect::<Vec<_>>(), &[], b"");
        assert_eq!(ended.code, Some(64), "{words}: {ended:?}");
        assert!(ended.errors.contains(says), "{words}: {ended:?}");
    }
    let ended = run(&["bench", "--server", "127.0.0.1:1"], &[], b"");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("127.0.0.1:1"), "{ended:?}");
}
