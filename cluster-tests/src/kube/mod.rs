//! A small Kubernetes of our own, for what `deploy/` renders: it executes the manifests.
//!
//! Each pod is a process in namespaces of its own (network, host name, mounts, processes), from the image's file system,
//! as the user and with the rights that its manifest says. Services, network policies, names, probes, updates, evictions
//! and volumes do what they do in a real one. What is not executed is an error when the manifest is read, or says
//! [`NotExecuted`](manifest::NotExecuted).
//!
//! It needs root. All is in namespaces: nothing of the machine's own network changes, and two tests do not meet.

mod app;
mod dns;
mod image;
mod kubelet;
pub mod manifest;
mod namespaces;
mod network;
mod pod;
pub mod pod_spec;
mod probe;
pub mod render;
mod rules;
mod sandbox;
mod scheduler;
mod stateful_set;
mod volume;
mod world;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

pub use app::App;
pub use pod::{Pod, PodStatus};
pub use scheduler::Host;

use crate::eventually;
use image::Image;
use manifest::{FileKind, Manifests, StatefulSet};
use network::{NAME_SERVER, Network};
use sandbox::{Sandbox, mode};
use stateful_set::{Step, steps};
use world::{Lagging, World};

/// Between two turns of the controllers.
const TURN: Duration = Duration::from_millis(20);

/// What a change of endpoints takes until every node's packet filter knows of it.
const ENDPOINTS_LAG: Duration = Duration::from_millis(500);

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The cluster; all that runs in it ends when it is dropped.
#[derive(Debug)]
pub struct Kube {
    shared: Arc<Shared>,
    controllers: Option<JoinHandle<()>>,
    _folder: TempDir,
}

#[derive(Debug)]
struct Shared {
    network: Network,
    image: Image,
    world: Mutex<World>,
    known: dns::Known,
    is_over: AtomicBool,
    /// Threads of pods, each of which ends when its pod has.
    pods: Mutex<Vec<JoinHandle<()>>>,
}

impl Kube {
    /// Starts one with three hosts in three zones. `None`, with a word on standard error, where that is not allowed.
    pub fn start() -> Option<Self> {
        let network = match Network::new() {
            Ok(network) => network,
            Err(error) => {
                eprintln!("NOT CHECKED: the cluster needs root and nft: {error}");
                return None;
            }
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Whoever runs in a pod is not root, and has to reach its volumes.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("its own folder");
        let image = Image::carillon(folder.path());
        let mut world = World::new(folder.path().to_owned());
        world.hosts =
            ["a", "b", "c"].map(|zone| host(&format!("host-{zone}"), &format!("zone-{zone}"))).into();
        let known = dns::Known::default();
        let (pid, of_server) = (network.router.pid, Arc::clone(&known));
        let name_server = std::thread::spawn(move || {
            namespaces::enter_network_of(pid);
            dns::serve(NAME_SERVER, &of_server);
        });
        name_server.join().expect("the name server starts");
        let shared = Arc::new(Shared {
            network,
            image,
            world: Mutex::new(world),
            known,
            is_over: AtomicBool::new(false),
            pods: Mutex::default(),
        });
        let of_controllers = Arc::clone(&shared);
        let controllers = std::thread::spawn(move || control(&of_controllers));
        Some(Self { shared, controllers: Some(controllers), _folder: folder })
    }

    /// Applies rendered objects, as `kubectl apply` does: files that pods mount are exchanged, a changed template is
    /// rolled out.
    pub fn apply(&self, objects: &[Value]) {
        let manifests = Manifests::read(objects);
        let mut world = self.shared.world();
        let is_changed =
            |key: &(FileKind, String)| world.manifests.files.get(key) != manifests.files.get(key);
        let changed: Vec<(FileKind, String)> =
            manifests.files.keys().filter(|key| is_changed(key)).cloned().collect();
        world.manifests = manifests;
        world.address_services();
        let pods = world.pods.clone();
        for pod in pods {
            mount_files(&mut world, &pod.volumes, &pod.spec, Some(&changed));
        }
    }

    /// Sets how many replicas a `StatefulSet` is to have.
    pub fn scale(&self, name: &str, replicas: usize) {
        self.shared.world().manifests.stateful_sets.get_mut(name).expect("there is one").replicas = replicas;
    }

    /// Changes a template's annotation, as `kubectl rollout restart` does.
    pub fn restart(&self, name: &str) {
        let mut world = self.shared.world();
        world.count += 1;
        let count = world.count;
        world.manifests.stateful_sets.get_mut(name).expect("there is one").revision =
            format!("restart {count}");
    }

    /// The pods of `StatefulSet`s, those on their way out included.
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        self.shared.world().pods.clone()
    }

