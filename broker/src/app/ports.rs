//! The client port: where it is, and with which certificates.

use std::{io, sync::Arc};

use crate::{
    config::{ServeSettings, TlsClientAuth},
    server::{ClientAddrs, ClientAuth, Node, Tls, TlsError, TlsFiles},
};

/// Where clients are to arrive.
pub(super) fn client_addrs(settings: &ServeSettings) -> ClientAddrs {
    ClientAddrs {
        plain: (!settings.tls.tls_only).then_some(settings.client_addr),
        tls: settings.tls.tls_addr,
        unix: settings.client_unix.clone(),
    }
}

/// The certificates, if there is a port with TLS.
pub(super) fn load_tls(settings: &ServeSettings) -> Result<Option<Tls>, TlsError> {
    let flags = &settings.tls;
    let (Some(_), Some(cert), Some(key)) = (flags.tls_addr, &flags.tls_cert_file, &flags.tls_key_file) else {
        return Ok(None);
    };
    let client_auth = match flags.tls_client_auth {
        TlsClientAuth::No => ClientAuth::No,
        TlsClientAuth::Optional => ClientAuth::Optional,
        TlsClientAuth::Required => ClientAuth::Required,
    };
    let (cert, key, ca) = (cert.clone(), key.clone(), flags.tls_ca_file.clone());
    Tls::load(TlsFiles { cert, key, ca, client_auth }).map(Some)
}

/// Reads the certificates again on SIGHUP. Open connections go on with what they have.
pub(super) fn reload_on_hangup(node: Arc<Node>) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            let Some(tls) = node.tls.get() else { continue };
            match tls.reload() {
                Ok(()) => tracing::info!("certificates read again, for new connections"),
                Err(error) => {
                    tracing::error!(%error, "the new certificates cannot be used; going on with the old ones");
                }
            }
        }
    })
}
