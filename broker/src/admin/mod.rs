//! The port for operators: is the node alive, is it ready, how is it, what are its numbers? Plain HTTP, for probes and tools.

mod metrics;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::Value;
use tokio::net::TcpListener;

pub use metrics::{Kind, Labels, Metric};

/// Where the answers come from.
pub trait Source: Send + Sync + 'static {
    /// Whether the node takes clients; if not, why.
    fn readiness(&self) -> Result<(), String>;

    /// Has the node leave its cluster and stop.
    fn stop(&self);

    /// Numbers for Prometheus.
    fn metrics(&self) -> Vec<Metric>;

    /// How the node is, as JSON.
    fn status(&self) -> impl Future<Output = Value> + Send;

    /// How every node of the cluster is, as far as this one can find out.
    fn nodes(&self) -> impl Future<Output = Value> + Send;
}

/// The admin port, bound.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    /// The address, with the port that was chosen when 0 was asked for.
    pub addr: SocketAddr,
}

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} for --admin-addr: {source}; is another node running there?")]
pub struct AdminError {
    addr: SocketAddr,
    source: io::Error,
}

impl Admin {
    /// Binds the port.
    pub async fn bind(addr: SocketAddr) -> Result<Self, AdminError> {
        let bound = async {
            let listener = TcpListener::bind(addr).await?;
            let addr = listener.local_addr()?;
            Ok(Self { listener, addr })
        };
        bound.await.map_err(|source| AdminError { addr, source })
    }

    /// Answers for as long as the future is polled.
    pub async fn serve<S: Source>(self, source: Arc<S>) -> io::Result<()> {
        let router = Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(readyz::<S>))
            .route("/status", get(status::<S>))
            .route("/nodes", get(nodes::<S>))
            .route("/metrics", get(scrape::<S>))
            .route("/drain", post(drain::<S>))
            .with_state(source);
        axum::serve(self.listener, router).await
    }
}

async fn readyz<S: Source>(State(source): State<Arc<S>>) -> impl IntoResponse {
    match source.readiness() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

/// The content type of the text format (`OpenMetrics` 1.0).
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn scrape<S: Source>(State(source): State<Arc<S>>) -> impl IntoResponse {
    match metrics::render(source.metrics()) {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, METRICS_TYPE)], text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(CONTENT_TYPE, "text/plain")],
            format!("no metrics: {error}\n"),
        ),
    }
}

async fn drain<S: Source>(State(source): State<Arc<S>>) -> &'static str {
    source.stop();
    "draining\n"
}

async fn status<S: Source>(State(source): State<Arc<S>>) -> Json<Value> {
    Json(source.status().await)
}

async fn nodes<S: Source>(State(source): State<Arc<S>>) -> Json<Value> {
    Json(source.nodes().await)
}
