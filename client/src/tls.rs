//! Whom to trust, and as whom to show oneself, over TLS.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Which authorities are trusted, and which certificate is shown to a server that asks for one. Clones share it.
///
/// ```no_run
/// use std::{path::Path, sync::Arc};
///
/// use carillon_client::{Client, ClientSettings, Network, Tls};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let network = Network::with_tls(Tls::with_authorities(Path::new("ca.pem"))?);
/// let addresses = vec!["rediss://a.example".parse()?, "rediss://b.example".parse()?];
/// let client = Client::with(addresses, Arc::new(network), ClientSettings::default());
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    pub(crate) config: Arc<ClientConfig>,
}

/// A file that TLS cannot be set up with.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
#[non_exhaustive]
pub struct TlsFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl Tls {
    /// Trusts the authorities that the system trusts, and shows no certificate. Reads files, so it is better kept than made
    /// for every connection.
    ///
    /// # Errors
    ///
    /// The system trusts none, or they cannot be read.
    pub fn system() -> io::Result<Self> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            let reason = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
            return Err(io::Error::other(format!("the system trusts no authority{reason}; name one")));
        }
        Self::new(roots, None).map_err(io::Error::other)
    }

    /// Trusts the authorities in a PEM file and no others, and shows no certificate.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds something else.
    pub fn with_authorities(ca_file: &Path) -> Result<Self, TlsFileError> {
        Self::new(authorities(ca_file)?, None).map_err(|problem| wrong(ca_file, &problem))
    }

    /// As [`with_authorities`](Self::with_authorities), and shows the certificate in a PEM file whose key is in another.
    ///
    /// # Errors
    ///
    /// A file cannot be read or holds something else, or the key is not the certificate's.
    pub fn with_certificate(ca_file: &Path, cert_file: &Path, key_file: &Path) -> Result<Self, TlsFileError> {
        let chain = certificates(cert_file)?;
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| wrong(key_file, &error))?;
        Self::new(authorities(ca_file)?, Some((chain, key))).map_err(|problem| wrong(cert_file, &problem))
    }

    /// What it comes to for rustls. Not for programs: rustls may change its major version when this crate does not.
    #[doc(hidden)]
    pub fn rustls_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    fn new(
        roots: RootCertStore,
        own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, tokio_rustls::rustls::Error> {
        // Named, and not the process's default: a library must not depend on what its host has installed.
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        };
        Ok(Self { config: Arc::new(config) })
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| wrong(path, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(path, &error))?;
    let certificates: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| wrong(path, &error))?;
    if certificates.is_empty() {
        return Err(wrong(path, &"there is no certificate in it"));
    }
    Ok(certificates)
}

fn wrong(path: &Path, problem: &impl ToString) -> TlsFileError {
    TlsFileError { path: path.to_owned(), problem: problem.to_string() }
}
