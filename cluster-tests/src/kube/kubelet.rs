//! A pod's life: its container is started, again when it ends, and stopped as its manifest says.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    pod::Pod,
    probe::{self, Life},
    sandbox::{Running, Sandbox},
};

/// Pause between two looks.
const TICK: Duration = Duration::from_millis(10);

/// The kubelet's pause before it starts a container a second time, doubled each time.
const BACK_OFF: Duration = Duration::from_secs(10);

/// Runs a pod until it is deleted, and has ended. `router` is a process of the node's network.
pub(super) fn run(pod: &Arc<Pod>, sandbox: &Sandbox, router: u32) {
    let mut back_off = Duration::ZERO;
    loop {
        let life = Arc::new(Life::default());
        let mut container = sandbox.start(pod);
        pod.lock().pid = Some(container.pid);
        probe::start(pod, &life, router);
        let ended = watch(pod, &life, &mut container);
        life.is_over.store(true, SeqCst);
        let mut status = pod.lock();
        status.pid = None;
        status.ready_since = None;
        status.exits.push(describe(ended));
        if let Some((since, _)) = status.deletion {
            status.ended_after = Some(since.elapsed());
            return;
        }
        status.restarts += 1;
        drop(status);
        let again = Instant::now() + back_off;
        back_off = (back_off * 2).max(BACK_OFF);
        while Instant::now() < again {
            let mut status = pod.lock();
            if let Some((since, _)) = status.deletion {
                status.ended_after = Some(since.elapsed());
                return;
            }
            drop(status);
            std::thread::sleep(TICK);
        }
    }
}

/// Waits until a container ends, or is to end, and ends it then.
fn watch(pod: &Pod, life: &Life, container: &mut Running) -> ExitStatus {
    loop {
        if let Some(ended) = container.process.try_wait().expect("a child of this process") {
            return ended;
        }
        let deletion = pod.lock().deletion;
        if let Some((since, _)) = deletion {
            return stop(pod, container, since);
        }
        if life.is_condemned.load(SeqCst) {
            return stop(pod, container, Instant::now());
        }
        std::thread::sleep(TICK);
    }
}

/// preStop, SIGTERM, and SIGKILL when the grace period is over, which counts from the beginning.
fn stop(pod: &Pod, container: &mut Running, since: Instant) -> ExitStatus {
    let deadline = || {
        let deletion = pod.lock().deletion;
        since + deletion.map_or_else(|| pod.grace(), |(_, grace)| grace)
    };
    let pause =
        pod.spec.container().lifecycle.as_ref().map_or(0, |lifecycle| lifecycle.pre_stop.sleep.seconds);
    let term = since + Duration::from_secs(pause);
    let mut is_asked = false;
    loop {
        if let Some(ended) = container.process.try_wait().expect("a child of this process") {
            return ended;
        }
        let now = Instant::now();
        if now >= deadline() {
            pod.lock().is_overdue = true;
            signal(container.pid, Signal::KILL);
            return container.process.wait().expect("a child of this process");
        }
        if now >= term && !is_asked {
            is_asked = true;
            signal(container.pid, Signal::TERM);
        }
        std::thread::sleep(TICK);
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // It may have ended a moment ago.
        let _ = kill_process(pid, signal);
    }
}

fn describe(ended: ExitStatus) -> String {
    match (ended.code(), ended.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}
