//! What `kubectl kustomize` and `helm template` render, as far as it is executed here.
//!
//! Unknown fields are errors: what a manifest says is executed, or its reader here says why not. A field that is
//! skipped has the type [`NotExecuted`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Labels, or what they have to be.
pub type Labels = BTreeMap<String, String>;

/// A field that has no meaning for processes on one machine.
pub type NotExecuted = Option<Value>;

/// Everything that was rendered.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// `StatefulSet`s by name.
    pub stateful_sets: BTreeMap<String, StatefulSet>,
    /// `Deployment`s by name.
    pub deployments: BTreeMap<String, Deployment>,
    /// Services by name.
    pub services: BTreeMap<String, ServiceSpec>,
    /// Files of config maps and secrets, by kind and name.
    pub files: BTreeMap<(FileKind, String), BTreeMap<String, Vec<u8>>>,
    /// Disruption budgets by name.
    pub budgets: BTreeMap<String, BudgetSpec>,
    /// Network policies by name.
    pub policies: BTreeMap<String, PolicySpec>,
    /// Names of service accounts.
    pub service_accounts: Vec<String>,
}

/// Where files come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A config map.
    ConfigMap,
    /// A secret.
    Secret,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Object<S> {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: Metadata,
    spec: S,
}

/// Names and labels.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The labels.
    pub labels: Labels,
    /// Notes for tools.
    pub annotations: Labels,
}

/// Chooses pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Selector {
    /// Labels that a pod has to have; none choose every pod.
    pub match_labels: Labels,
}

impl Selector {
    /// Whether it chooses a pod with these labels.
    pub fn takes(&self, labels: &Labels) -> bool {
        has_all(labels, &self.match_labels)
    }
}

/// Whether all that is wanted is there.
pub fn has_all(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A `StatefulSet`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct StatefulSet {
    pub replicas: usize,
    pub service_name: String,
    pub pod_management_policy: String,
    pub update_strategy: UpdateStrategy,
    #[serde(default)]
    pub min_ready_seconds: u64,
    pub revision_history_limit: NotExecuted,
    pub persistent_volume_claim_retention_policy: Option<RetentionPolicy>,
    pub selector: Selector,
    pub template: PodTemplate,
    #[serde(default)]
    pub volume_claim_templates: Vec<ClaimTemplate>,
    /// What tells one version of the template from another.
    #[serde(skip)]
    pub revision: String,
}

/// A `Deployment`, with the default strategy.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Deployment {
    pub replicas: usize,
    #[serde(default)]
    pub min_ready_seconds: u64,
    pub selector: Selector,
    pub template: PodTemplate,
    /// What tells one version of the template from another.
    #[serde(skip)]
    pub revision: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct UpdateStrategy {
    pub r#type: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct RetentionPolicy {
    pub when_scaled: String,
    /// Nothing here deletes a set.
    pub when_deleted: NotExecuted,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct ClaimTemplate {
    pub metadata: Metadata,
    /// Volumes are folders.
    pub spec: NotExecuted,
    #[serde(rename = "apiVersion")]
    pub api_version: NotExecuted,
    pub kind: NotExecuted,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct PodTemplate {
    pub metadata: Metadata,
    pub spec: super::pod_spec::PodSpec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct ServiceSpec {
    #[serde(default)]
    pub selector: Labels,
    pub ports: Vec<ServicePort>,
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    #[serde(default)]
    pub publish_not_ready_addresses: bool,
    /// Only the default, `ClusterIP`, is executed.
    pub r#type: Option<String>,
    /// `ClientIP`: who comes again gets to the same pod.
    pub session_affinity: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct ServicePort {
    pub name: String,
    pub port: u16,
    pub target_port: Option<Value>,
    #[serde(default = "tcp")]
    pub protocol: String,
    /// Tells meshes and gateways what is spoken.
    pub app_protocol: NotExecuted,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct BudgetSpec {
    pub max_unavailable: usize,
    pub selector: Selector,
    pub unhealthy_pod_eviction_policy: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct PolicySpec {
    pub pod_selector: Selector,
    pub policy_types: Vec<String>,
    #[serde(default)]
    pub ingress: Vec<PolicyRule>,
    #[serde(default)]
    pub egress: Vec<PolicyRule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct PolicyRule {
    pub from: Vec<PolicyPeer>,
    pub to: Vec<PolicyPeer>,
    pub ports: Vec<PolicyPort>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct PolicyPeer {
    pub pod_selector: Option<Selector>,
    /// By the label that Kubernetes gives each namespace, which is its name.
    pub namespace_selector: Option<Selector>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct PolicyPort {
    pub port: Value,
    #[serde(default = "tcp")]
    pub protocol: String,
}

fn tcp() -> String {
    "TCP".to_owned()
}

/// The objects of a rendered text, each as it stands there.
pub fn parse(yaml: &str) -> Vec<Value> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML as kubectl and helm write it");
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

impl Manifests {
    /// Reads what was rendered. Fails on whatever is not executed here.
    pub fn read(objects: &[Value]) -> Self {
        let mut manifests = Self::default();
        objects.iter().for_each(|object| manifests.add(object));
        manifests
    }

    fn add(&mut self, object: &Value) {
        let kind = object["kind"].as_str().expect("a kind");
        match kind {
            "StatefulSet" => {
                let (name, mut set) = spec_of::<StatefulSet>(object);
                set.revision = object["spec"]["template"].to_string();
                assert_eq!(set.pod_management_policy, "Parallel", "the only one that is executed");
                assert_eq!(set.update_strategy.r#type, "RollingUpdate", "the only one that is executed");
                self.stateful_sets.insert(name, set);
            }
            "Deployment" => {
                let (name, mut deployment) = spec_of::<Deployment>(object);
                deployment.revision = object["spec"]["template"].to_string();
                self.deployments.insert(name, deployment);
            }
            "Service" => drop(insert(&mut self.services, object)),
            "PodDisruptionBudget" => drop(insert(&mut self.budgets, object)),
            "NetworkPolicy" => drop(insert(&mut self.policies, object)),
            "ConfigMap" => self.add_files(FileKind::ConfigMap, object, |text| text.as_bytes().to_vec()),
            "Secret" => self.add_files(FileKind::Secret, object, decode_base64),
            "ServiceAccount" => {
                assert_eq!(object["automountServiceAccountToken"], false, "no token is mounted here");
                self.service_accounts.push(name_of(object));
            }
            other => panic!("objects of kind {other} are not executed"),
        }
    }

    fn add_files(&mut self, kind: FileKind, object: &Value, decode: impl Fn(&str) -> Vec<u8>) {
        let entries = object["data"].as_object().expect("data");
        let files = entries.iter().map(|(name, text)| (name.clone(), decode(text.as_str().expect("a text"))));
        self.files.insert((kind, name_of(object)), files.collect());
    }
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().expect("a name").to_owned()
}

fn spec_of<S: for<'a> Deserialize<'a>>(object: &Value) -> (String, S) {
    let read: Object<S> = serde_json::from_value(object.clone()).unwrap_or_else(|error| {
        panic!("{} {} says what is not executed: {error}", object["kind"], name_of(object))
    });
    (read.metadata.name, read.spec)
}

fn insert<S: for<'a> Deserialize<'a>>(map: &mut BTreeMap<String, S>, object: &Value) -> Option<S> {
    let (name, spec) = spec_of(object);
    map.insert(name, spec)
}

/// kustomize breaks long lines.
fn decode_base64(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).expect("base64")
}
