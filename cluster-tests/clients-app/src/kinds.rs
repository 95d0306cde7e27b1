//! Publishing and subscribing as each library's documentation shows it.

use std::pin::Pin;

use carillon_broker::{Broker, config::Settings};
use carillon_client::{Client, Event, Subscription};
use fred::{
    clients::SubscriberClient,
    interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _},
    types::{Message, RespVersion},
};
use futures_util::{Stream, StreamExt as _};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use tokio::sync::broadcast;

use crate::Failure;

const CHANNEL: &str = "measured";

/// Messages that may wait for fred's reader.
const WAITING_MAX: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    InProcess,
    Carillon,
    Redis,
    Fred,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::InProcess, Self::Carillon, Self::Redis, Self::Fred];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InProcess => "carillon-client, node in the process",
            Self::Carillon => "carillon-client over loopback",
            Self::Redis => "redis-rs",
            Self::Fred => "fred",
        }
    }
}

pub(crate) enum Publisher {
    Carillon(Client),
    Redis(MultiplexedConnection),
    Fred(fred::clients::Client),
}

pub(crate) enum Hearer {
    Carillon(Subscription),
    Redis(Pin<Box<dyn Stream<Item = redis::Msg> + Send>>),
    Fred {
        heard: broadcast::Receiver<Message>,
        /// The messages end with it.
        _subscriber: SubscriberClient,
    },
}

pub(crate) struct Pair {
    pub(crate) publisher: Publisher,
    pub(crate) hearer: Hearer,
    pub(crate) node: Option<Broker>,
}

pub(crate) async fn open(kind: Kind, broker: &str) -> Result<Pair, Failure> {
    Ok(match kind {
        Kind::InProcess => {
            let data = tempfile::tempdir()?;
            let any_port = ([127, 0, 0, 1], 0);
            let settings =
                Settings::default().client_addr(any_port).admin_addr(any_port).data_dir(data.path());
            let node = Broker::start(settings).await?;
            node.ready().await?;
            let client = node.client();
            let hearer = Hearer::Carillon(client.subscribe([CHANNEL]).await?);
            Pair { publisher: Publisher::Carillon(client), hearer, node: Some(node) }
        }
        Kind::Carillon => {
            let client = Client::new(broker)?;
            let hearer = Hearer::Carillon(client.subscribe([CHANNEL]).await?);
            Pair { publisher: Publisher::Carillon(client), hearer, node: None }
        }
        Kind::Redis => {
            let client = redis::Client::open(format!("redis://{broker}"))?;
            let mut subscriber = client.get_async_pubsub().await?;
            subscriber.subscribe(CHANNEL).await?;
            let hearer = Hearer::Redis(Box::pin(subscriber.into_on_message()));
            let publisher = Publisher::Redis(client.get_multiplexed_async_connection().await?);
            Pair { publisher, hearer, node: None }
        }
        Kind::Fred => {
            let mut config = fred::prelude::Config::from_url(&format!("redis://{broker}"))?;
            config.version = RespVersion::RESP3;
            let mut builder = fred::prelude::Builder::from_config(config);
            // With its 32 places for messages that wait, it drops some of this load.
            builder
                .with_performance_config(|performance| performance.broadcast_channel_capacity = WAITING_MAX);
            let subscriber = builder.build_subscriber_client()?;
            subscriber.init().await?;
            let heard = subscriber.message_rx();
            subscriber.subscribe(CHANNEL).await?;
            let publisher = builder.build()?;
            publisher.init().await?;
            let hearer = Hearer::Fred { heard, _subscriber: subscriber };
            Pair { publisher: Publisher::Fred(publisher), hearer, node: None }
        }
    })
}

impl Publisher {
    pub(crate) async fn publish(&self, payload: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Carillon(client) => {
                client.publish(CHANNEL, payload).await?;
            }
            Self::Redis(connection) => {
                let _: u64 = connection.clone().publish(CHANNEL, payload).await?;
            }
            Self::Fred(client) => {
                let _: u64 = client.publish(CHANNEL, payload).await?;
            }
        }
        Ok(())
    }
}

impl Hearer {
    /// Waits for a message. Whatever else comes is a failure: nothing may be missing here.
    pub(crate) async fn next(&mut self) -> Result<usize, Failure> {
        match self {
            Self::Carillon(subscription) => match subscription.next().await.ok_or("it has ended")?? {
                Event::Message(message) => Ok(message.payload.len()),
                other => Err(format!("{other:?}").into()),
            },
            Self::Redis(stream) => {
                let message = stream.next().await.ok_or("it has ended")?;
                Ok(message.get_payload_bytes().len())
            }
            Self::Fred { heard, .. } => {
                let message = heard.recv().await?;
                Ok(message.value.as_bytes().map_or(0, <[u8]>::len))
            }
        }
    }
}