    /// Pods that have been and are gone.
    pub fn gone(&self) -> Vec<Arc<Pod>> {
        self.shared.world().gone.clone()
    }

    /// The pod of this name that is not on its way out.
    pub fn pod(&self, name: &str) -> Option<Arc<Pod>> {
        self.pods().into_iter().find(|pod| pod.name == name && !pod.status().is_terminating())
    }

    /// Deletes a pod, with the grace period that is given.
    pub fn delete(&self, name: &str, grace: Duration) {
        self.pod(name).expect("it is there").delete(grace);
    }

    /// Asks a pod to go, as far as the disruption budgets allow.
    pub fn evict(&self, name: &str) -> Result<(), String> {
        self.shared.world().evict(name)
    }

    /// Drains a host: nothing new is placed there, and what is there goes as budgets allow. Waits until it has.
    pub fn drain(&self, host: &str) {
        self.cordon(host, true);
        self.wait(&format!("{host} is drained"), || {
            let pods: Vec<Arc<Pod>> = self.pods().into_iter().filter(|pod| pod.host == host).collect();
            let waiting = pods.iter().filter(|pod| !pod.status().is_terminating());
            waiting.for_each(|pod| drop(self.evict(&pod.name)));
            pods.is_empty().then_some(())
        });
    }

    /// Has a host take new pods, or not.
    pub fn cordon(&self, name: &str, is_cordoned: bool) {
        let mut world = self.shared.world();
        let host = world.hosts.iter_mut().find(|host| host.name == name);
        host.expect("there is such a host").is_cordoned = is_cordoned;
    }

    /// The same with all hosts: whoever goes now has no successor until that is over.
    pub fn cordon_all(&self, is_cordoned: bool) {
        self.shared.world().hosts.iter_mut().for_each(|host| host.is_cordoned = is_cordoned);
    }

    /// The folder of a claim, to lose it: what is in it is gone for whichever pod comes next.
    pub fn wipe_claim(&self, claim: &str, pod: &str) {
        let folder = self.shared.world().folder.join("claims").join(format!("{claim}-{pod}"));
        fs::remove_dir_all(folder).expect("it is there");
    }

    /// Where a Service is reached by those in the cluster.
    pub fn service(&self, name: &str, port: u16) -> SocketAddr {
        SocketAddr::from((*self.shared.world().service_addrs.get(name).expect("it has an address"), port))
    }

