//! One run: connects all clients, warms up, measures, waits for what is still on its way, and judges.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use super::{
    client::{Client, Role},
    clock::{Clock, Times},
    control::Control,
    driver::{Driver, Measured},
    outcome::Outcome,
    plan::{Login, Plan},
    procs::{self, Machine, Usage},
    progress::Progress,
    publisher::Publisher,
    settings::BenchSettings,
    subscriber::Subscriber,
    target::Target,
};

/// Within this time all clients have to be connected and subscribed.
const SETUP_TIME_MAX: Duration = Duration::from_secs(30);

/// After the last publish, deliveries are waited for this long; a server that is slower has lost them.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// When nothing has arrived for this long, nothing more will.
const DRAIN_SILENCE: Duration = Duration::from_secs(2);

/// Between two looks at the run.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Between two looks at the servers' memory.
const MEMORY_EVERY: Duration = Duration::from_millis(250);

/// What processes had used at the start and at the end of the measured time.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    servers: Usage,
    load: Usage,
    machine_us: f64,
}

impl Sample {
    fn take(pids: &[u32]) -> Self {
        Self { servers: procs::usage(pids), load: procs::own_usage(), machine_us: procs::machine_cpu_us() }
    }
}

/// Runs the load once against a target. An error says why there are no figures.
pub(super) fn run(
    settings: &BenchSettings,
    target: &Target,
    run: u32,
    progress: &mut Progress,
) -> Result<Outcome, String> {
    let login = target.credentials.as_ref().map(|credentials| Login {
        username: credentials.username.as_deref(),
        password: &credentials.password,
    });
    let plan = Arc::new(Plan::new(settings, run, login.as_ref(), target.dialect));
    let threads = usize::from(settings.threads);
    let control = Arc::new(Control::new(Clock::start(), target.places.clone(), threads));
    let drivers = spawn(&plan, &control, target.addresses.len())?;
    let watch = target.sentinels.clone().map(|sentinels| {
        let control = Arc::clone(&control);
        thread::spawn(move || sentinels.watch(&control))
    });
    let measured = measure(settings, target, &control, progress);
    control.stop.store(true, Relaxed);
    if let Some(watch) = watch {
        let _ = watch.join();
    }
    let threads: Vec<Measured> = drivers.into_iter().filter_map(|driver| driver.join().ok()?).collect();
    // What a thread says goes first: the run only saw that it went on no longer.
    if let Some(failure) = control.failure() {
        return Err(failure);
    }
    let machine = measured?;
    if threads.len() < usize::from(settings.threads) {
        return Err("a thread of the load has ended early".to_owned());
    }
    let mut outcome = Outcome::new(&plan, &target.addresses, settings.seconds, threads);
    outcome.set_machine(machine);
    Ok(outcome)
}

fn spawn(
    plan: &Arc<Plan>,
    control: &Arc<Control>,
    homes: usize,
) -> Result<Vec<thread::JoinHandle<Option<Measured>>>, String> {
    let fan_outs = Arc::new(plan.fan_outs());
    let threads = control.gauges.len();
    let mut clients: Vec<Vec<Client>> = (0..threads).map(|_| Vec::new()).collect();
    for id in 0..plan.publishers {
        let role = Role::Publisher(Publisher::new(id, plan));
        clients[id as usize % threads].push(Client::new(role, id as usize % homes));
    }
    for id in 0..plan.subscribers {
        let role = Role::Subscriber(Subscriber::new(id, plan));
        clients[id as usize % threads].push(Client::new(role, id as usize % homes));
    }
    let start = |(index, clients)| {
        let (plan, control, fan_outs) = (Arc::clone(plan), Arc::clone(control), Arc::clone(&fan_outs));
        let thread = thread::Builder::new().name(format!("load-{index}"));
        thread.spawn(move || match Driver::new(index, plan, Arc::clone(&control), fan_outs, clients) {
            Ok(driver) => Some(driver.run()),
            Err(error) => {
                control.fail(format!("a thread of the load cannot be set up: {error}"));
                None
            }
        })
    };
    let drivers: Result<_, _> = clients.into_iter().enumerate().map(start).collect();
    drivers.map_err(|error| {
        control.stop.store(true, Relaxed);
        format!("the threads of the load cannot be started: {error}")
    })
}

