//! The dashboard and the alerts ask for what a node tells, and Prometheus can ask a node.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use carillon_cluster_tests::{
    Cluster, ClusterSettings, Place, Ports, PublisherPlan, SubscriberPlan, Workload, eventually, http,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(40);

const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kustomize/components/monitoring");

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(MONITORING).join(name)).expect("a file of the component")
}

/// The queries of the dashboard's panels.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect()
}

/// The queries of the alerts.
fn alerts() -> Vec<String> {
    let rules: Vec<Value> = serde_saphyr::from_multiple(&read("prometheusrule.yaml")).expect("YAML");
    let rules = rules[0]["spec"]["groups"][0]["rules"].as_array().expect("rules").clone();
    rules.iter().map(|rule| rule["expr"].as_str().expect("a query").to_owned()).collect()
}

/// Words of a query that begin as a node's metrics do.
fn metrics_of(query: &str) -> impl Iterator<Item = &str> {
    query
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| word.starts_with("carillon_"))
}

/// What follows `reason=~"`.
fn reasons_of(query: &str) -> impl Iterator<Item = &str> {
    let lists = query.split("reason=").skip(1).filter_map(|rest| rest.split('"').nth(1));
    lists.flat_map(|list| list.split('|'))
}

/// Every node, and clients at work there.
fn at_work() -> (Cluster, Workload) {
    let cluster = Cluster::form(ClusterSettings { is_direct: true, ..ClusterSettings::of(3) });
    let places = [0, 1, 2].map(Place::Only);
    let workload = Workload::start(
        cluster.client_addrs(),
        places.map(PublisherPlan::steady).into(),
        places.map(SubscriberPlan::news).into(),
    );
    workload.wait_for_answers(100);
    (cluster, workload)
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_a_node_tells() {
    let (cluster, _workload) = at_work();
    let (_, told) = cluster.nodes[0].get("/metrics").expect("answers");
    let names: BTreeSet<&str> =
        told.lines().filter_map(|line| line.split(['{', ' ']).next()).filter(|name| *name != "#").collect();
    assert!(names.len() > 20, "{names:?}");
    let all = [queries(), alerts()].concat();
    assert!(all.len() > 30, "only {} queries were found", all.len());
    for query in &all {
        for name in metrics_of(query) {
            assert!(names.contains(name), "{query}: a node tells no {name}, but {names:?}");
        }
        for reason in reasons_of(query) {
            assert!(told.contains(&format!("reason=\"{reason}\"")), "{query}: there is no reason {reason}");
        }
    }
}

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        use std::fmt::Write as _;
        let _ = write!(all, "%{byte:02x}");
        all
    })
}

#[test]
fn prometheus_scrapes_nodes_and_answers_every_query_of_the_dashboard() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        eprintln!("NOT CHECKED: there is no prometheus here");
        return;
    }
    let (cluster, _workload) = at_work();
    let mut ports = Ports::take();
    let (addr, folder) = (ports.next_addr(), tempfile::tempdir().expect("a temporary folder"));
    let targets: Vec<String> = cluster
        .nodes
        .iter()
        .map(|node| {
            format!(
                "      - targets: ['{}']\n        labels: {{namespace: app, pod: '{}'}}\n",
                node.admin, node.name
            )
        })
        .collect();
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: carillon\n    static_configs:\n{}",
        targets.concat()
    );
    fs::write(folder.path().join("prometheus.yml"), config).expect("writes");
    let process = Command::new("prometheus")
        .arg(format!("--web.listen-address={addr}"))
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .spawn();
    let _prometheus = Prometheus(process.expect("it runs"));
    let ask = |query: &str| -> Option<Vec<Value>> {
        let (code, body) = http::get(addr, &format!("/api/v1/query?query={}", percent(query)))?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        assert!(code < 400 || code == 503, "{query}: {body}");
        answer["data"]["result"].as_array().cloned()
    };
    let up = eventually(PATIENCE, || (ask("sum(up)")?.first()?["value"][1] == "3").then_some(()));
    assert!(up.is_some(), "Prometheus has not scraped all nodes: {:?}", ask("up"));
    for query in queries() {
        let query =
            query.replace("$namespace", "app").replace("$pod", ".*").replace("$__rate_interval", "5s");
        // Nothing was closed: of that there is only the answer that there is none.
        let may_be_empty = query.contains("closed_total");
        let is_answered =
            eventually(PATIENCE, || ask(&query).filter(|found| may_be_empty || !found.is_empty()));
        assert!(is_answered.is_some(), "nothing answers {query}");
    }
}
