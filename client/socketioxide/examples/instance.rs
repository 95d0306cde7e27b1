//! One instance of a Socket.IO server, with this driver: over the broker that is named, or with a node of its own inside.
//!
//!     cargo run -p carillon-socketioxide --example instance -- --broker 127.0.0.1:6379
//!     cargo run -p carillon-socketioxide --example instance -- --node 0 --peers 127.0.0.1:7401,127.0.0.1:7402 --data data
//!
//! The compatibility suite drives two of them, with what `socketioxide-app` obeys.

#![allow(clippy::print_stdout, reason = "it says where it listens")]

#[path = "../../../cluster-tests/socketioxide-app/src/control.rs"]
mod control;

use std::{collections::HashMap, error::Error, net::SocketAddr, path::PathBuf};

use axum::{Router, routing::post};
use carillon_broker::{Broker, Contents, config::Settings};
use carillon_client::Client;
use carillon_socketioxide::{CarillonAdapter, CarillonDriver};
use socketioxide::{
    SocketIo,
    adapter::Adapter,
    extract::{AckSender, Data, SocketRef},
};
use socketioxide_redis::{RedisAdapterConfig, RedisAdapterCtr};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let flags: HashMap<&str, &str> =
        words.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    // Kept for as long as the server runs.
    let broker = match flags.get("--node") {
        None => None,
        Some(index) => Some(start_node(index.parse()?, flags["--peers"], flags["--data"].into()).await?),
    };
    let client = match &broker {
        None => Client::new(flags.get("--broker").copied().unwrap_or("127.0.0.1:6379"))?,
        Some(broker) => broker.client(),
    };
    let adapter =
        RedisAdapterCtr::new_with_driver(CarillonDriver::new(client), RedisAdapterConfig::default());
    let (layer, io) = SocketIo::builder().with_adapter::<CarillonAdapter<_>>(adapter).build_layer();
    io.ns("/", on_connect).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening {}", listener.local_addr()?.port());
    let orders = Router::new().route("/control", post(control::obey)).with_state(io);
    axum::serve(listener, orders.layer(layer)).await?;
    Ok(())
}

/// A node of a cluster whose members are all inside of instances like this.
async fn start_node(index: usize, peers: &str, data_dir: PathBuf) -> Result<Broker, Box<dyn Error>> {
    let peers: Vec<String> = peers.split(',').map(str::to_owned).collect();
    let own: SocketAddr = peers[index].parse()?;
    let settings = Settings::default()
        .name(format!("n{index}"))
        .client_addr(([127, 0, 0, 1], 0))
        .admin_addr(([127, 0, 0, 1], 0))
        .peer_addr(own)
        .peers(peers)
        .cluster_secret_file(Contents::new("what only these instances know, from openssl rand -hex 32"))
        .data_dir(data_dir);
    let broker = Broker::start(settings).await?;
    broker.ready().await?;
    Ok(broker)
}

async fn on_connect<A: Adapter>(socket: SocketRef<A>) {
    socket.on("join", async |socket: SocketRef<A>, Data::<String>(room), ack: AckSender<A>| {
        socket.join(room);
        // A socket that left before its answer is gone.
        let _ = ack.send(&"joined");
    });
}
