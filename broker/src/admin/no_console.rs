//! Without the feature `console` there is no page for people.

use std::sync::Arc;

use axum::Router;

use super::Source;

pub(super) fn page<S: Source>() -> Router<Arc<S>> {
    Router::new()
}

pub(super) fn stream<S: Source>() -> Router<Arc<S>> {
    Router::new()
}
