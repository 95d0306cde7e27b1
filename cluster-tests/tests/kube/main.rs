//! What `deploy/` renders, executed: each scenario in a small Kubernetes of its own. They take root; elsewhere they say
//! `NOT CHECKED`.

mod disasters;
mod install;
mod rollouts;
mod scaling;
mod stage;
