//! The same load and the same faults on Carillon, Redis Cluster and Redis Sentinel, in one run.

mod bench;
mod carillon;
mod contender;
pub mod floor;
mod redis_cluster;
mod redis_process;
mod rows;
mod sentinel;
pub mod single;
mod table;
mod tcp_proxy;

pub use contender::{Contender, Kind, Purpose, Servers};
pub use rows::{Cells, Pace, compare};
pub use table::markdown;

/// The order in which so many contenders take their turns in a round: every second one is reversed, so that none always
/// comes first.
fn turns(contenders: usize, round: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contenders).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// The median of what there is.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}
