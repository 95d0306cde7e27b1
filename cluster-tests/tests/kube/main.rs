//! What `deploy/` renders, executed: each scenario in a small Kubernetes of its own. They take root; elsewhere they say
//! `NOT CHECKED`.

mod applications;
mod disasters;
mod install;
mod overlays;
mod rollouts;
mod runbooks;
mod scaling;
mod stage;
