//! Who this node is: minted by its cluster, kept on disk.

use serde::{Deserialize, Serialize};

use crate::{
    mesh::quic::EndpointKeys,
    raft::store::{Disk, DiskError},
};

const IDENTITY_KEY: &[u8] = b"identity";
const ENDPOINT_KEY: &[u8] = b"endpoint";

/// A node's place in its cluster. Never the pod's ordinal: an id that came back with an empty log could vote a
/// second time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster's random id.
    pub cluster_id: String,
    /// The node's number.
    pub node: u64,
}

impl Identity {
    /// The identity in a data folder, if there is one.
    pub fn load(disk: &Disk) -> Result<Option<Self>, DiskError> {
        disk.found(IDENTITY_KEY)
    }

    /// Keeps the identity, on disk before anything is done under it.
    pub fn store(&self, disk: &Disk) -> Result<(), DiskError> {
        put(disk, IDENTITY_KEY, self)
    }
}

/// The keys of the endpoint in a data folder, made if there are none.
pub fn endpoint_keys(disk: &Disk) -> Result<EndpointKeys, DiskError> {
    if let Some(keys) = disk.found(ENDPOINT_KEY)? {
        return Ok(keys);
    }
    let keys =
        EndpointKeys::random().map_err(|source| DiskError::Io { path: disk.path().to_owned(), source })?;
    put(disk, ENDPOINT_KEY, &keys)?;
    Ok(keys)
}

fn put<T: Serialize>(disk: &Disk, key: &[u8], value: &T) -> Result<(), DiskError> {
    disk.put_now(key, value).map_err(|source| DiskError::Io { path: disk.path().to_owned(), source })
}