fn measure(
    settings: &BenchSettings,
    target: &Target,
    control: &Control,
    progress: &mut Progress,
) -> Result<Machine, String> {
    let clock = control.clock;
    let clients = settings.publishers + settings.subscribers;
    let deadline_ns = SETUP_TIME_MAX.as_nanos() as u64;
    while control.ready() < clients {
        if control.stop.load(Relaxed) {
            return Err("the load has ended early".to_owned());
        }
        if clock.now_ns() > deadline_ns {
            let ready = control.ready();
            return Err(format!("after {SETUP_TIME_MAX:?} only {ready} of {clients} clients are connected"));
        }
        thread::sleep(LOOK_AGAIN);
    }
    let times = Times::beginning(clock.now_ns(), settings.warmup(), settings.measured());
    control.times.set(times).map_err(|_| "a run begins once".to_owned())?;
    progress.begin();
    wait_until(control, times.measure_from_ns, |_| {});
    progress.measuring();
    let before = Sample::take(&target.pids);
    let mut rss_bytes_max = before.servers.rss_bytes;
    let mut memory_ns = clock.now_ns();
    wait_until(control, times.measure_to_ns, |now_ns| {
        if now_ns.saturating_sub(memory_ns) > MEMORY_EVERY.as_nanos() as u64 {
            memory_ns = now_ns;
            rss_bytes_max = rss_bytes_max.max(procs::usage(&target.pids).rss_bytes);
            let elapsed = Duration::from_nanos(now_ns - times.measure_from_ns);
            progress.tell(elapsed, control.deliveries().0);
        }
    });
    let after = Sample::take(&target.pids);
    drain(control, &times);
    Ok(machine(settings, &target.pids, &before, &after, rss_bytes_max.max(after.servers.rss_bytes)))
}

fn machine(
    settings: &BenchSettings,
    pids: &[u32],
    before: &Sample,
    after: &Sample,
    rss_bytes_max: u64,
) -> Machine {
    let measured_us = settings.seconds * 1e6;
    let server_us = after.servers.cpu_us - before.servers.cpu_us;
    let load_us = after.load.cpu_us - before.load.cpu_us;
    let all_us = after.machine_us - before.machine_us;
    let has_pids = !pids.is_empty();
    Machine {
        server_cores: has_pids.then_some(server_us.max(0.0) / measured_us),
        server_rss_bytes_max: has_pids.then_some(rss_bytes_max),
        load_cores: load_us / measured_us,
        load_saturation: load_us / measured_us / f64::from(settings.threads),
        other_cores: ((all_us - server_us - load_us) / measured_us).max(0.0),
    }
}

fn wait_until(control: &Control, until_ns: u64, mut look: impl FnMut(u64)) {
    loop {
        let now_ns = control.clock.now_ns();
        if now_ns >= until_ns || control.stop.load(Relaxed) {
            return;
        }
        look(now_ns);
        thread::sleep(LOOK_AGAIN.min(Duration::from_nanos(until_ns - now_ns)));
    }
}

/// Waits until everything that was published has arrived, or nothing more will.
fn drain(control: &Control, times: &Times) {
    let deadline_ns = times.measure_to_ns + DRAIN_TIME_MAX.as_nanos() as u64;
    let (mut received, mut changed_ns) = (0, control.clock.now_ns());
    wait_until(control, deadline_ns, |now_ns| {
        let (by_now, expected) = control.deliveries();
        if by_now != received {
            (received, changed_ns) = (by_now, now_ns);
        }
        let is_complete = control.is_idle() && by_now >= expected;
        let is_silent = now_ns.saturating_sub(changed_ns) > DRAIN_SILENCE.as_nanos() as u64;
        // A publisher that waits for its answer may still cause deliveries.
        if is_complete || is_silent && (control.is_idle() || control.down() > 0) {
            control.stop.store(true, Relaxed);
        }
    });
}
