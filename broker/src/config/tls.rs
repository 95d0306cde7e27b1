//! Settings of TLS on the client port.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

/// Settings of TLS.
#[derive(Args, Clone, Debug)]
pub struct TlsFlags {
    /// Address for clients that speak TLS, beside the other one; port 0 takes a free one.
    #[arg(long, env = "CARILLON_TLS_ADDR", requires = "tls_cert_file")]
    pub tls_addr: Option<SocketAddr>,
    /// Listen on no address without TLS.
    #[arg(long, env = "CARILLON_TLS_ONLY", requires = "tls_addr", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub tls_only: bool,
    /// PEM file with the certificate, and those between it and its authority. Read again on SIGHUP.
    #[arg(long, env = "CARILLON_TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// PEM file with the key of the certificate.
    #[arg(long, env = "CARILLON_TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// PEM file with the authorities of clients' certificates.
    #[arg(long, env = "CARILLON_TLS_CA_FILE")]
    pub tls_ca_file: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    #[arg(long, env = "CARILLON_TLS_CLIENT_AUTH", value_enum, default_value_t = TlsClientAuth::No)]
    pub tls_client_auth: TlsClientAuth,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TlsClientAuth {
    /// None is asked for.
    No,
    /// It is checked if there is one.
    Optional,
    /// Without one nobody gets in.
    Required,
}
