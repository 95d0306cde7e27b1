//! A chat on two instances that share their rooms, with nothing else running: each instance is a web server with a node of
//! the broker inside.
//!
//!     cargo run --example embedded_chat
//!
//! Open both of the printed addresses. The ports are 3001 and 3002, or begin with that of an argument.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod common;

use std::{error::Error, net::SocketAddr, ops::ControlFlow};

use axum::{
    Router,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::{Html, IntoResponse},
    routing::get,
};
use carillon_broker::Broker;
use carillon_client::{Client, ClientError, Event};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let first: u16 = std::env::args().nth(1).map_or(Ok(3001), |port| port.parse())?;
    let folder = tempfile::tempdir()?;
    let mut nodes = Vec::new();
    for settings in common::cluster(2, folder.path())? {
        nodes.push(Broker::start(settings).await?);
    }
    for (index, node) in (0..).zip(&nodes) {
        node.ready().await?;
        let routes = Router::new()
            .route("/", get(|| async { Html(include_str!("embedded_chat.html")) }))
            .route("/rooms/{room}", get(join))
            .with_state(node.client());
        let port = if first == 0 { 0 } else { first + index };
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await;
        let listener = listener.map_err(|error| format!("port {port}: {error}; give another first one"))?;
        println!("http://{}/", listener.local_addr()?);
        tokio::spawn(async { axum::serve(listener, routes).await });
    }
    tokio::signal::ctrl_c().await?;
    for node in nodes {
        node.shutdown().await?;
    }
    Ok(())
}

async fn join(
    Path(room): Path<String>,
    State(client): State<Client>,
    upgrade: WebSocketUpgrade,
) -> impl IntoResponse {
    upgrade.on_upgrade(|socket| async move {
        if let Err(error) = talk(socket, &format!("room:{room}"), client).await {
            eprintln!("{room}: {error}");
        }
    })
}

/// Everything that one of us says goes to the room, and everything that is said there comes from it.
async fn talk(mut socket: WebSocket, room: &str, client: Client) -> Result<(), ClientError> {
    let mut heard = client.subscribe([room]).await?;
    let _ = socket.send(Message::text("* you are in")).await;
    loop {
        tokio::select! {
            event = heard.next() => {
                let Some(event) = event.transpose()? else { return Ok(()) };
                if tell(&mut socket, event).await.is_break() {
                    return Ok(());
                }
            }
            said = socket.recv() => match said {
                Some(Ok(Message::Text(text))) => drop(client.publish(room, text.as_str()).await?),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(()),
            },
        }
    }
}

async fn tell(socket: &mut WebSocket, event: Event) -> ControlFlow<()> {
    let line = match event {
        Event::Message(message) => String::from_utf8_lossy(&message.payload).into_owned(),
        Event::Gap(gap) => format!("* something may be missing here: {}", gap.cause),
        _ => return ControlFlow::Continue(()),
    };
    // An error is the end of the page.
    if socket.send(Message::text(line)).await.is_ok() {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}
