//! Who may speak to a node: mutual TLS 1.3 under one authority.
//!
//! With a cluster secret the authority's Ed25519 key is derived from it (HKDF-SHA256, RFC 5869), and each node
//! mints its own certificate when it starts: one random string is the whole PKI, and no clock has to be right.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

use crate::Contents;

/// The name in the certificates that nodes mint.
const NAME: &str = "carillon";

/// Shortest secret, in bytes: what 128 random bits take in base64.
const SECRET_BYTES_MIN: usize = 22;

/// Tells this use of the secret from any other.
const SALT: &[u8] = b"carillon cluster authority 1";

/// PKCS #8 around a 32-byte Ed25519 seed (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why nodes could not be given credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
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
    /// The secret is easy to guess.
    #[error(
        "--cluster-secret-file {file} has {len} bytes; it needs at least {SECRET_BYTES_MIN} (openssl rand -hex 32 makes one)"
    )]
    ShortSecret {
        /// The file.
        file: Contents,
        /// Its length without white space around it.
        len: usize,
    },
    /// The TLS library refuses them.
    #[error("the peer certificates are not usable: {0}")]
    Tls(String),
}

/// A node's certificate and key, and the authority that it trusts.
#[derive(Debug)]
pub struct Credentials {
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The name that a peer's certificate must carry.
    pub(super) name: String,
}

impl Credentials {
    /// Derives the cluster's authority from the secret in a file, and mints a certificate.
    pub fn from_secret_file(file: &Contents) -> Result<Self, CredentialsError> {
        let setting = "--cluster-secret-file";
        let secret = file.read().map_err(|error| wrong(setting, file, error.to_string()))?;
        let secret = secret.trim_ascii();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(CredentialsError::ShortSecret { file: file.clone(), len: secret.len() });
        }
        Self::from_secret(secret)
    }

    /// Derives the cluster's authority from a secret, and mints a certificate.
    pub fn from_secret(secret: &[u8]) -> Result<Self, CredentialsError> {
        let tls = |error: rcgen::Error| CredentialsError::Tls(error.to_string());
        let authority_key = derive_key(secret)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(tls)?;
        params.distinguished_name.push(rcgen::DnType::CommonName, "carillon cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = params.self_signed(&authority_key).map_err(tls)?;
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(tls)?;
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).map_err(tls)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &issuer).map_err(tls)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).map_err(|error| CredentialsError::Tls(error.to_string()))?;
        Ok(Self {
            roots: Arc::new(roots),
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            name: NAME.to_owned(),
        })
    }

    /// Reads an authority, a certificate that it has issued for `name`, and the certificate's key.
    pub fn from_pem_files(
        ca: &Contents,
        chain: &Contents,
        key: &Contents,
        name: String,
    ) -> Result<Self, CredentialsError> {
        let roots = ca.authorities().map_err(|what| wrong("--peer-ca-file", ca, what))?;
        let chain = chain.certificates().map_err(|what| wrong("--peer-cert-file", chain, what))?;
        let key = key.private_key().map_err(|what| wrong("--peer-key-file", key, what))?;
        let credentials = Self { roots: Arc::new(roots), chain, key, name };
        // Whether the key is that of the certificate is found out here, not when the first peer is spoken to.
        credentials.server_config()?;
        Ok(credentials)
    }

    pub(super) fn server_config(&self) -> Result<rustls::ServerConfig, CredentialsError> {
        let tls = |error: &dyn std::fmt::Display| CredentialsError::Tls(error.to_string());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider())
            .build()
            .map_err(|error| tls(&error))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| tls(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| tls(&error))?;
        config.alpn_protocols = vec![carillon_proto::peer::ALPN.to_vec()];
        Ok(config)
    }

    pub(super) fn client_config(&self) -> Result<rustls::ClientConfig, CredentialsError> {
        let tls = |error: &dyn std::fmt::Display| CredentialsError::Tls(error.to_string());
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| tls(&error))?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| tls(&error))?;
        config.alpn_protocols = vec![carillon_proto::peer::ALPN.to_vec()];
        Ok(config)
    }
}

fn wrong(setting: &'static str, file: &Contents, what: String) -> CredentialsError {
    CredentialsError::File { setting, file: file.clone(), what }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn derive_key(secret: &[u8]) -> Result<KeyPair, CredentialsError> {
    use ring::hkdf::{HKDF_SHA256, Salt};
    let mut seed = [0; 32];
    let derived = Salt::new(HKDF_SHA256, SALT).extract(secret);
    derived
        .expand(&[b"ed25519 seed"], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut seed))
        .map_err(|_| CredentialsError::Tls("the secret cannot be expanded".to_owned()))?;
    let der = [&PKCS8_ED25519[..], &seed].concat();
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &rcgen::PKCS_ED25519)
        .map_err(|error| CredentialsError::Tls(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_gives_the_same_authority_and_another_another() {
        let key = |secret: &[u8]| derive_key(secret).unwrap().public_key_raw().to_vec();
        assert_eq!(key(b"one secret of enough length"), key(b"one secret of enough length"));
        assert_ne!(key(b"one secret of enough length"), key(b"another secret of enough length"));
    }

    #[test]
    fn a_short_secret_is_refused_with_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "  hunter2\n").unwrap();
        for secret in [Contents::from(file.path()), Contents::new("  hunter2\n")] {
            let error = Credentials::from_secret_file(&secret).unwrap_err().to_string();
            assert!(error.contains("7 bytes") && error.contains("openssl rand"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
