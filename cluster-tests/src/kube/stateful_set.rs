//! What a `StatefulSet`'s controller does next. Pure.

use super::manifest::StatefulSet;

/// One of its pods.
#[derive(Clone, Debug)]
pub(super) struct PodState {
    pub(super) ordinal: usize,
    pub(super) is_current: bool,
    pub(super) is_terminating: bool,
    /// Ready for as long as `minReadySeconds` asks.
    pub(super) is_available: bool,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create(usize),
    Delete(usize),
}

/// All that is due at this moment.
///
/// With the policy `Parallel` pods are created and scaled away without waiting for each other; an update goes from the
/// last to the first, one at a time, and waits for each to be available (Kubernetes, `defaultStatefulSetControl`).
pub(super) fn steps(set: &StatefulSet, pods: &[PodState]) -> Vec<Step> {
    let of = |ordinal: usize| pods.iter().find(|pod| pod.ordinal == ordinal);
    let mut steps: Vec<Step> =
        (0..set.replicas).filter(|ordinal| of(*ordinal).is_none()).map(Step::Create).collect();
    let beyond = pods.iter().filter(|pod| pod.ordinal >= set.replicas && !pod.is_terminating);
    steps.extend(beyond.map(|pod| Step::Delete(pod.ordinal)));
    for pod in (0..set.replicas).rev().filter_map(of) {
        if !pod.is_current && !pod.is_terminating {
            steps.push(Step::Delete(pod.ordinal));
        }
        if !pod.is_current || pod.is_terminating || !pod.is_available {
            break;
        }
    }
    // One that is not there yet is not available, either.
    if steps.iter().any(|step| matches!(step, Step::Create(_))) {
        steps.retain(|step| !matches!(step, Step::Delete(ordinal) if *ordinal < set.replicas));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::{manifest::Manifests, render::Kustomize};

    fn pod(ordinal: usize, is_current: bool, is_available: bool) -> PodState {
        PodState { ordinal, is_current, is_available, is_terminating: false }
    }

    #[test]
    fn an_update_goes_from_the_last_to_the_first_and_waits_for_each() {
        let set = Manifests::read(&Kustomize::default().overlay("three")).stateful_sets.remove("carillon");
        let set = set.expect("a set");
        assert_eq!(steps(&set, &[]), [Step::Create(0), Step::Create(1), Step::Create(2)]);
        let old = [pod(0, false, true), pod(1, false, true), pod(2, false, true)];
        assert_eq!(steps(&set, &old), [Step::Delete(2)]);
        assert_eq!(steps(&set, &old[..2]), [Step::Create(2)]);
        assert_eq!(steps(&set, &[pod(0, false, true), pod(1, false, true), pod(2, true, false)]), []);
        assert_eq!(
            steps(&set, &[pod(0, false, true), pod(1, false, true), pod(2, true, true)]),
            [Step::Delete(1)]
        );
    }

    #[test]
    fn scaling_waits_for_nobody() {
        let set = Manifests::read(&Kustomize::default().overlay("three")).stateful_sets.remove("carillon");
        let mut set = set.expect("a set");
        let pods: Vec<PodState> = (0..3).map(|ordinal| pod(ordinal, true, ordinal != 1)).collect();
        set.replicas = 5;
        assert_eq!(steps(&set, &pods), [Step::Create(3), Step::Create(4)]);
        set.replicas = 1;
        assert_eq!(steps(&set, &pods), [Step::Delete(1), Step::Delete(2)]);
    }
}
