//! The same load and the same faults on Carillon, Redis Cluster and Redis Sentinel, in one run.

mod bench;
mod carillon;
mod contender;
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
