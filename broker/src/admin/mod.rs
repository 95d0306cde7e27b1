//! The port for operators: is the node alive, is it ready, how is it, what are its numbers? Plain HTTP, for probes and tools.

mod access;
#[cfg_attr(not(feature = "console"), path = "no_console.rs")]
mod console;
mod metrics;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

pub use access::Token;
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

    /// What a console shows of the whole cluster, at this moment.
    fn console(&self) -> impl Future<Output = Value> + Send;

    /// The clients of this node that hold most, the first of them first.
    fn clients(&self, count: usize) -> impl Future<Output = Value> + Send;

    /// Who in the whole cluster gets what is published to a channel.
    fn subscribers(&self, channel: String, is_shard_channel: bool) -> impl Future<Output = Value> + Send;

    /// Changes what is logged. The error says what is allowed.
    fn set_log_level(&self, level: &str) -> Result<(), String>;
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
#[error("cannot listen on {addr} for --admin-addr: {source}{}", crate::bind::advice(source))]
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
    ///
    /// With a token, only those who show it are answered; but for `/livez` and `/readyz`, which tell nothing.
    pub async fn serve<S: Source>(self, source: Arc<S>, token: Option<Token>) -> io::Result<()> {
        let closed = Router::new()
            .route("/status", get(status::<S>))
            .route("/nodes", get(nodes::<S>))
            .route("/metrics", get(scrape::<S>))
            .route("/clients", get(clients::<S>))
            .route("/subscribers", get(subscribers::<S>))
            .route("/log-level", post(log_level::<S>))
            .route("/drain", post(drain::<S>))
            .merge(console::stream())
            .layer(middleware::from_fn_with_state(token.map(Arc::new), access::check));
        let open =
            console::page().route("/livez", get(|| async { "alive\n" })).route("/readyz", get(readyz::<S>));
        axum::serve(self.listener, closed.merge(open).with_state(source)).await
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

/// Clients that are told when no number is asked for.
const CLIENTS_DEFAULT: usize = 20;

#[derive(Deserialize)]
struct ClientsQuery {
    count: Option<usize>,
}

async fn clients<S: Source>(State(source): State<Arc<S>>, Query(query): Query<ClientsQuery>) -> Json<Value> {
    Json(source.clients(query.count.unwrap_or(CLIENTS_DEFAULT)).await)
}

#[derive(Deserialize)]
struct SubscribersQuery {
    channel: String,
    #[serde(default)]
    shard: bool,
}

async fn subscribers<S: Source>(
    State(source): State<Arc<S>>,
    Query(query): Query<SubscribersQuery>,
) -> Json<Value> {
    Json(source.subscribers(query.channel, query.shard).await)
}

async fn log_level<S: Source>(State(source): State<Arc<S>>, level: String) -> impl IntoResponse {
    match source.set_log_level(level.trim()) {
        Ok(()) => (StatusCode::OK, format!("logging {}\n", level.trim())),
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}
