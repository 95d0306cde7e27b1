//! QUIC, by quinn: the only folder that names it.

mod certificates;
mod endpoint;
mod stream;

pub use certificates::{Credentials, CredentialsError};
pub use endpoint::{EndpointError, EndpointKeys, EndpointSettings, PeerEndpoint};
/// The sending direction of a stream.
pub type Sender = quinn::SendStream;

pub use stream::{Channel, Incoming, Link, PeerError, PeerIdentity, Receiver};
