//! The way from a program to the node inside it, without a socket.

use std::{
    io,
    sync::{Arc, Weak},
};

use carillon_client::{Endpoint, Network, Opening, ServerEnded, Socket, Transport};

use crate::server::{CloseReason, Node};

/// Connects to a node in this process; every other endpoint is left to the network, so that a client can have both.
///
/// It does not keep the node: when that has ended, there is nothing to connect to.
#[derive(Clone, Debug)]
pub struct InProcess {
    name: String,
    node: Weak<Node>,
    network: Arc<dyn Transport>,
}

impl InProcess {
    pub(super) fn new(name: String, node: &Arc<Node>) -> Self {
        Self { name, node: Arc::downgrade(node), network: Arc::new(Network::default()) }
    }

    /// Reaches other endpoints over this, for example with certificates of its own.
    #[must_use]
    pub fn with_network(mut self, network: Arc<dyn Transport>) -> Self {
        self.network = network;
        self
    }

    /// What the node is called in a client's list of addresses.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::InProcess(self.name.clone())
    }

    fn connect(&self) -> io::Result<Socket> {
        let node = self.node.upgrade().ok_or(ServerEnded)?;
        node.connect().map(Socket::of_pipe).map_err(|reason| match reason {
            CloseReason::Shutdown => ServerEnded.into(),
            CloseReason::Fenced => {
                io::Error::new(io::ErrorKind::ConnectionRefused, "the node is not in its cluster's view now")
            }
            reason => {
                let text = format!("the node refuses it: {} ({})", reason.meaning(), reason.label());
                io::Error::new(io::ErrorKind::ConnectionRefused, text)
            }
        })
    }
}

impl Transport for InProcess {
    fn open<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a, Socket> {
        match endpoint {
            Endpoint::InProcess(name) if *name == self.name => Box::pin(std::future::ready(self.connect())),
            _ => self.network.open(endpoint),
        }
    }

    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a, Vec<Endpoint>> {
        match endpoint {
            Endpoint::InProcess(_) => Box::pin(std::future::ready(Ok(vec![endpoint.clone()]))),
            _ => self.network.resolve(endpoint),
        }
    }
}
