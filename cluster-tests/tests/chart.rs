//! The Helm chart renders the same objects as the kustomize base.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use carillon_cluster_tests::kube::{
    manifest::Manifests,
    render::{Kustomize, helm, helm_refused, helm_refuses},
};
use serde_json::{Value, json};

/// What the overlay three-zones changes.
const ZONES: &str = "spread.zones=DoNotSchedule,spread.hosts=DoNotSchedule,spread.zonesMin=3";

type Objects = BTreeMap<(String, String), Value>;

/// Objects by kind and name, with what may be written in two ways brought to one.
fn by_name(objects: Vec<Value>) -> Objects {
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

/// A file of `deploy/`.
fn deployed(name: &str) -> String {
    let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/{}"), name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
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

/// Compares what kustomize and the chart render, with the same secrets.
fn compare(render: impl FnOnce(&Kustomize) -> Vec<Value>, args: &[&str]) {
    let kustomize = Kustomize::default();
    let given = secrets(&kustomize);
    let args = [&["--set", &given], args].concat();
    let (ours, charts) = (by_name(render(&kustomize)), by_name(helm("carillon", &args)));
    assert_eq!(ours.keys().collect::<Vec<_>>(), charts.keys().collect::<Vec<_>>());
    for (name, object) in &ours {
        let show = |object: &Value| serde_json::to_string_pretty(object).expect("JSON");
        assert_eq!(show(object), show(&charts[name]), "{name:?} of kustomize, and of the chart");
    }
}

#[test]
fn the_chart_renders_what_the_kustomize_base_renders() {
    compare(|kustomize| kustomize.overlay("three"), &[]);
}

#[test]
fn the_chart_renders_what_the_overlay_for_three_zones_renders() {
    compare(|kustomize| kustomize.overlay("three-zones"), &["--set", ZONES]);
}

#[test]
fn the_chart_renders_what_all_components_together_render() {
    let tls = "tls.secret=carillon-tls,tls.issuer.name=carillon";
    let args = ["--set", ZONES, "--set", tls, "--set", "monitoring.enabled=true"];
    let components = ["tls", "monitoring", "three-zones"]
        .map(|name| format!("../carillon/deploy/kustomize/components/{name}"));
    let own = json!({"resources": ["../carillon/deploy/kustomize/overlays/three"], "components": components})
        .to_string();
    compare(|kustomize| kustomize.own(&own), &args);
}

#[test]
fn the_overlays_that_the_readme_shows_are_rendered() {
    let readme = deployed("README.md");
    let blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let overlays: Vec<&str> = blocks.filter(|block| block.starts_with("resources:")).collect();
    let kustomize = Kustomize::default();
    let rendered = overlays.iter().map(|text| by_name(kustomize.own(text)));
    let [named, combined, chat] = &rendered.collect::<Vec<_>>()[..] else { panic!("three: {overlays:?}") };
    let find = |objects: &Objects, kind: &str| objects[&(kind.to_owned(), "carillon".to_owned())].clone();
    let set = find(named, "StatefulSet");
    assert_eq!(set["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/carillon:0.1.0");
    assert_eq!(set["metadata"]["namespace"], "app");
    assert_eq!(find(combined, "StatefulSet")["spec"]["replicas"], 5);
    assert_eq!(find(combined, "Certificate")["spec"]["issuerRef"]["name"], "internal");
    assert_eq!(find(combined, "ServiceMonitor")["metadata"]["labels"]["release"], "prometheus");
    let clients = find(combined, "NetworkPolicy")["spec"]["ingress"][0]["from"].clone();
    assert_eq!(clients.as_array().map(Vec::len), Some(2), "{clients}");
    let chat = serde_json::to_string(&chat[&("Deployment".to_owned(), "chat".to_owned())]).expect("JSON");
    for part in ["registry.example/carillon-chat:0.1.0", "REDIS_TLS_CA_FILE"] {
        assert!(chat.contains(part), "no {part} in {chat}");
    }
}

#[test]
fn the_charts_files_for_monitoring_are_those_of_the_component() {
    for name in ["prometheusrule.yaml", "dashboard.json"] {
        let read = |folder: &str| deployed(&format!("{folder}/{name}"));
        let is_same = read("helm/carillon/monitoring") == read("kustomize/components/monitoring");
        assert!(is_same, "{name}: copy that of deploy/kustomize/components/monitoring into the chart");
    }
}

#[test]
fn alerts_of_the_chart_link_to_where_the_runbooks_can_be_read() {
    let address = "https://git.example/carillon/blob/main";
    let objects = helm(
        "bells",
        &["--set", "monitoring.enabled=true", "--set", &format!("monitoring.runbooks={address}/")],
    );
    let mut objects = by_name(objects);
    let rule = objects.remove(&("PrometheusRule".into(), "bells".into())).expect("rules");
    let rules = rule["spec"]["groups"][0]["rules"].as_array().expect("rules");
    let readme = deployed("README.md");
    let titles = readme.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let anchors: Vec<String> = titles.map(|title| title.to_lowercase().replace(' ', "-")).collect();
    assert!(rules.len() > 10, "{rules:?}");
    for rule in rules {
        let url = rule["annotations"]["runbook_url"].as_str().expect("a link");
        let anchor = url.strip_prefix(&format!("{address}/deploy/README.md#"));
        let anchor = anchor.unwrap_or_else(|| panic!("{url} is elsewhere"));
        assert!(anchors.iter().any(|one| one == anchor), "{url}: there is no such paragraph");
    }
    assert!(rule.to_string().contains("data-bells-.*"), "claims are called after the release");
}

#[test]
fn the_chart_takes_all_settings_but_those_that_it_says_itself() {
    let schema: Value = serde_json::from_str(&deployed("helm/carillon/values.schema.json")).expect("JSON");
    let taken = schema["properties"]["settings"]["properties"].as_object().expect("settings");
    let sample = deployed("carillon.toml");
    let lines = sample.lines().filter_map(|line| line.strip_prefix('#')?.split_once(" = "));
    let all = lines.map(|(name, _)| name).filter(|name| !name.starts_with(' '));
    let objects = by_name(helm("carillon", &["--set", "tls.secret=tls"]));
    let find = |kind: &str| &objects[&(kind.to_owned(), "carillon".to_owned())];
    let file = find("ConfigMap")["data"]["carillon.toml"].as_str().expect("a text");
    let lines = file.lines().map(|line| line.split(' ').next().expect("a name").to_owned());
    let container = &find("StatefulSet")["spec"]["template"]["spec"]["containers"][0];
    let variables = container["env"].as_array().expect("variables").iter().map(|variable| {
        let name = variable["name"].as_str().expect("a name");
        name.strip_prefix("CARILLON_").expect("a setting").to_lowercase().replace('_', "-")
    });
    let said: BTreeSet<String> = lines.chain(variables).collect();
    // These do not go with the cluster's secret.
    let unused = ["peer-ca-file", "peer-cert-file", "peer-cert-name", "peer-key-file"];
    let mut count = 0;
    for name in all {
        let is_said = said.contains(name) && name != "log-format";
        let is_left_out = is_said || unused.contains(&name);
        assert_eq!(taken.contains_key(name), !is_left_out, "{name}");
        count += 1;
    }
    assert!(taken.len() > 30 && count > taken.len(), "{count}");
}

#[test]
fn the_charts_settings_reach_the_file() {
    let objects = helm("bells", &["--set", "settings.shards=2,settings.log-format=text"]);
    let map = by_name(objects).remove(&("ConfigMap".into(), "bells".into())).expect("named as the release");
    let text = map["data"]["carillon.toml"].as_str().expect("a text").to_owned();
    for line in ["shards = 2", "log-format = \"text\"", "peers = [\"bells-peers:7379\"]"] {
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

/// What was installed with five and is scaled down does not wait for five any more.
#[test]
fn the_chart_takes_a_scale_down_below_what_a_new_cluster_waits_for() {
    let scaled = ["--set", "replicas=3,expect=5"];
    assert!(helm_refuses(&scaled).is_some());
    let upgraded = by_name(helm("carillon", &[&scaled[..], &["--is-upgrade"]].concat()));
    assert_eq!(upgraded[&("StatefulSet".to_owned(), "carillon".to_owned())]["spec"]["replicas"], 3);
}

#[test]
fn the_charts_names_are_such_as_services_may_have() {
    assert!(by_name(helm("my.bells", &[])).contains_key(&("Service".into(), "my-bells".into())));
    let refused = helm_refused("1bell", &[]).expect("a Service's name begins with a letter");
    assert!(refused.contains("has to begin with a letter"), "{refused}");
}

#[test]
fn the_charts_dashboards_and_listeners_are_told_apart() {
    let set = "monitoring.enabled=true,listen=[::],podSecurityContext.runAsUser=null";
    let objects = by_name(helm("bells", &["--set", set]));
    let text = serde_json::to_string(&objects[&("ConfigMap".to_owned(), "bells-dashboard".to_owned())]);
    assert!(text.expect("JSON").contains(r#"\"uid\": \"bells\""#));
    let file = &objects[&("ConfigMap".to_owned(), "bells".to_owned())]["data"]["carillon.toml"];
    assert!(file.as_str().expect("a text").contains("client-addr = \"[::]:6379\""), "{file}");
    let pod = &objects[&("StatefulSet".to_owned(), "bells".to_owned())]["spec"]["template"]["spec"];
    assert!(pod["securityContext"].get("runAsUser").is_none(), "{pod}");
}

#[test]
fn the_chart_refuses_what_cannot_work() {
    for (args, says) in [
        ("replicas=0", "minimum"),
        ("replica=3", "additional properties 'replica' not allowed"),
        ("drainMs=30000", "terminationGracePeriodSeconds has to be at least"),
        ("replicas=2", "replicas is below expect"),
        ("secret.clusterSecret=short", "does not match pattern"),
        ("settings.shard=2", "additional properties 'shard' not allowed"),
        ("settings.drain-ms=2", "additional properties 'drain-ms' not allowed"),
        ("settings.shards=100", "64"),
        ("settings.outbox-bytes-max=much", "does not match pattern"),
        ("settings.log-format=xml", "value must be one of"),
        ("settings.outbox-bytes-max=5XB", "does not match pattern"),
        ("tls.issuer.name=ours", "tls.secret has to say where"),
        ("tls.secret=Foo_Bar", "does not match pattern"),
        ("secret.existing=ours,secret.password=new", "secret.existing is used as it is"),
        ("spread.zonesMin=3", "only with spread.zones"),
        ("image.repository=registry.example/carillon:0.1.0", "image.repository has a tag"),
        ("networkPolicy.clients=null", "missing property 'clients'"),
        ("resources.limts.memory=1Gi", "additional properties 'limts' not allowed"),
        ("resources.limits.memory=1gb", "does not match pattern"),
        ("podAnnotations.a=1", "got number, want string"),
        ("extraVolumes[0].name=data", "not"),
    ] {
        let refused = helm_refuses(&["--set", args]).unwrap_or_else(|| panic!("{args} was taken"));
        assert!(refused.contains(says), "{args}: {refused}");
    }
}
