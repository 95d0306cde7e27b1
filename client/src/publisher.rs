//! Publishing, with the number of receivers as the result.

use carillon_proto::resp::Value;

use crate::{Connection, Reply, RequestError};

impl Connection {
    /// Publishes to a channel and returns the number of clients that received it.
    ///
    /// Dropped before it is done, it has published nothing or all.
    ///
    /// # Errors
    ///
    /// Those of [`request`](Self::request). On [`Lost`](RequestError::Lost) it is not known whether the message was published.
    pub async fn publish(
        &self,
        channel: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, RequestError> {
        self.send([b"publish", channel.as_ref(), payload.as_ref()]).await?.receivers().await
    }

    /// Publishes to a shard channel, else like [`publish`](Self::publish), with its errors.
    pub async fn spublish(
        &self,
        channel: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, RequestError> {
        self.send([b"spublish", channel.as_ref(), payload.as_ref()]).await?.receivers().await
    }
}

impl Reply {
    /// Waits for the reply to a PUBLISH or SPUBLISH that was sent: the number of receivers.
    ///
    /// # Errors
    ///
    /// Those of [`value`](Self::value), and [`UnexpectedReply`](RequestError::UnexpectedReply) if it is no number.
    pub async fn receivers(self) -> Result<u64, RequestError> {
        let endpoint = self.endpoint().clone();
        match self.value().await? {
            Value::Integer(count) if count >= 0 => Ok(count as u64),
            got => Err(RequestError::UnexpectedReply { endpoint, wanted: "a number of receivers", got }),
        }
    }
}
