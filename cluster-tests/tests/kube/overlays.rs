//! The overlays that other projects' operators have a part in. The tests play that part.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use carillon_cluster_tests::{command, http, kube::App};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::{Value, json};

use crate::stage::{NAME, NODE_LABELS, PORT, Stage};

/// The operators' port.
const ADMIN_PORT: u16 = 9379;

/// How long a client waits for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Takes the objects of a kind out.
fn take(objects: &mut Vec<Value>, kind: &str) -> Vec<Value> {
    let (taken, kept) = objects.drain(..).partition(|object| object["kind"] == kind);
    *objects = kept;
    taken
}

/// cert-manager with an issuer of its own.
pub(crate) struct Certifier {
    issuer: Issuer<'static, KeyPair>,
    ca: String,
    root: CertificateDer<'static>,
    request: Value,
}

impl Certifier {
    /// `request` is the Certificate.
    fn new(request: Value) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose issuer has the same name for one that has signed itself.
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let own = params.self_signed(&key).expect("a certificate");
        Self { ca: own.pem(), root: own.der().clone(), issuer: Issuer::new(params, key), request }
    }

    /// The Secret that it makes of the Certificate, and the certificate in it: a new one each time.
    fn issue(&self) -> (Value, Vec<u8>) {
        let names = self.request["spec"]["dnsNames"].as_array().expect("names").iter();
        let names: Vec<String> = names.map(|name| name.as_str().expect("a name").to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("parameters");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": self.request["spec"]["secretName"]},
            "data": {
                "tls.crt": STANDARD.encode(certificate.pem()),
                "tls.key": STANDARD.encode(key.serialize_pem()),
                "ca.crt": STANDARD.encode(&self.ca),
            },
        });
        (secret, certificate.der().to_vec())
    }
}

/// The overlay `tls`, with a certificate by the certifier: the one that it has issued first.
pub(crate) fn tls_stage() -> Option<(Stage, Certifier, Vec<u8>)> {
    let mut made = None;
    let stage = Stage::apply_changed("tls", |objects| {
        let request = take(objects, "Certificate").pop().expect("a Certificate");
        let certifier = Certifier::new(request);
        let (secret, certificate) = certifier.issue();
        objects.push(secret);
        made = Some((certifier, certificate));
    })?;
    let (certifier, first) = made.expect("was made");
    Some((stage, certifier, first))
}

/// A client that speaks TLS, from an application's pod.
struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    fn connect(app: &App, addr: SocketAddr, root: &CertificateDer<'static>, name: &'static str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = app.run(|| TcpStream::connect_timeout(&addr, ANSWER_TIME_MAX).expect("it accepts"));
        socket.set_read_timeout(Some(ANSWER_TIME_MAX)).expect("a time limit");
        let name = ServerName::try_from(name).expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("settings");
        Self(StreamOwned::new(session, socket))
    }

    fn expect(&mut self, request: &[&str], answer: &str) {
        self.0.write_all(&command(request)).expect("is sent");
        self.receive(answer);
    }

    fn receive(&mut self, wanted: &str) {
        let mut told = vec![0; wanted.len()];
        self.0.read_exact(&mut told).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&told), wanted);
    }

    /// The certificate that the node has shown.
    fn certificate(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().expect("after the handshake")[0].to_vec()
    }
}

