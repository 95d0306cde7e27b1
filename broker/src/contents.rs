//! What is in a file, or would be: passwords, secrets, certificates.

use std::{
    borrow::Cow,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// What a setting whose name ends in `file` is about: the contents of a file, or the same from the memory of the program
/// that embeds the node. A path is one of these by itself, and so is a text: it is taken for a path. Bytes are made so by
/// [`new`](Self::new), also when they are a text.
///
/// Bytes are never shown: not by [`Debug`](fmt::Debug), not by what is written about settings, in no error.
///
/// ```
/// use carillon_broker::{Contents, config::Settings};
///
/// let settings = Settings::default()
///     .cluster_secret_file("/run/secrets/cluster")
///     .password_file(Contents::new("correct horse battery staple"));
/// assert!(!format!("{settings:?}").contains("horse"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Contents(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

impl Contents {
    /// These bytes, as they would be in a file.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Place::Memory(bytes.into().into()))
    }

    /// The file's path; `None` if they are in memory.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Place::File(path) => Some(path),
            Place::Memory(_) => None,
        }
    }

    /// The bytes. They are those that the file has now.
    ///
    /// # Errors
    ///
    /// What the system says of the file.
    pub fn read(&self) -> io::Result<Cow<'_, [u8]>> {
        match &self.0 {
            Place::File(path) => fs::read(path).map(Cow::Owned),
            Place::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
        }
    }

    /// The certificates of a PEM file, at least one, or what is wrong with it.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let pem = self.read().map_err(|error| error.to_string())?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let found = read.map_err(|error| error.to_string())?;
        if found.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(found) }
    }

    /// The certificates of a PEM file as authorities, or what is wrong with it.
    pub(crate) fn authorities(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        for authority in self.certificates()? {
            roots.add(authority).map_err(|error| error.to_string())?;
        }
        Ok(roots)
    }

    /// The private key of a PEM file, or what is wrong with it.
    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let pem = self.read().map_err(|error| error.to_string())?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|error| error.to_string())
    }
}

impl<P: Into<PathBuf>> From<P> for Contents {
    fn from(path: P) -> Self {
        Self(Place::File(path.into()))
    }
}

/// Where they are, as an error tells it.
impl fmt::Display for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => path.display().fmt(formatter),
            Place::Memory(_) => formatter.write_str("(given by the program)"),
        }
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Contents({self})")
    }
}
