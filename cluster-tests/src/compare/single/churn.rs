//! SUBSCRIBE and UNSUBSCRIBE in turn: the processor time of each.

use std::{
    iter,
    time::{Duration, Instant},
};

use super::{
    exchange::{Batch, connect},
    procs::Usage,
    rounds::Sample,
};
use crate::Server;

/// What is not measured, at the start.
const WARMUP: Duration = Duration::from_millis(300);

/// One connection keeps `in_flight` requests in flight: that many are sent at once, half of them SUBSCRIBE, the other
/// half UNSUBSCRIBE of the same channels, and the next when all are answered. With one, the two alternate.
pub(super) fn measure(server: &Server, in_flight: usize, measured: Duration) -> Result<Sample, String> {
    let channels: Vec<String> = (0..in_flight.div_ceil(2)).map(|index| format!("churn:{index:04}")).collect();
    let (mut one, mut other) = (Batch::default(), Batch::default());
    for (before, channel) in channels.iter().enumerate() {
        one.add("subscribe", channel, before + 1);
    }
    let last = if in_flight == 1 { &mut other } else { &mut one };
    for (before, channel) in channels.iter().enumerate() {
        last.add("unsubscribe", channel, channels.len() - before - 1);
    }
    let mut batches = if in_flight == 1 { vec![one, other] } else { vec![one] };
    let mut socket = connect(server.addr)?;
    let mut run = |time: Duration| {
        let start = Instant::now();
        let mut operations = 0;
        while start.elapsed() < time {
            for batch in &mut batches {
                batch.exchange(&mut socket)?;
                operations += in_flight;
            }
        }
        Ok::<_, String>(operations)
    };
    run(WARMUP)?;
    let before = Usage::of(server.pid())?;
    let operations = run(measured)?;
    let used = Usage::of(server.pid())?.since(&before);
    Ok(Sample {
        values: iter::once(used.server_us / operations as f64).collect(),
        other_cores: Some(used.other_cores()),
        software: None,
    })
}
