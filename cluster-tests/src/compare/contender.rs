//! What is compared: servers as processes, which can be killed, paused and cut off.

use std::path::PathBuf;

use super::{carillon::Carillon, redis_cluster::RedisCluster, sentinel::Sentinel};

/// How many nodes each has.
pub(super) const NODES: usize = 3;

/// The node that faults hit. Of Sentinel it is the primary, to which all clients talk.
pub(super) const VICTIM: usize = 1;

/// A way to run servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Three nodes of Carillon.
    Carillon,
    /// Three nodes of a cluster of this server's.
    RedisCluster(PathBuf),
    /// A primary, two replicas and three Sentinels of this server.
    Sentinel(PathBuf),
}

/// What servers are started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be loaded.
    Load,
    /// To be killed or paused.
    Fault,
    /// To have links cut, which needs proxies between the nodes.
    Cut,
}

/// One of those that are compared.
#[derive(Clone, Debug)]
pub struct Contender {
    /// What the table calls it.
    pub name: String,
    /// How it is run.
    pub kind: Kind,
}

/// Running servers; all end when this is dropped.
pub trait Servers {
    /// What tells `carillon bench` where they are.
    fn target(&self) -> Vec<String>;

    /// All their processes.
    fn pids(&self) -> Vec<u32>;

    /// Kills the victim, as a crash would end it.
    fn kill(&mut self);

    /// Stops the victim's process, so that it does nothing and keeps its connections.
    fn stop(&mut self);

    /// Lets it go on.
    fn go_on(&mut self);

    /// Cuts the link between the first node and the victim. False if this has no such link.
    fn cut(&mut self) -> bool;

    /// Restores it.
    fn heal(&mut self);
}

impl Contender {
    /// Starts its servers, and waits until they are one cluster.
    pub fn start(&self, purpose: Purpose) -> Box<dyn Servers> {
        match &self.kind {
            Kind::Carillon => Box::new(Carillon::start(purpose == Purpose::Cut)),
            Kind::RedisCluster(server) => Box::new(RedisCluster::start(server, purpose)),
            Kind::Sentinel(server) => Box::new(Sentinel::start(server)),
        }
    }
}
