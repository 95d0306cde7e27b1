//! A certificate authority of a test's own.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// Far longer than any test takes.
const VALID_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority and a folder for what it signs.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, whose own certificate is in `ca.pem`.
    #[allow(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = params.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("ca.pem"), own.pem()).expect("writes a file");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `name.pem` and `name.key`, for these DNS names.
    pub fn sign(&self, name: &str, dns_names: &[&str]) -> (PathBuf, PathBuf) {
        self.sign_until(name, dns_names, SystemTime::now() + VALID_FOR)
    }

    /// The same, with a certificate that is good until then, be that in the past.
    pub fn sign_until(&self, name: &str, dns_names: &[&str], until: SystemTime) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let dns_names: Vec<String> = dns_names.iter().copied().map(str::to_owned).collect();
        let mut params = CertificateParams::new(dns_names).expect("parameters");
        params.not_after = until.into();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (cert, key_file) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&cert, certificate.pem()).expect("writes a file");
        fs::write(&key_file, key.serialize_pem()).expect("writes a file");
        (cert, key_file)
    }
}
