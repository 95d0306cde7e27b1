//! Probes, as the kubelet does them: each at its own period, with its own time limit, from the node.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, SocketAddrV4, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use super::{namespaces::enter_network_of, pod::Pod, pod_spec::Probe};

/// Pause between two looks at whether the container still runs.
const TICK: Duration = Duration::from_millis(20);

/// One life of a container, for its probes.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) is_over: AtomicBool,
    is_started: AtomicBool,
    /// A probe wants it killed.
    pub(super) is_condemned: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Startup,
    Liveness,
    Readiness,
}

/// Starts the probes of a container's life.
pub(super) fn start(pod: &Arc<Pod>, life: &Arc<Life>, router: u32) {
    let container = pod.spec.container();
    life.is_started.store(container.startup_probe.is_none(), SeqCst);
    let probes = [
        (Purpose::Startup, &container.startup_probe),
        (Purpose::Liveness, &container.liveness_probe),
        (Purpose::Readiness, &container.readiness_probe),
    ];
    for (purpose, probe) in probes {
        match probe {
            Some(probe) => {
                let (pod, life, probe) = (Arc::clone(pod), Arc::clone(life), probe.clone());
                std::thread::spawn(move || run(&pod, &life, purpose, &probe, router));
            }
            // Without a readiness probe a container is ready once it runs.
            None if purpose == Purpose::Readiness => pod.lock().ready_since = Some(Instant::now()),
            None => {}
        }
    }
}

fn run(pod: &Pod, life: &Life, purpose: Purpose, probe: &Probe, router: u32) {
    enter_network_of(router);
    let port = pod.spec.port(&probe.http_get.port).expect("a port of the container");
    let addr = SocketAddr::V4(SocketAddrV4::new(pod.ip, port));
    let timeout = Duration::from_secs(probe.timeout_seconds);
    let mut due = Instant::now() + Duration::from_secs(probe.initial_delay_seconds);
    let mut failures = 0;
    loop {
        while Instant::now() < due || purpose != Purpose::Startup && !life.is_started.load(SeqCst) {
            std::thread::sleep(TICK);
            if life.is_over.load(SeqCst) {
                return;
            }
        }
        due = Instant::now() + probe.period();
        let looked = look(addr, &probe.http_get.path, timeout);
        // Nothing is asked of a pod that is on its way out.
        let mut status = pod.lock();
        if life.is_over.load(SeqCst) || status.is_terminating() {
            return;
        }
        failures = if looked.is_ok() { 0 } else { failures + 1 };
        match (purpose, looked) {
            (Purpose::Startup, Ok(())) => {
                life.is_started.store(true, SeqCst);
                return;
            }
            (Purpose::Readiness, Ok(())) => {
                status.ready_since.get_or_insert_with(Instant::now);
            }
            (Purpose::Readiness, Err(_)) if failures >= probe.failure_threshold => status.ready_since = None,
            (Purpose::Startup | Purpose::Liveness, Err(why)) if failures >= probe.failure_threshold => {
                status.killed_by_probes.push(format!("{purpose:?}: {why}"));
                life.is_condemned.store(true, SeqCst);
                return;
            }
            _ => {}
        }
    }
}

fn look(addr: SocketAddr, path: &str, timeout: Duration) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    let ask = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect_timeout(&addr, timeout)?;
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left))?;
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| error.to_string())?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(200..400) => Ok(()),
        _ => Err(answer),
    }
}
