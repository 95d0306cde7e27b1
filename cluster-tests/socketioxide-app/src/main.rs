//! One Socket.IO server of a cluster, as the documentation of `socketioxide-redis` shows it, for
//! `compat/socketioxide.test.mjs` to drive: sockets come in over Socket.IO, orders over
//! `POST /control` with one JSON object each.
//!
//! Nothing here catches a broker's error to make it look better: an order that fails answers 500
//! with the adapter's own words, and a start that fails ends the process.

mod control;
mod options;

use std::error::Error;

use axum::Router;
use axum::routing::post;
use socketioxide::SocketIo;
use socketioxide::adapter::Adapter;
use socketioxide::extract::{AckSender, Data, SocketRef};
use socketioxide_redis::{FredAdapter, RedisAdapter, RedisAdapterCtr};
use tokio::net::TcpListener;

use crate::options::{Driver, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    match options.driver {
        Driver::Redis => {
            let client = redis::Client::open(format!("{}?protocol=resp3", options.broker))?;
            let adapter = RedisAdapterCtr::new_with_redis(&client).await?;
            let (layer, io) = SocketIo::builder().with_adapter::<RedisAdapter<_>>(adapter).build_layer();
            io.ns("/", on_connect).await?;
            serve(control_routes(io).layer(layer)).await
        }
        Driver::Fred => {
            let mut config = fred::prelude::Config::from_url(&options.broker)?;
            // The adapter needs push frames, and fred does not read a protocol from the URL.
            config.version = fred::types::RespVersion::RESP3;
            let client = fred::prelude::Builder::from_config(config).build_subscriber_client()?;
            let adapter = RedisAdapterCtr::new_with_fred(client).await?;
            let (layer, io) = SocketIo::builder().with_adapter::<FredAdapter<_>>(adapter).build_layer();
            io.ns("/", on_connect).await?;
            serve(control_routes(io).layer(layer)).await
        }
    }
}

/// Every socket may choose its rooms and answers acknowledgements: all that the suite asks of it.
async fn on_connect<A: Adapter>(socket: SocketRef<A>) {
    socket.on("join", async |socket: SocketRef<A>, Data::<String>(room), ack: AckSender<A>| {
        socket.join(room);
        // A socket that left before its answer is no failure of the broker.
        let _ = ack.send(&"joined");
    });
}

fn control_routes<A: Adapter>(io: SocketIo<A>) -> Router {
    Router::new().route("/control", post(control::obey::<A>)).with_state(io)
}

/// Serves on a port of the system's choice and names it on standard output, where the suite waits
/// for it.
async fn serve(routes: Router) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening {}", listener.local_addr()?.port());
    axum::serve(listener, routes).await?;
    Ok(())
}
