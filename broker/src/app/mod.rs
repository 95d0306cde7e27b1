//! The composition root: the only folder that knows every layer.

mod clients;
mod cluster_users;
mod embedded;
mod in_process;
mod member;
mod metrics;
mod operators;
mod plane;
#[cfg_attr(not(feature = "service"), expect(dead_code, reason = "a service reads certificates again"))]
mod ports;
mod prepared;
mod recorder;
#[cfg(feature = "service")]
mod service;
#[cfg_attr(not(feature = "service"), expect(dead_code, reason = "a service reads passwords again"))]
mod users;

use std::io;

use crate::{
    Contents,
    admin::AdminError,
    cluster::StartError,
    config::{Settings, SettingsError},
    mesh::quic::EndpointError,
    raft::store::DiskError,
    server::{ListenError, TlsError},
};

pub use embedded::Broker;
pub use in_process::InProcess;
#[cfg(feature = "service")]
pub use service::{serve, serve_here};
pub use users::AccessError;

/// Why a node could not start, or did not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Settings that do not go together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An address could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Who may do what.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The client port's certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The admin address could not be listened on.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The peer address could not be listened on, or its credentials cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The data folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] StartError),
    /// A single node's data folder is corrupt, and only its owner may put it aside.
    #[error("{error}; 'carillon set-aside --data-dir {path}' renames it, and the node starts without it")]
    Corrupt {
        /// What is wrong.
        error: DiskError,
        /// The folder.
        path: String,
    },
    /// The disk failed while the node ran.
    #[error(
        "the data folder could not be written; the node stops rather than acknowledge what it cannot keep"
    )]
    DiskFailed,
    /// The node was told to stop before it took clients.
    #[error("the node was stopped before it took clients")]
    Ended,
    /// The runtime that the node ran on has ended, and its tasks with it.
    #[error("the runtime that the node ran on has ended; shut the node down before")]
    RuntimeEnded,
    /// A task of the node has ended with a panic, which is a fault of Carillon's.
    #[error("the node has ended with a panic: {0}")]
    Panicked(String),
    /// A file that a setting names cannot be used.
    #[error("{setting} {file}: {error}")]
    File {
        /// The setting.
        setting: &'static str,
        /// Its value.
        file: Contents,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The system refused something else.
    #[error("the system refused what a node needs: {0}")]
    Io(#[from] io::Error),
}

impl RunError {
    /// The exit status, from sysexits.h: 64 for settings, 70 for a corrupt store, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_)
            | Self::Access(_)
            | Self::Tls(_)
            | Self::File { .. }
            | Self::Endpoint(EndpointError::Credentials(_)) => 64,
            Self::Corrupt { .. } => 70,
            _ => 1,
        }
    }
}

/// Finds whatever can be found to be wrong with settings without binding and writing anything.
pub fn check(settings: &Settings) -> Result<(), RunError> {
    settings.check()?;
    if settings.peer_addr.is_some() {
        member::credentials(settings)?;
    }
    users::checked_default(settings)?;
    ports::load_tls(settings)?;
    Ok(())
}
