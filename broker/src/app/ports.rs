//! The client port: where it is, and with which certificates.

use crate::{
    config::Settings,
    server::{ClientAddrs, Node, Tls, TlsError, TlsFiles},
};

/// Where clients are to arrive.
pub(super) fn client_addrs(settings: &Settings) -> ClientAddrs {
    ClientAddrs {
        plain: (!settings.tls_only).then_some(settings.client_addr),
        tls: settings.tls_addr,
        unix: settings.client_unix.clone(),
    }
}

/// The certificates, if there is a port with TLS.
pub(super) fn load_tls(settings: &Settings) -> Result<Option<Tls>, TlsError> {
    let (Some(_), Some(cert), Some(key)) =
        (settings.tls_addr, &settings.tls_cert_file, &settings.tls_key_file)
    else {
        return Ok(None);
    };
    let client_auth = settings.tls_client_auth;
    let (cert, key, ca) = (cert.clone(), key.clone(), settings.tls_ca_file.clone());
    Tls::load(TlsFiles { cert, key, ca, client_auth }).map(Some)
}

/// Reads the certificates again. Open connections go on with what they have.
pub(super) fn reload_certificates(node: &Node) {
    match node.tls.get().map(Tls::reload) {
        None => {}
        Some(Ok(())) => tracing::info!("certificates read again, for new connections"),
        Some(Err(error)) => {
            tracing::error!(%error, "the new certificates cannot be used; going on with the old ones");
        }
    }
}
