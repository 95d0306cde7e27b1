//! What makes of the manifests what there is: the controllers, the scheduler, and what tells every node of endpoints.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};

use super::{
    Shared, deployment, kubelet,
    manifest::{ClaimTemplate, FileKind, PodTemplate},
    pod::Pod,
    pod_spec, rules,
    sandbox::{Sandbox, mode},
    scheduler,
    stateful_set::{Step, steps},
    volume,
    world::{Lagging, World},
};

/// Between two turns of the controllers.
const TURN: Duration = Duration::from_millis(20);

/// What a change of endpoints takes until every node's packet filter knows of it.
const ENDPOINTS_LAG: Duration = Duration::from_millis(500);

/// The controllers, the scheduler and what tells every node of endpoints.
pub(super) fn control(shared: &Arc<Shared>) {
    let mut filter = Lagging::default();
    while !shared.is_over.load(SeqCst) {
        let rules = {
            let mut world = shared.world();
            let (gone, there) = world.pods.drain(..).partition(|pod| pod.status().ended_after.is_some());
            world.pods = there;
            world.gone.extend::<Vec<Arc<Pod>>>(gone);
            stateful_sets(shared, &mut world);
            deployments(shared, &mut world);
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

fn stateful_sets(shared: &Arc<Shared>, world: &mut World) {
    for (owner, set) in world.manifests.stateful_sets.clone() {
        for step in steps(&set, &world.states(&owner, &set.revision, set.min_ready_seconds)) {
            match step {
                Step::Create(ordinal) => {
                    let (template, claims) = (&set.template, &set.volume_claim_templates);
                    create(shared, world, &owner, ordinal, &set.revision, template, claims);
                }
                Step::Delete(ordinal) => delete(world, &owner, ordinal),
            }
        }
    }
}

fn deployments(shared: &Arc<Shared>, world: &mut World) {
    for (owner, wanted) in world.manifests.deployments.clone() {
        let pods = world.states(&owner, &wanted.revision, wanted.min_ready_seconds);
        let due = deployment::due(wanted.replicas, &pods);
        for _ in 0..due.create {
            // Its pods have names that no pod had before.
            world.count += 1;
            let number = world.count as usize;
            create(shared, world, &owner, number, &wanted.revision, &wanted.template, &[]);
        }
        due.delete.into_iter().for_each(|number| delete(world, &owner, number));
    }
}

fn delete(world: &World, owner: &str, number: usize) {
    let named = format!("{owner}-{number}");
    let pod = world.pods.iter().find(|pod| pod.name == named).expect("it was listed");
    pod.delete(pod.grace());
}

/// Makes a pod, if there is a place for it.
fn create(
    shared: &Arc<Shared>,
    world: &mut World,
    owner: &str,
    number: usize,
    revision: &str,
    template: &PodTemplate,
    claims: &[ClaimTemplate],
) {
    let (name, spec, labels) = (format!("{owner}-{number}"), &template.spec, &template.metadata.labels);
    let account = &spec.service_account_name;
    assert!(
        account.is_empty() || world.manifests.service_accounts.contains(account),
        "{account} is not there"
    );
    let placed: Vec<_> = world.pods.iter().map(|pod| (pod.host.clone(), pod.labels.clone())).collect();
    let Some(host) = scheduler::place(&spec.topology_spread_constraints, &world.hosts, &placed) else {
        return;
    };
    world.count += 1;
    let folder = world.folder.join(format!("{name}.{}", world.count));
    let volumes = folder.join("volumes");
    fs::create_dir_all(&volumes).expect("a folder");
    for claim in claims {
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
        revision: revision.to_owned(),
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
        let image = of_pod.image(&pod.spec.container().image);
        let sandbox = Sandbox::new(&pod, &of_pod.network, &image, secret);
        kubelet::run(&pod, &sandbox, of_pod.network.router.pid);
    });
    shared.pods.lock().expect("nobody panics with it").push(thread);
}

pub(super) fn secret(world: &World, name: &str, key: &str) -> String {
    let files = world.manifests.files.get(&(FileKind::Secret, name.to_owned()));
    let value = files.and_then(|files| files.get(key)).unwrap_or_else(|| panic!("no {key} in secret {name}"));
    String::from_utf8(value.clone()).expect("a variable is text")
}

/// Writes the config maps and secrets that a pod mounts: all, or those that have changed.
pub(super) fn mount_files(
    world: &mut World,
    volumes: &Path,
    spec: &pod_spec::PodSpec,
    changed: Option<&[(FileKind, String)]>,
) {
    for volume in &spec.volumes {
        let (key, mode, items) = match (&volume.config_map, &volume.secret) {
            (Some(map), None) => ((FileKind::ConfigMap, map.name.clone()), mode(None), &[][..]),
            (None, Some(secret)) => {
                ((FileKind::Secret, secret.secret_name.clone()), mode(secret.default_mode), &secret.items[..])
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
        let mut files =
            world.manifests.files.get(&key).unwrap_or_else(|| panic!("{key:?} is not there")).clone();
        if !items.is_empty() {
            let mut take = |item: &pod_spec::KeyToPath| {
                let file = files.remove(&item.key).unwrap_or_else(|| panic!("no {} in {key:?}", item.key));
                (item.path.clone(), file)
            };
            files = items.iter().map(&mut take).collect();
        }
        let group = spec.security_context.fs_group;
        volume::write_files(&volumes.join(&volume.name), &files, mode, group, world.count);
    }
}
