//! The control plane: openraft, its log and state machine on sled, its RPCs over the links between nodes.
//!
//! openraft's 0.10 line is pinned exactly: the stable 0.9 waits for the disk once per entry and has neither
//! pre-vote nor leader transfer. Its types stay inside this folder as far as they can.

mod network;
mod node;
mod state;
pub mod store;
mod types;

pub use network::{Network, Peers, Unanswered, serve_rpc};
pub use node::{RaftNode, RaftTimes, Role, StartError as RaftStartError, WriteError};
pub use state::{ClusterState, Command, Member, Outcome};
pub use types::{MemberNode, NodeId, TypeConfig};
