//! A small Kubernetes of our own, for what `deploy/` renders: it executes the manifests.
//!
//! Each pod is a process in namespaces of its own (network, host name, mounts, processes), from the image's file system,
//! as the user and with the rights that its manifest says. Services, network policies, names, probes, updates, evictions
//! and volumes do what they do in a real one. What is not executed is an error when the manifest is read, or says
//! [`NotExecuted`](manifest::NotExecuted).
//!
//! It needs root. All is in namespaces: nothing of the machine's own network changes, and two tests do not meet.

mod app;
mod controllers;
mod deployment;
mod dns;
mod dockerfile;
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
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
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
use controllers::{control, mount_files, secret};
use image::Image;
use manifest::{FileKind, Manifests};
use network::{NAME_SERVER, Network};
use world::World;

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
    images: Mutex<BTreeMap<String, Arc<Image>>>,
    folder: PathBuf,
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
            images: Mutex::default(),
            folder: folder.path().to_owned(),
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

    /// The pods of controllers, those on their way out included.
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

    /// Has the name server answer nobody, or everybody again.
    pub fn silence_names(&self, is_silent: bool) {
        self.shared.world().has_no_names = is_silent;
    }

    /// The folder of a claim: what is in it is what whichever pod comes next finds.
    pub fn claim(&self, claim: &str, pod: &str) -> PathBuf {
        self.shared.world().folder.join("claims").join(format!("{claim}-{pod}"))
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

    /// Waits until a `StatefulSet` or `Deployment` has exactly its replicas, all of its newest template and available.
    pub fn wait_for_rollout(&self, name: &str) {
        self.wait(&format!("{name} is rolled out"), || {
            let world = self.shared.world();
            let (sets, deployments) = (&world.manifests.stateful_sets, &world.manifests.deployments);
            let (replicas, states) = if let Some(set) = sets.get(name) {
                (set.replicas, world.states(name, &set.revision, set.min_ready_seconds))
            } else {
                let wanted = &deployments[name];
                (wanted.replicas, world.states(name, &wanted.revision, wanted.min_ready_seconds))
            };
            let is_done = states.len() == replicas
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

    /// The image of this name, put together when it is first asked for.
    fn image(&self, reference: &str) -> Arc<Image> {
        let mut images = self.images.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let made = images.entry(reference.to_owned());
        Arc::clone(made.or_insert_with(|| Arc::new(Image::named(reference, &self.folder))))
    }
}

fn host(name: &str, zone: &str) -> Host {
    Host { name: name.to_owned(), zone: zone.to_owned(), is_cordoned: false }
}
