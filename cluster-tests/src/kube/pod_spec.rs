//! What a manifest says of a pod, as far as it is executed: see [`manifest`](super::manifest).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::manifest::{NotExecuted, Selector};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct PodSpec {
    #[serde(default)]
    pub service_account_name: String,
    pub automount_service_account_token: bool,
    /// Only `false`: there are no variables for Services here.
    pub enable_service_links: bool,
    pub termination_grace_period_seconds: u64,
    pub security_context: PodSecurity,
    #[serde(default)]
    pub topology_spread_constraints: Vec<Spread>,
    pub containers: Vec<Container>,
    #[serde(default)]
    pub volumes: Vec<Volume>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct PodSecurity {
    pub run_as_non_root: bool,
    pub run_as_user: u32,
    pub run_as_group: u32,
    pub fs_group: Option<u32>,
    /// Volumes here are new whenever their root does not match.
    pub fs_group_change_policy: NotExecuted,
    /// The runtime's filter of system calls is not ours.
    pub seccomp_profile: NotExecuted,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Spread {
    pub max_skew: usize,
    pub topology_key: String,
    pub when_unsatisfiable: String,
    pub label_selector: Selector,
    pub min_domains: Option<usize>,
    /// `Honor`: hosts that take no pods do not count; else all do. Cordoned is the only taint here.
    pub node_taints_policy: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Container {
    pub name: String,
    pub image: String,
    /// Images here are on the machine.
    pub image_pull_policy: NotExecuted,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: Vec<Variable>,
    #[serde(default)]
    pub ports: Vec<ContainerPort>,
    pub startup_probe: Option<Probe>,
    pub liveness_probe: Option<Probe>,
    pub readiness_probe: Option<Probe>,
    pub lifecycle: Option<Lifecycle>,
    /// The machine is shared, and nothing here reserves or limits.
    pub resources: NotExecuted,
    pub security_context: ContainerSecurity,
    #[serde(default)]
    pub volume_mounts: Vec<Mount>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct ContainerSecurity {
    pub allow_privilege_escalation: bool,
    pub read_only_root_filesystem: bool,
    pub capabilities: Capabilities,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Capabilities {
    pub drop: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Variable {
    pub name: String,
    pub value: Option<String>,
    pub value_from: Option<ValueFrom>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct ValueFrom {
    pub field_ref: Option<FieldRef>,
    pub secret_key_ref: Option<KeyRef>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct FieldRef {
    pub field_path: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct KeyRef {
    pub name: String,
    pub key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct ContainerPort {
    pub name: String,
    pub container_port: u16,
    /// A port is what it is, whoever speaks to it.
    pub protocol: NotExecuted,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Probe {
    pub http_get: HttpGet,
    #[serde(default)]
    pub initial_delay_seconds: u64,
    pub period_seconds: u64,
    pub timeout_seconds: u64,
    pub failure_threshold: u32,
}

impl Probe {
    /// Time from one look to the next.
    pub fn period(&self) -> Duration {
        Duration::from_secs(self.period_seconds)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct HttpGet {
    pub path: String,
    pub port: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Lifecycle {
    pub pre_stop: PreStop,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct PreStop {
    pub sleep: Sleep,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Sleep {
    pub seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Mount {
    pub name: String,
    pub mount_path: String,
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct Volume {
    pub name: String,
    pub config_map: Option<ConfigMapVolume>,
    pub secret: Option<SecretVolume>,
    pub empty_dir: NotExecuted,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct ConfigMapVolume {
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct SecretVolume {
    pub secret_name: String,
    pub default_mode: Option<u32>,
    /// The keys that are mounted, each as a file of a path; all, as files of their own names, if there are none.
    #[serde(default)]
    pub items: Vec<KeyToPath>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are Kubernetes's own")]
pub struct KeyToPath {
    pub key: String,
    pub path: String,
}

impl PodSpec {
    /// Its one container.
    pub fn container(&self) -> &Container {
        let [container] = &self.containers[..] else { panic!("pods here have one container") };
        container
    }

    /// The number of a port that is given by its number or its name.
    pub fn port(&self, port: &Value) -> Option<u16> {
        match port {
            Value::Number(number) => number.as_u64().map(|number| number as u16),
            name => {
                let named = self.container().ports.iter().find(|port| *name == port.name.as_str());
                named.map(|port| port.container_port)
            }
        }
    }
}