#[test]
fn clients_speak_tls_and_a_renewed_certificate_needs_no_restart() {
    let Some((mut stage, certifier, first)) = tls_stage() else { return };
    stage.kube.wait_for_rollout(NAME);
    let (service, password) = (stage.kube.service(NAME, PORT), stage.password());
    let connect = |stage: &Stage, name| {
        let mut client = Client::connect(&stage.app, service, &certifier.root, name);
        client.expect(&["auth", &password], "+OK\r\n");
        client
    };
    let mut subscriber = connect(&stage, "carillon");
    assert_eq!(subscriber.certificate(), first);
    subscriber.expect(&["subscribe", "c"], "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    let mut publisher = connect(&stage, "carillon.default.svc");
    publisher.expect(&["publish", "c", "1"], ":1\r\n");
    subscriber.receive("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n");

    let (secret, renewed) = certifier.issue();
    take(&mut stage.objects, "Secret").into_iter().for_each(|old| {
        let is_renewed = old["metadata"]["name"] == secret["metadata"]["name"];
        stage.objects.push(if is_renewed { secret.clone() } else { old });
    });
    stage.kube.apply(&stage.objects);
    // The Service chooses a node for each of them: all have the new one.
    let addrs: Vec<SocketAddr> =
        stage.kube.pods().iter().map(|pod| SocketAddr::from((pod.ip, PORT))).collect();
    for addr in addrs {
        stage.kube.wait("a node shows the new certificate", || {
            let mut client = Client::connect(&stage.app, addr, &certifier.root, "carillon");
            client.expect(&["auth", &password], "+OK\r\n");
            (client.certificate() == renewed).then_some(())
        });
    }
    publisher.expect(&["publish", "c", "2"], ":1\r\n");
    subscriber.receive("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n2\r\n");
    stage.finish(0);
}

/// Prometheus, as its operator would set it up; killed when dropped.
struct Prometheus {
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Follows a `ServiceMonitor` and a `PrometheusRule`, in a pod of its own.
    fn start(stage: &Stage, app: &App, monitor: &Value, rule: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("writes");
        let [endpoint] = &monitor["spec"]["endpoints"].as_array().expect("endpoints")[..] else {
            panic!("one endpoint is followed here")
        };
        // The Services that it selects, those of their ports that it names, and all pods behind them.
        let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels");
        let services = stage.objects.iter().filter(|object| object["kind"] == "Service");
        let mut targets = Vec::new();
        for service in services {
            let labels = &service["metadata"]["labels"];
            let ports = service["spec"]["ports"].as_array().expect("ports");
            if wanted.iter().any(|(name, value)| labels[name] != *value) {
                continue;
            }
            let job = monitor["spec"]["jobLabel"].as_str().expect("a label");
            for port in ports.iter().filter(|port| port["name"] == endpoint["port"]) {
                targets.extend(stage.kube.pods().iter().map(|pod| {
                    json!({
                        "targets": [format!("{}:{}", pod.ip, port["port"])],
                        "labels": {"job": labels[job], "namespace": "default", "pod": pod.name},
                    })
                }));
            }
        }
        assert_eq!(targets.len(), 3, "{targets:?}");
        let credentials = &endpoint["authorization"]["credentials"];
        let secret = stage
            .objects
            .iter()
            .find(|object| object["kind"] == "Secret" && object["metadata"]["name"] == credentials["name"]);
        let token = secret.expect("the secret")["data"][credentials["key"].as_str().expect("a key")].clone();
        let token: String = token.as_str().expect("a text").split_whitespace().collect();
        write("token", String::from_utf8(STANDARD.decode(token).expect("base64")).expect("text"));
        write("rules.json", rule["spec"].to_string());
        let config = json!({
            // Its own period is 15 seconds.
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.json"],
            "scrape_configs": [{
                "job_name": "operator",
                "authorization": {"credentials_file": "token"},
                "static_configs": targets,
            }],
        });
        write("prometheus.json", config.to_string());
        let mut command = app.command();
        let process = command
            .args(["env", "-C"])
            .arg(folder.path())
            .args(["prometheus", "--config.file=prometheus.json", "--storage.tsdb.path=data"])
            .args(["--web.listen-address=0.0.0.0:9090", "--log.level=error"])
            .stdout(Stdio::null())
            .spawn();
        Self { process: process.expect("nsenter runs"), _folder: folder }
    }
}

/// Asks Prometheus.
fn ask(app: &App, path: &str) -> Option<Value> {
    let (_, body) = app.run(|| http::get(SocketAddr::from(([127, 0, 0, 1], 9090)), path))?;
    serde_json::from_str::<Value>(&body).ok().filter(|answer| answer["status"] == "success")
}

#[test]
fn prometheus_scrapes_all_nodes_by_the_monitoring_overlay_and_its_alerts_work() {
    if std::process::Command::new("prometheus").arg("--version").output().is_err() {
        eprintln!("NOT CHECKED: there is no prometheus here");
        return;
    }
    let (mut monitor, mut rule) = (Value::Null, Value::Null);
    let prepared = Stage::apply_changed("monitoring", |objects| {
        monitor = take(objects, "ServiceMonitor").pop().expect("a ServiceMonitor");
        rule = take(objects, "PrometheusRule").pop().expect("a PrometheusRule");
    });
    let Some(stage) = prepared else { return };
    stage.kube.wait_for_rollout(NAME);
    let watcher = stage.kube.app_in("monitoring", "prometheus", &[]);
    let node = stage.pod(0).ip;
    assert!(!stage.app.reaches((node, ADMIN_PORT)), "operators' business is not the applications'");
    stage.kube.wait("the policy lets Prometheus in", || watcher.reaches((node, ADMIN_PORT)).then_some(()));
    assert!(!watcher.reaches((node, PORT)), "and only there");
    let stranger = stage.kube.app_in("elsewhere", "prometheus", &NODE_LABELS);
    assert!(!stranger.reaches((node, ADMIN_PORT)), "labels are worth nothing in another namespace");

    let _prometheus = Prometheus::start(&stage, &watcher, &monitor, &rule);
    let count = |query: &str| {
        let answer = ask(&watcher, &format!("/api/v1/query?query={query}"))?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse::<u64>().ok()
    };
    stage.kube.wait("all three are scraped and in the view", || {
        (count("sum(up%7Bjob%3D%22carillon%22%7D)")? == 3 && count("sum(carillon_in_view)")? == 3)
            .then_some(())
    });
    let rules = ask(&watcher, "/api/v1/rules").expect("answers");
    let rules = rules["data"]["groups"][0]["rules"].as_array().expect("rules").clone();
    assert_eq!(rules.len(), rule["spec"]["groups"][0]["rules"].as_array().expect("rules").len());

    // A pod that is not there any more is missed by the alert of that name, for as long as that alert waits.
    stage.kube.cordon_all(true);
    stage.kube.delete("carillon-2", Duration::ZERO);
    let alert = |name: &str| {
        let alerts = ask(&watcher, "/api/v1/alerts")?;
        let alerts = alerts["data"]["alerts"].as_array()?.clone();
        alerts.into_iter().find(|alert| alert["labels"]["alertname"] == name)
    };
    let down = stage.kube.wait("an alert is pending", || alert("CarillonNodeDown"));
    assert_eq!(down["labels"]["pod"], "carillon-2");
    stage.kube.wait("so is the one that nobody more may be lost", || alert("CarillonNoSpareNode"));
    assert!(alert("CarillonNoMajority").is_none());
}
