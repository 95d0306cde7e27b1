//! The data plane of a node that is in no cluster: numbers and recent messages for clients that come back, in a view of
//! this node alone.

use std::{rc::Rc, sync::Arc};

use tokio::sync::{mpsc, watch};

use super::{Local, Plane, PlaneProgress, PlaneSettings};
use crate::mesh::{Links, View};

/// Where it is not a number that a cluster has given.
pub(super) const NODE: u64 = 0;

impl<L: Local> Plane<L> {
    /// Starts on the current thread, which must run a local runtime. `incarnation` tells this start of the node from all
    /// others.
    pub fn alone(local: L, settings: PlaneSettings, incarnation: u64) -> Rc<Self> {
        let (events, _) = mpsc::unbounded_channel();
        let (progress, _) = watch::channel(PlaneProgress::default());
        let plane = Self::new(local, Arc::new(Links::default()), settings, events, progress);
        plane.begin(NODE, incarnation);
        plane.install(View { epoch: 1, members: [(NODE, incarnation)].into() }, vec![NODE]);
        tokio::task::spawn_local(Rc::clone(&plane).tick());
        plane
    }
}
