//! The client beside redis-rs and fred on the same server, and in the process of its node: latency, throughput and processor
//! time for each message. `measure.sh` builds it, starts the server and runs it.
//!
//!     clients --broker 127.0.0.1:6379 --pid PID [--rounds 5] [--messages 100000] [--payload 64] [--window 64]
//!         [--only carillon-client|redis-rs|fred]
//!
//! All take turns in each round, so that whatever else the machine does falls on all of them. Told are the medians of all
//! rounds, as they are and as ratios to the client over loopback. With `--only`, the one whose name begins so is run by itself, for
//! strace and perf to look at.

mod kinds;

use std::{collections::HashMap, error::Error, fs, sync::Arc, time::Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use kinds::{Kind, Pair};

type Failure = Box<dyn Error + Send + Sync>;

/// Round trips of one round: enough for a 99th percentile.
const TRIPS: usize = 3_000;

/// As many windows may be answered and not heard yet. A publish is answered before it is heard, and who is faster than the
/// subscriber without end has it closed for being slow.
const WINDOWS_UNHEARD: usize = 16;

struct Plan {
    broker: String,
    pid: u32,
    rounds: usize,
    messages: usize,
    payload: usize,
    /// Publishes that are under way at a time.
    window: usize,
    /// All of them, or one.
    kinds: Vec<Kind>,
}

/// One round of one kind.
struct Figures {
    median_us: f64,
    p99_us: f64,
    per_s: f64,
    /// Of this process, for each message.
    own_cpu_us: f64,
    /// Of the server's process; of a node in this process it is part of the other.
    server_cpu_us: f64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let plan = plan()?;
    let mut all: HashMap<Kind, Vec<Figures>> = HashMap::new();
    for round in 0..plan.rounds {
        // Another first each time.
        for at in 0..plan.kinds.len() {
            let kind = plan.kinds[(at + round) % plan.kinds.len()];
            all.entry(kind).or_default().push(measure(kind, &plan).await?);
        }
    }
    println!(
        "| client | latency, median | 99 % | messages/s | µs of CPU a message | of which the server's |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let median = |kind: Kind, figure: fn(&Figures) -> f64| {
        let mut figures: Vec<f64> = all[&kind].iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let base = if plan.kinds.contains(&Kind::Carillon) { Kind::Carillon } else { plan.kinds[0] };
    for kind in plan.kinds {
        let cell = |figure: fn(&Figures) -> f64, unit: &str| {
            let (own, base) = (median(kind, figure), median(base, figure));
            format!("{own:.1}{unit} ({:.2})", own / base)
        };
        let server = match kind {
            Kind::InProcess => "all is in one".to_owned(),
            _ => format!("{:.1}", median(kind, |figures| figures.server_cpu_us)),
        };
        println!(
            "| {} | {} | {} | {} | {} | {server} |",
            kind.name(),
            cell(|figures| figures.median_us, " µs"),
            cell(|figures| figures.p99_us, " µs"),
            cell(|figures| figures.per_s, ""),
            cell(|figures| figures.own_cpu_us + figures.server_cpu_us, ""),
        );
    }
    Ok(())
}

fn plan() -> Result<Plan, Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let flags: HashMap<&str, &str> =
        words.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let number = |flag: &str, default: usize| flags.get(flag).map_or(Ok(default), |text| text.parse());
    let kinds: Vec<Kind> = match flags.get("--only") {
        None => Kind::ALL.to_vec(),
        Some(only) => {
            let is_meant = |kind: &Kind| *kind != Kind::InProcess && kind.name().starts_with(only);
            vec![Kind::ALL.into_iter().find(is_meant).ok_or("--only names none")?]
        }
    };
    Ok(Plan {
        kinds,
        broker: flags.get("--broker").ok_or("--broker HOST:PORT is missing")?.to_string(),
        pid: flags.get("--pid").ok_or("--pid, of the broker, is missing")?.parse()?,
        rounds: number("--rounds", 5)?.max(1),
        messages: number("--messages", 100_000)?.max(1),
        payload: number("--payload", 64)?,
        window: number("--window", 64)?.max(1),
    })
}

async fn measure(kind: Kind, plan: &Plan) -> Result<Figures, Failure> {
    let Pair { publisher, mut hearer, node } = kinds::open(kind, &plan.broker).await?;
    let payload = vec![b'x'; plan.payload];
    let mut trips = Vec::with_capacity(TRIPS);
    for trip in 0..TRIPS + TRIPS / 10 {
        let start = Instant::now();
        let (published, heard) = tokio::join!(publisher.publish(&payload), hearer.next());
        published?;
        heard?;
        // The first tenth is for warming up.
        if trip >= TRIPS / 10 {
            trips.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    trips.sort_by(f64::total_cmp);

    let (start, own, server) = (Instant::now(), cpu_s(std::process::id())?, cpu_s(plan.pid)?);
    let messages = plan.messages;
    let may_publish = Arc::new(Semaphore::new(plan.window * WINDOWS_UNHEARD));
    let heard = Arc::clone(&may_publish);
    let hearing = tokio::spawn(async move {
        for _ in 0..messages {
            hearer.next().await?;
            heard.add_permits(1);
        }
        Ok::<_, Failure>(hearer)
    });
    let publish = async || {
        may_publish.acquire().await?.forget();
        publisher.publish(&payload).await
    };
    let publishing = stream::iter(0..messages)
        .map(|_| publish())
        .buffer_unordered(plan.window)
        .try_for_each(async |_| Ok(()));
    let ((), hearer) = tokio::try_join!(publishing, async { hearing.await? })?;
    let elapsed = start.elapsed().as_secs_f64();
    let us = |before: f64, after: f64| (after - before) * 1e6 / messages as f64;
    let figures = Figures {
        median_us: trips[trips.len() / 2],
        p99_us: trips[trips.len() * 99 / 100],
        per_s: messages as f64 / elapsed,
        own_cpu_us: us(own, cpu_s(std::process::id())?),
        server_cpu_us: us(server, cpu_s(plan.pid)?),
    };
    drop((publisher, hearer));
    if let Some(node) = node {
        node.shutdown().await?;
    }
    Ok(figures)
}

/// Processor time of a process so far. The kernel's clock for that has ticks of 10 ms.
fn cpu_s(pid: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat has another form")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
