//! The `carillon` binary.

use std::{io::IsTerminal as _, path::Path, process::ExitCode};

use carillon_broker::{
    app,
    cli::{self, EXIT_USAGE},
    config::{Command, CommandLine, LogFormat, ServeSettings},
    raft::store,
    server::Log,
};
use clap::Parser;
use tracing_subscriber::EnvFilter;

/// openraft warns of every heartbeat that does not arrive; what matters of it is in our own words.
const QUIET: &str = "openraft=error";

fn main() -> ExitCode {
    let command_line = CommandLine::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { EXIT_USAGE.into() } else { 0 });
    });
    let mut dev = None;
    let settings = match command_line.command {
        Some(Command::Serve(settings)) => *settings,
        Some(Command::Dev(settings)) => {
            dev = Some(settings);
            command_line.serve
        }
        Some(Command::Status(settings)) => return cli::status(&settings),
        Some(Command::Clients(settings)) => return cli::clients(&settings),
        Some(Command::Subscribers(settings)) => return cli::subscribers(&settings),
        Some(Command::LogLevel(settings)) => return cli::log_level(&settings),
        Some(Command::Nodes(settings)) => return cli::nodes(&settings),
        Some(Command::Drain(settings)) => return cli::drain(&settings),
        Some(Command::Pub(settings)) => return cli::run("pub", cli::publish(*settings)),
        Some(Command::Sub(settings)) => return cli::run("sub", cli::subscribe(*settings)),
        Some(Command::Bench(settings)) => return cli::run("bench", cli::bench(*settings)),
        Some(Command::SetAside { data_dir }) => return set_aside(&data_dir),
        None => command_line.serve,
    };
    let log = match start_log(&settings) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("carillon: --log-level '{}': {error}", settings.log_level);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let ended = match &dev {
        Some(dev) => app::dev(dev, &settings, &log),
        None => app::serve_here(&settings, log),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "carillon ends");
            ExitCode::from(error.exit_code())
        }
    }
}

fn set_aside(data_dir: &Path) -> ExitCode {
    match store::set_aside(data_dir) {
        Ok(aside) => {
            eprintln!("carillon: {} is now {}", data_dir.display(), aside.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("carillon: {} cannot be set aside: {error}", data_dir.display());
            ExitCode::FAILURE
        }
    }
}

/// Starts the log; what is logged can be changed with what this returns.
fn start_log(settings: &ServeSettings) -> Result<Log, tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(format!("{QUIET},{}", settings.log_level))?;
    // Colours are for people at a terminal, not for log files.
    let is_terminal = std::io::stderr().is_terminal();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr);
    Ok(match settings.log_format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let filter = log.reload_handle();
            log.init();
            Log::new(move |level| report(filter.reload(EnvFilter::new(QUIET).add_directive(level.into()))))
        }
        LogFormat::Json => {
            let log = log.json().with_filter_reloading();
            let filter = log.reload_handle();
            log.init();
            Log::new(move |level| report(filter.reload(EnvFilter::new(QUIET).add_directive(level.into()))))
        }
    })
}

fn report(changed: Result<(), tracing_subscriber::reload::Error>) {
    if let Err(error) = changed {
        tracing::warn!(%error, "the log level could not be changed");
    }
}
