//! TLS on the client port: certificates, and how they are changed while the node runs.

mod stream;

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

pub(crate) use stream::TlsStream;

use super::{CloseReason, Shard, connection::Connection};
use crate::{Contents, config::TlsClientAuth};

/// How long a client may take to shake hands.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// The files of the client port's TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM file with the certificate, and those between it and its authority.
    pub cert: Contents,
    /// PEM file with its key.
    pub key: Contents,
    /// PEM file with the authorities of clients' certificates.
    pub ca: Option<Contents>,
    /// Whether clients have to show a certificate.
    pub client_auth: TlsClientAuth,
}

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds something else.
    #[error("{setting} {file}: {what}")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: Contents,
        /// What is wrong with it.
        what: String,
    },
    /// Clients' certificates cannot be checked without an authority.
    #[error("--tls-client-auth needs --tls-ca-file: the authority of clients' certificates")]
    NoAuthority,
}

/// What new connections are accepted with.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = RwLock::new(Arc::new(read(&files)?));
        Ok(Self { files, config })
    }

    /// Reads the files again, for connections that are accepted from now on. After an error nothing has changed.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = Arc::new(read(&self.files)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(crate) fn accept(&self, socket: tokio::net::TcpStream) -> io::Result<TlsStream> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsStream::new(socket, config)
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let wrong = |setting, file: &Contents, what: String| TlsError::File { setting, file: file.clone(), what };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = files.cert.certificates().map_err(|what| wrong("--tls-cert-file", &files.cert, what))?;
    let wrong_key = |what| wrong("--tls-key-file", &files.key, what);
    let key = files.key.private_key().map_err(wrong_key)?;
    let verifier = match (files.client_auth, &files.ca) {
        (TlsClientAuth::No, _) => WebPkiClientVerifier::no_client_auth(),
        (_, None) => return Err(TlsError::NoAuthority),
        (client_auth, Some(ca)) => {
            let wrong_ca = |what| wrong("--tls-ca-file", ca, what);
            let roots = Arc::new(ca.authorities().map_err(wrong_ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
            let verifier = if client_auth == TlsClientAuth::Optional {
                verifier.allow_unauthenticated()
            } else {
                verifier
            };
            verifier.build().map_err(|error| wrong_ca(error.to_string()))?
        }
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("--tls-cert-file", &files.cert, error.to_string()))?;
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| wrong_key(error.to_string()))?;
    if files.client_auth != TlsClientAuth::No {
        // A session that is resumed would not be asked for its certificate again, whatever has been revoked since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

impl Shard {
    /// Whoever only holds a handshake open is no client.
    pub(super) fn close_if_handshake_is_late(&self, connection: &Connection, now: Instant) {
        if connection.stream.is_handshaking()
            && now.saturating_duration_since(connection.session.borrow().connected) >= HANDSHAKE_TIME_MAX
        {
            self.cut_off(connection, CloseReason::TlsTimeout);
        }
    }
}
