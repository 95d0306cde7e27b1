//! `carillon pub`, `carillon sub` and `carillon bench`: to try a broker out, for scripts, and to measure it. They work
//! with any server that speaks Redis's protocol.
//!
//! Results go to standard output, one line each; everything else goes to standard error.

mod bench;
mod clients;
mod command_line;
mod dev;
mod flags;
mod line;
mod manual;
mod publish;
mod status;
mod subscribe;

use std::{
    fmt,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use carillon_client::{
    Address, AddressError, ClientError, ConnectError, Connection, ConnectionLost, ConnectionSettings,
    Credentials, Network, RequestError, Tls, TlsFileError,
};
use clap::Args;

pub use bench::{BenchSettings, bench};
pub use clients::{ClientsSettings, LogLevelSettings, SubscribersSettings, clients, log_level, subscribers};
pub use command_line::{Command, CommandLine};
pub use dev::DevSettings;
pub use flags::SettingFlags;
pub use manual::{CompletionShell, completions, man};
pub use publish::{PublishSettings, publish};
pub use status::{AdminSettings, drain, nodes, status};
pub use subscribe::{SubscribeSettings, subscribe};

/// `EX_USAGE` of sysexits.h: what was asked for cannot be done as asked.
pub const EXIT_USAGE: u8 = 64;

/// The server to talk to, and as whom.
#[derive(Args, Clone)]
pub struct ServerSettings {
    /// Server: `host:port`, `redis://[user:password@]host:port`, `rediss://` for TLS, or `unix:///path`; several with
    /// commas are tried in turn.
    #[arg(
        long,
        env = "CARILLON_SERVER",
        hide_env_values = true,
        default_value = "127.0.0.1:6379",
        value_name = "ADDR"
    )]
    pub server: String,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustSettings,
    /// As whom.
    #[command(flatten)]
    pub login: LoginSettings,
}

/// Whom to trust over TLS.
#[derive(Args, Clone, Debug)]
pub struct TrustSettings {
    /// PEM file with the authorities to trust over TLS, instead of the system's.
    #[arg(long, env = "CARILLON_CA_FILE", value_name = "PATH")]
    pub ca_file: Option<PathBuf>,
}

/// Who authenticates, where the address does not say.
#[derive(Args, Clone)]
pub struct LoginSettings {
    /// User to authenticate as; the server's default user if none.
    #[arg(long, env = "CARILLON_USERNAME")]
    pub username: Option<String>,
    /// Password; the variable keeps it out of the list of processes.
    #[arg(long, env = "CARILLON_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
}

/// Without the address, which may hold a password.
impl fmt::Debug for ServerSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServerSettings").field("login", &self.login).finish_non_exhaustive()
    }
}

/// Without the password.
impl fmt::Debug for LoginSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoginSettings").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// `--server` is not an address.
    #[error("--server: {0}")]
    Address(#[from] AddressError),
    /// `--username` without a password.
    #[error("--username '{0}' has no password; set CARILLON_PASSWORD or --password")]
    UserWithoutPassword(String),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A request was refused.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The connection was lost.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
    /// A subscription has come to nothing.
    #[error(transparent)]
    Client(Box<ClientError>),
    /// `--ca-file` cannot be used.
    #[error("--ca-file {0}")]
    Tls(#[from] TlsFileError),
    /// Settings that do not go together.
    #[error("{0}")]
    Usage(String),
    /// A load that could not be run to its end, or that found something wrong.
    #[error("{0}")]
    Bench(String),
    /// Standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    /// A payload that no server takes.
    #[error("standard input has a payload above {0} bytes, which is Redis's limit; send it in parts")]
    PayloadTooLong(u64),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self::Client(Box::new(error))
    }
}

impl ServerSettings {
    fn addresses(&self) -> Result<Vec<Address>, CliError> {
        self.server.split(',').map(|server| self.login.address(server.trim())).collect()
    }

