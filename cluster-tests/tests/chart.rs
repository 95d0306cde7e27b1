//! The Helm chart renders the same objects as the kustomize base.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use carillon_cluster_tests::kube::{
    manifest::Manifests,
    render::{Kustomize, helm, helm_refuses},
};
use serde_json::Value;

/// Objects by kind and name, with what may be written in two ways brought to one.
fn by_name(objects: Vec<Value>) -> BTreeMap<(String, String), Value> {
    let key = |object: &Value, field: &str| object[field].as_str().expect("a text").to_owned();
    let entry = |mut object: Value| {
        let (kind, name) = (key(&object, "kind"), key(&object["metadata"], "name"));
        if let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) {
            for value in data.values_mut() {
                let text = value.as_str().expect("a text");
                *value = if kind == "Secret" { decoded(text) } else { without_comments(text) }.into();
            }
        }
        ((kind, name), object)
    };
    objects.into_iter().map(entry).collect()
}

/// kustomize breaks lines of base64.
fn decoded(text: &str) -> String {
    let text: String = text.split_whitespace().collect();
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("text")
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut lines: Vec<&str> = lines.collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The arguments that give the chart the secrets of the kustomize base.
fn secrets(kustomize: &Kustomize) -> String {
    let read = |name: &str| {
        let path = kustomize.folder().join("base/secrets").join(name);
        std::fs::read_to_string(path).expect("secrets.sh has made it")
    };
    format!(
        "secret.password={},secret.clusterSecret={},secret.adminToken={}",
        read("password"),
        read("cluster-secret"),
        read("admin-token")
    )
}

fn compare(overlay: &str, args: &[&str]) {
    let kustomize = Kustomize::default();
    let given = secrets(&kustomize);
    let args = [&["--set", &given], args].concat();
    let (ours, charts) = (by_name(kustomize.overlay(overlay)), by_name(helm("carillon", &args)));
    assert_eq!(ours.keys().collect::<Vec<_>>(), charts.keys().collect::<Vec<_>>());
    for (name, object) in &ours {
        let show = |object: &Value| serde_json::to_string_pretty(object).expect("JSON");
        assert_eq!(show(object), show(&charts[name]), "{name:?} of kustomize, and of the chart");
    }
}

#[test]
fn the_chart_renders_what_the_kustomize_base_renders() {
    compare("three", &[]);
}

#[test]
fn the_chart_renders_what_the_overlay_for_three_zones_renders() {
    compare(
        "three-zones",
        &["--set", "spread.zones=DoNotSchedule,spread.hosts=DoNotSchedule,spread.zonesMin=3"],
    );
}

#[test]
fn the_charts_settings_reach_the_file() {
    let objects = helm("bells", &["--set", "settings.shards=2,settings.log-level=debug"]);
    let map = by_name(objects).remove(&("ConfigMap".into(), "bells".into())).expect("named as the release");
    let text = map["data"]["carillon.toml"].as_str().expect("a text").to_owned();
    for line in ["shards = 2", "log-level = \"debug\"", "peers = [\"bells-peers:7379\"]"] {
        assert!(text.contains(line), "no {line} in {text}");
    }
}

#[test]
fn the_chart_makes_a_secret_and_uses_one_that_is_there() {
    let made = Manifests::read(&helm("carillon", &[]));
    assert!(made.files.values().flat_map(BTreeMap::keys).any(|key| key == "cluster-secret"));
    let given = helm("carillon", &["--set", "secret.existing=ours"]);
    assert!(given.iter().all(|object| object["kind"] != "Secret"));
    let text = serde_json::to_string(&given).expect("JSON");
    assert!(text.contains(r#""secretName":"ours""#), "{text}");
}

#[test]
fn the_chart_refuses_what_cannot_work() {
    for (args, says) in [
        ("replicas=0", "minimum"),
        ("replica=3", "additional properties 'replica' not allowed"),
        ("drainMs=30000", "terminationGracePeriodSeconds has to be at least"),
        ("replicas=2", "replicas is below expect"),
        ("secret.clusterSecret=short", "does not match pattern"),
    ] {
        let refused = helm_refuses(&["--set", args]).unwrap_or_else(|| panic!("{args} was taken"));
        assert!(refused.contains(says), "{args}: {refused}");
    }
}