    /// Runs a command in a pod, as `kubectl exec` does: what it printed, or what it complained of.
    pub fn exec(&self, pod: &Pod, command: &[&str]) -> Result<String, String> {
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        let mut command = sandbox::exec(pod, &command).ok_or("it does not run")?;
        let secret = |name: &str, key: &str| secret(&self.shared.world(), name, key);
        command.env_clear().envs(sandbox::environment(pod, secret));
        let output = command.output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Waits for anything; panics with all pods' states and logs when it does not come.
    pub fn wait<T>(&self, what: &str, found: impl FnMut() -> Option<T>) -> T {
        eventually(PATIENCE, found)
            .unwrap_or_else(|| panic!("after {PATIENCE:?} it is not so that {what}\n{}", self.report()))
    }

    /// Waits until a `StatefulSet` has exactly its replicas, all of its newest template and available.
    pub fn wait_for_rollout(&self, name: &str) {
        self.wait(&format!("{name} is rolled out"), || {
            let world = self.shared.world();
            let set = &world.manifests.stateful_sets[name];
            let states = world.states(name, set);
            let is_done = states.len() == set.replicas
                && states.iter().all(|pod| pod.is_current && pod.is_available && !pod.is_terminating);
            is_done.then_some(())
        });
    }

    /// All pods, how they are, and the ends of their logs.
    pub fn report(&self) -> String {
        let line = |pod: &Arc<Pod>| {
            let log = pod.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(25)..].join("\n  ");
            format!("{} {} on {}: {:?}\n  {last}", pod.name, pod.ip, pod.host, pod.status())
        };
        self.pods().iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.report());
        }
        self.shared.is_over.store(true, SeqCst);
        if let Some(controllers) = self.controllers.take() {
            let _ = controllers.join();
        }
        for pod in self.pods() {
            pod.delete(Duration::ZERO);
        }
        let pods =
            std::mem::take(&mut *self.shared.pods.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for pod in pods {
            let _ = pod.join();
        }
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn host(name: &str, zone: &str) -> Host {
    Host { name: name.to_owned(), zone: zone.to_owned(), is_cordoned: false }
}

/// The controllers, the scheduler and what tells every node of endpoints.
fn control(shared: &Arc<Shared>) {
    let mut filter = Lagging::default();
    while !shared.is_over.load(SeqCst) {
        let rules = {
            let mut world = shared.world();
            let (gone, there) = world.pods.drain(..).partition(|pod| pod.status().ended_after.is_some());
            world.pods = there;
            world.gone.extend::<Vec<Arc<Pod>>>(gone);
            let sets: Vec<(String, StatefulSet)> =
                world.manifests.stateful_sets.iter().map(|(name, set)| (name.clone(), set.clone())).collect();
            for (name, set) in &sets {
                for step in steps(set, &world.states(name, set)) {
                    match step {
                        Step::Create(ordinal) => create(shared, &mut world, name, set, ordinal),
                        Step::Delete(ordinal) => {
                            let named = format!("{name}-{ordinal}");
                            let pod = world.pods.iter().find(|pod| pod.name == named).expect("it was listed");
                            pod.delete(pod.grace());
                        }
                    }
                }
            }
            *shared.known.lock().expect("nobody panics with it") = world.records();
            let endpoints = world.endpoints();
            rules::rule_set(&world.manifests, |name| world.service_addrs.get(name).copied(), &endpoints)
        };
        if let Some(rules) = filter.next(rules, ENDPOINTS_LAG) {
            shared.network.filter(&rules);
        }
        std::thread::sleep(TURN);
    }
}

/// Makes a pod of a `StatefulSet`, if there is a place for it.
fn create(shared: &Arc<Shared>, world: &mut World, owner: &str, set: &StatefulSet, ordinal: usize) {
    let (name, spec, labels) =
        (format!("{owner}-{ordinal}"), &set.template.spec, &set.template.metadata.labels);
    assert!(world.manifests.service_accounts.contains(&spec.service_account_name), "its account is there");
    let placed: Vec<_> = world.pods.iter().map(|pod| (pod.host.clone(), pod.labels.clone())).collect();
    let Some(host) = scheduler::place(&spec.topology_spread_constraints, &world.hosts, &placed) else {
        return;
    };
    world.count += 1;
    let folder = world.folder.join(format!("{name}.{}", world.count));
    let volumes = folder.join("volumes");
    fs::create_dir_all(&volumes).expect("a folder");
    for claim in &set.volume_claim_templates {
        let kept = world.folder.join("claims").join(format!("{}-{name}", claim.metadata.name));
        volume::claim(&kept, spec.security_context.fs_group);
        std::os::unix::fs::symlink(kept, volumes.join(&claim.metadata.name)).expect("a link");
    }
    mount_files(world, &volumes, spec, None);
    let pod = Arc::new(Pod {
        ip: world.new_ip(),
        host,
        owner: owner.to_owned(),
        labels: labels.clone(),
        spec: spec.clone(),
        revision: set.revision.clone(),
        log: world.folder.join(format!("{name}.log")),
        root: folder.join("root"),
        volumes,
        status: Mutex::default(),
        name,
    });
    world.pods.push(Arc::clone(&pod));
    let of_pod = Arc::clone(shared);
    let thread = std::thread::spawn(move || {
        let secret = |name: &str, key: &str| secret(&of_pod.world(), name, key);
        let sandbox = Sandbox::new(&pod, &of_pod.network, &of_pod.image, secret);
        kubelet::run(&pod, &sandbox, of_pod.network.router.pid);
    });
    shared.pods.lock().expect("nobody panics with it").push(thread);
}

fn secret(world: &World, name: &str, key: &str) -> String {
    let files = world.manifests.files.get(&(FileKind::Secret, name.to_owned()));
    let value = files.and_then(|files| files.get(key)).unwrap_or_else(|| panic!("no {key} in secret {name}"));
    String::from_utf8(value.clone()).expect("a variable is text")
}

/// Writes the config maps and secrets that a pod mounts: all, or those that have changed.
fn mount_files(
    world: &mut World,
    volumes: &Path,
    spec: &pod_spec::PodSpec,
    changed: Option<&[(FileKind, String)]>,
) {
    for volume in &spec.volumes {
        let (key, mode) = match (&volume.config_map, &volume.secret) {
            (Some(map), None) => ((FileKind::ConfigMap, map.name.clone()), mode(None)),
            (None, Some(secret)) => {
                ((FileKind::Secret, secret.secret_name.clone()), mode(secret.default_mode))
            }
            _ => {
                volume::claim(&volumes.join(&volume.name), spec.security_context.fs_group);
                continue;
            }
        };
        if changed.is_some_and(|changed| !changed.contains(&key)) {
            continue;
        }
        world.count += 1;
        let files = world.manifests.files.get(&key).unwrap_or_else(|| panic!("{key:?} is not there"));
        let group = spec.security_context.fs_group;
        volume::write_files(&volumes.join(&volume.name), files, mode, group, world.count);
    }
}
