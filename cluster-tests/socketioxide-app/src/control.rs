//! The suite's orders: each is one cluster-wide operation of the adapter.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::adapter::Adapter;
use socketioxide::operators::BroadcastOperators;

/// Long enough for a busy machine, short enough to fail before the suite's own limit does.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// One order, with the sockets it is for: all of them when `rooms` is empty.
#[derive(Deserialize)]
pub(crate) struct Order {
    #[serde(default)]
    rooms: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(flatten)]
    action: Action,
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
enum Action {
    Emit { event: String, payload: Value },
    EmitWithAck { event: String, payload: Value },
    FetchSockets,
    Join { target: String },
    Leave { target: String },
    Rooms,
    Disconnect,
}

/// Carries out one order and answers what came back from the whole cluster.
pub(crate) async fn obey<A: Adapter>(
    State(io): State<SocketIo<A>>,
    Json(order): Json<Order>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let sockets = io.broadcast().to(order.rooms).except(order.except).timeout(ACK_TIMEOUT);
    match act(sockets, order.action).await {
        Ok(answer) => Ok(Json(answer)),
        Err(reason) => Err((StatusCode::INTERNAL_SERVER_ERROR, reason)),
    }
}

async fn act<A: Adapter>(sockets: BroadcastOperators<A>, action: Action) -> Result<Value, String> {
    match action {
        Action::Emit { event, payload } => {
            sockets.emit(event, &payload).await.map_err(in_words)?;
            Ok(json!(null))
        }
        Action::EmitWithAck { event, payload } => {
            let acks = sockets.emit_with_ack::<_, Value>(event, &payload).await;
            let acks: Vec<_> = acks.map_err(in_words)?.collect().await;
            acks.into_iter().map(|(_, ack)| ack.map_err(in_words)).collect()
        }
        Action::FetchSockets => {
            let found = sockets.fetch_sockets().await.map_err(in_words)?;
            Ok(found.iter().map(|socket| json!(socket.data().id)).collect())
        }
        Action::Join { target } => {
            sockets.join(target).await.map_err(in_words)?;
            Ok(json!(null))
        }
        Action::Leave { target } => {
            sockets.leave(target).await.map_err(in_words)?;
            Ok(json!(null))
        }
        Action::Rooms => {
            let rooms = sockets.rooms().await.map_err(in_words)?;
            Ok(rooms.iter().map(|room| json!(room.as_ref())).collect())
        }
        Action::Disconnect => {
            sockets.disconnect().await.map_err(in_words)?;
            Ok(json!(null))
        }
    }
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
