//! What the tests of the real binary share: servers and whole clusters as processes, connections that speak
//! bytes, a network that can be broken, and a judge of what clients saw.

#![allow(clippy::missing_panics_doc, reason = "a failed expectation is a failed test")]

mod authority;
mod bystander;
pub mod chaos;
mod cli;
mod cluster;
pub mod compare;
mod eventually;
pub mod failover;
pub mod history;
pub mod http;
mod ioredis;
pub mod kube;
mod ports;
pub mod scene;
mod server;
mod small_disk;
pub mod transcript;
mod udp_proxy;
mod wall_clock;
mod wire;
mod workload;

pub use authority::Authority;
pub use bystander::{Bystander, Seen};
pub use cli::{Ended, Running, run};
pub use cluster::{Cluster, ClusterSettings, MemberStatus, Node, PATIENCE, Status, seed};
pub use eventually::eventually;
pub use ioredis::IoredisClients;
pub use ports::Ports;
pub use server::{Server, carillon_binary, free_addr, raise_open_files_limit};
pub use small_disk::SmallDisk;
pub use udp_proxy::{Path, PathCounts, UdpProxy};
pub use wall_clock::WallClock;
pub use wire::{Wire, command};
pub use workload::{Place, Progress, PublisherPlan, SubscriberPlan, Workload};
