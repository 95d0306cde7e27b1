//! What a pod runs in: its network, host name, root file system and mounts, and how its container is started there.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, OpenOptions},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    dns::DOMAIN,
    image::Image,
    namespaces::{Namespaces, child_of},
    network::{NAME_SERVER, Network},
    pod::Pod,
    pod_spec::Container,
    volume::MODE_DEFAULT,
};
use crate::eventually;

/// Files of devices that a runtime gives every container.
const DEVICES: [&str; 3] = ["null", "urandom", "zero"];

/// How long starting may take on a busy machine.
const START_TIME_MAX: Duration = Duration::from_secs(20);

/// Where programs are, in an image that says nothing else.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A pod's sandbox.
#[derive(Debug)]
pub(super) struct Sandbox {
    namespaces: Namespaces,
    command: Vec<String>,
    variables: BTreeMap<String, String>,
    work_folder: String,
}

/// A container: its outermost process, and its own first one.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Child,
    pub(super) pid: u32,
}

impl Sandbox {
    /// Makes it, and connects it.
    pub(super) fn new(
        pod: &Pod,
        network: &Network,
        image: &Image,
        secrets: impl Fn(&str, &str) -> String,
    ) -> Self {
        let (container, security) = (pod.spec.container(), &pod.spec.security_context);
        assert!(security.run_as_non_root && security.run_as_user != 0, "pods must not be root");
        assert!(!pod.spec.automount_service_account_token && !pod.spec.enable_service_links);
        assert!(!container.security_context.allow_privilege_escalation);
        assert_eq!(container.security_context.capabilities.drop, ["ALL"], "no capability is given");
        image.unpack(&pod.root);
        let script = mounts(pod, container);
        let namespaces = Namespaces::new(&script).unwrap_or_else(|error| panic!("{}: {error}", pod.name));
        network.connect(&namespaces, pod.ip);
        let command = image.command(&container.command, &container.args);
        let of_image = &image.configuration;
        let mut variables = of_image.variables.clone();
        variables.extend(environment(pod, secrets));
        Self { namespaces, command, variables, work_folder: of_image.work_folder.clone() }
    }

    /// Starts the container.
    pub(super) fn start(&self, pod: &Pod) -> Running {
        let log = OpenOptions::new().create(true).append(true).open(&pod.log).expect("a log file");
        let mut command = self.namespaces.command();
        command.args(["unshare", "--pid", "--fork", "--kill-child"]);
        command.arg(format!("--mount-proc={}", pod.root.join("proc").display()));
        as_user(&mut command, pod, &self.work_folder, &self.command);
        command.env_clear().envs(&self.variables);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        let process = command.spawn().expect("nsenter runs");
        // nsenter starts unshare, and that the container.
        let started = Instant::now();
        let pid = eventually(START_TIME_MAX, || child_of(child_of(process.id())?));
        let pid = pid.unwrap_or_else(|| {
            panic!("{} has not started within {:?}: {}", pod.name, started.elapsed(), pod.log())
        });
        Running { process, pid }
    }
}

/// A command in a container that runs, as `kubectl exec` has it.
pub(super) fn exec(pod: &Pod, command: &[String]) -> Option<Command> {
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &pod.status().pid?.to_string(), "--net", "--uts", "--mount", "--pid", "--"]);
    as_user(&mut enter, pod, "", command);
    Some(enter)
}

fn as_user(command: &mut Command, pod: &Pod, work_folder: &str, inside: &[String]) {
    let security = &pod.spec.security_context;
    command.args(["setpriv", "--no-new-privs"]);
    if !work_folder.is_empty() && work_folder != "/" {
        // chroot begins at the root, and what begins elsewhere gives no groups.
        assert_eq!(security.fs_group, None, "{}: a working folder and a group of volumes", pod.name);
        command.args(["unshare", "--setuid", &security.run_as_user.to_string()]);
        command.args(["--setgid", &security.run_as_group.to_string(), "--wd", work_folder]);
        command.arg("--root").arg(&pod.root).args(inside);
        return;
    }
    command.arg("chroot");
    command.arg(format!("--userspec=+{}:+{}", security.run_as_user, security.run_as_group));
    command.arg(format!("--groups={}", security.fs_group.unwrap_or(security.run_as_group)));
    command.arg(&pod.root).args(inside);
}

/// The script that mounts all that the container sees.
fn mounts(pod: &Pod, container: &Container) -> String {
    let root = &pod.root;
    let files = [
        ("etc/hostname", format!("{}\n", pod.name)),
        ("etc/hosts", format!("127.0.0.1 localhost\n{} {}\n", pod.ip, pod.name)),
        (
            "etc/resolv.conf",
            format!(
                "nameserver {NAME_SERVER}\nsearch {DOMAIN} svc.cluster.local cluster.local\noptions ndots:5\n"
            ),
        ),
    ];
    for (path, text) in files {
        fs::create_dir_all(root.join("etc")).expect("a folder");
        fs::write(root.join(path), text).expect("writes");
    }
    let show = |path: &Path| format!("'{}'", path.display());
    let mut script = format!("hostname {}\nmount --bind {root} {root}\n", pod.name, root = show(root));
    for device in DEVICES {
        let target = root.join("dev").join(device);
        fs::create_dir_all(root.join("dev")).expect("a folder");
        fs::write(&target, "").expect("writes");
        let _ = writeln!(script, "mount --bind /dev/{device} {}", show(&target));
    }
    fs::create_dir_all(root.join("proc")).expect("a folder");
    for mount in &container.volume_mounts {
        let target = root.join(mount.mount_path.trim_start_matches('/'));
        fs::create_dir_all(&target).expect("a folder");
        let _ = writeln!(script, "mount --bind {} {}", show(&pod.volumes.join(&mount.name)), show(&target));
        let access = if mount.read_only { "ro" } else { "rw" };
        let _ = writeln!(script, "mount -o remount,bind,nosuid,nodev,{access} {}", show(&target));
    }
    if container.security_context.read_only_root_filesystem {
        let _ = writeln!(script, "mount -o remount,bind,ro {}", show(root));
    }
    script
}

/// The variables of a container; `$(NAME)` stands for one that was given before it.
pub(super) fn environment(pod: &Pod, secrets: impl Fn(&str, &str) -> String) -> Vec<(String, String)> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    // The image's own, by which the tools that start it are found, too.
    let mut all = vec![("PATH".to_owned(), PATH.to_owned())];
    for variable in &pod.spec.container().env {
        let mut value = match (&variable.value, &variable.value_from) {
            (Some(value), None) => value.clone(),
            (None, Some(from)) => match (&from.field_ref, &from.secret_key_ref) {
                (Some(field), None) => match field.field_path.as_str() {
                    "metadata.name" => pod.name.clone(),
                    "status.podIP" => pod.ip.to_string(),
                    other => panic!("{other} is not told here"),
                },
                (None, Some(key)) => secrets(&key.name, &key.key),
                _ => panic!("{} comes from one place", variable.name),
            },
            _ => panic!("{} has one value", variable.name),
        };
        for (name, known) in &known {
            value = value.replace(&format!("$({name})"), known);
        }
        known.insert(variable.name.clone(), value.clone());
        all.push((variable.name.clone(), value));
    }
    all
}

/// The mode of a secret's or config map's files.
pub(super) fn mode(default_mode: Option<u32>) -> u32 {
    default_mode.unwrap_or(MODE_DEFAULT)
}
