//! The console: a page that shows the cluster, and the stream that feeds it.
//!
//! The page is in the binary, needs nothing from elsewhere, and is given to everyone: it tells nothing. The stream asks for
//! the token as everything else does that tells something.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{
        Html, IntoResponse, Redirect, Response,
        sse::{Event, Sse},
    },
    routing::get,
};
use futures_util::{StreamExt as _, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::MissedTickBehavior,
};

use super::Source;

/// Between two events of the stream.
const EVERY: Duration = Duration::from_secs(1);

/// Pages that may be open at a time: each asks every node once a second.
const VIEWERS_MAX: usize = 8;

/// Nothing is loaded from elsewhere, and no other site may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and what it is made of.
pub(super) fn page<S: Source>() -> Router<Arc<S>> {
    let policy = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-cache")];
    let text = |kind: &'static str, text: &'static str| async move { ([(header::CONTENT_TYPE, kind)], text) };
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/console") }))
        .route("/console", get(move || async move { (policy, Html(include_str!("console/index.html"))) }))
        .route("/console/page.css", get(move || text("text/css", include_str!("console/page.css"))))
        .route("/console/page.js", get(move || text("text/javascript", include_str!("console/page.js"))))
}

/// The stream.
pub(super) fn stream<S: Source>() -> Router<Arc<S>> {
    let places = Arc::new(Semaphore::new(VIEWERS_MAX));
    Router::new().route(
        "/console/stream",
        get(move |State(source): State<Arc<S>>| {
            let place = Arc::clone(&places).try_acquire_owned();
            async move {
                let Ok(place) = place else {
                    let text = format!("{VIEWERS_MAX} consoles are open already; close one\n");
                    return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
                };
                events(source, place)
            }
        }),
    )
}

/// Ends with the connection; its place is free then.
fn events<S: Source>(source: Arc<S>, place: OwnedSemaphorePermit) -> Response {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = stream::unfold((source, place, ticks), |(source, place, mut ticks)| async move {
        ticks.tick().await;
        let event = Event::default().data(source.console().await.to_string());
        Some((event, (source, place, ticks)))
    });
    Sse::new(events.map(Ok::<_, Infallible>)).into_response()
}