    /// A connection to the first server that can be reached.
    async fn connect(&self) -> Result<Connection, CliError> {
        let network = self.trust.network()?;
        let mut last = None;
        for address in self.addresses()? {
            match Connection::open_over(&network, &address, ConnectionSettings::default()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error.into()),
            }
        }
        Err(last.unwrap_or_else(|| CliError::Usage("--server names none".to_owned())))
    }
}

impl TrustSettings {
    /// What `--ca-file` says; `None` for what the system trusts.
    fn tls(&self) -> Result<Option<Tls>, CliError> {
        let ca_file = self.ca_file.as_deref().filter(|path| !path.as_os_str().is_empty());
        Ok(ca_file.map(Tls::with_authorities).transpose()?)
    }

    fn network(&self) -> Result<Network, CliError> {
        Ok(self.tls()?.map_or_else(Network::default, Network::with_tls))
    }
}

impl LoginSettings {
    /// The address that `server` names, and with whom to authenticate there.
    fn address(&self, server: &str) -> Result<Address, CliError> {
        let mut address: Address = server.parse()?;
        // Empty variables are how deployments say "none".
        let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let in_address = address.credentials.take();
        let username = set(&self.username)
            .or_else(|| in_address.as_ref().and_then(|credentials| credentials.username.clone()));
        let password = set(&self.password).or_else(|| in_address.map(|credentials| credentials.password));
        address.credentials = match (username, password) {
            (Some(username), Some(password)) => Some(Credentials::new(password).for_user(username)),
            (None, Some(password)) => Some(Credentials::new(password)),
            (Some(username), None) => return Err(CliError::UserWithoutPassword(username)),
            (None, None) => None,
        };
        Ok(address)
    }
}

/// Prints a line to standard output; whoever has seen enough of it may close it.
pub fn print_line(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Runs a command to its end and says on standard error why it failed, in one line.
///
/// SIGINT and SIGTERM end the process with the exit code that a shell would give it.
pub fn run(name: &str, command: impl Future<Output = Result<(), CliError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(name, format_args!("cannot start a runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    // A thread of its own: the command itself may be blocked in writing to a pipe that is full. The kernel's own
    // way to end a process does not reach one that is the first of its container.
    let (watching, watched) = std::sync::mpsc::channel();
    std::thread::spawn(move || end_on_signal(watching));
    // Its end of the channel goes when it watches, or cannot.
    let _ = watched.recv();
    let result = runtime.block_on(command);
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough: `| head`.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            tell(name, format_args!("{error}"));
            match error {
                CliError::Address(_)
                | CliError::UserWithoutPassword(_)
                | CliError::Usage(_)
                | CliError::Tls(_) => ExitCode::from(EXIT_USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn end_on_signal(watching: std::sync::mpsc::Sender<()>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        // Without handlers, the kernel's way stays.
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return };
        drop(watching);
        let code = tokio::select! {
            _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
            _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
        };
        std::process::exit(code);
    });
}

/// A line on standard error; nobody is left to be told when that fails.
fn tell(name: &str, text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "carillon {name}: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(server: &str, username: &str, password: &str) -> ServerSettings {
        ServerSettings {
            server: server.into(),
            trust: TrustSettings { ca_file: None },
            login: LoginSettings { username: Some(username.into()), password: Some(password.into()) },
        }
    }

    #[test]
    fn flags_and_variables_go_before_the_credentials_in_the_address() {
        let credentials =
            |settings: ServerSettings| settings.addresses().expect("is valid").remove(0).credentials;
        let ann = |password: &str| Some(Credentials::new(password).for_user("ann"));
        assert_eq!(credentials(settings("redis://ann:a@broker", "", "")), ann("a"));
        assert_eq!(credentials(settings("redis://ann:a@broker", "", "b")), ann("b"));
        assert_eq!(credentials(settings("broker", "ann", "b")), ann("b"));
        assert_eq!(credentials(settings("broker", "", "")), None);
        let error = settings("broker", "ann", "").addresses().expect_err("has no password");
        assert!(matches!(error, CliError::UserWithoutPassword(_)));
    }

    #[test]
    fn a_debug_form_shows_no_password() {
        let shown = format!("{:?}", settings("redis://ann:secret@broker", "ann", "secret"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
