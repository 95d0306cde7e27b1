//! What a `Deployment`'s controller does next. Pure.

use super::stateful_set::PodState;

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// New pods.
    pub(super) create: usize,
    /// Pods that have to go, by their numbers.
    pub(super) delete: Vec<usize>,
}

/// All that is due at this moment.
///
/// As with the default strategy and at most four replicas: an update makes one pod more than there should be, and an old
/// one goes once there are enough available ones without it.
pub(super) fn due(replicas: usize, pods: &[PodState]) -> Due {
    let mut there: Vec<&PodState> = pods.iter().filter(|pod| !pod.is_terminating).collect();
    // Who goes first: what is old, what is not available, what is young.
    there.sort_by_key(|pod| (pod.is_current, pod.is_available, usize::MAX - pod.ordinal));
    let current = there.iter().filter(|pod| pod.is_current).count();
    let old = there.len() - current;
    let create =
        (replicas + usize::from(old > 0)).saturating_sub(there.len()).min(replicas.saturating_sub(current));
    let available = there.iter().filter(|pod| pod.is_available).count();
    // One that is not available is missed by nobody.
    let unavailable_old = there.iter().filter(|pod| !pod.is_current && !pod.is_available).count();
    let surplus = there.len().saturating_sub(replicas);
    let may_go = available.saturating_sub(replicas) + unavailable_old;
    let delete = if old == 0 { surplus } else { surplus.min(may_go) };
    Due { create, delete: there.iter().take(delete).map(|pod| pod.ordinal).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(ordinal: usize, is_current: bool, is_available: bool) -> PodState {
        PodState { ordinal, is_current, is_available, is_terminating: false }
    }

    #[test]
    fn an_update_makes_one_more_and_old_ones_go_when_there_are_enough() {
        assert_eq!(due(3, &[]), Due { create: 3, delete: Vec::new() });
        let mut pods = vec![pod(1, false, true), pod(2, false, true), pod(3, false, true)];
        assert_eq!(due(3, &pods), Due { create: 1, delete: Vec::new() });
        pods.push(pod(4, true, false));
        assert_eq!(due(3, &pods), Due::default());
        pods[3].is_available = true;
        assert_eq!(due(3, &pods), Due { create: 0, delete: vec![3] });
    }

    #[test]
    fn scaling_down_keeps_the_oldest() {
        let pods = [pod(1, true, true), pod(2, true, false), pod(3, true, true)];
        assert_eq!(due(2, &pods), Due { create: 0, delete: vec![2] });
        assert_eq!(due(1, &pods), Due { create: 0, delete: vec![2, 3] });
    }
}
