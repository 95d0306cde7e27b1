//! The `carillon` binary.

use std::{io::IsTerminal as _, process::ExitCode};

use carillon_broker::{
    app,
    config::{Command, CommandLine, LogFormat, ServeSettings},
    server::Log,
};
use clap::Parser;
use tracing_subscriber::EnvFilter;

/// `EX_USAGE` of sysexits.h: what was asked for cannot be done as asked.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let command_line = CommandLine::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { EXIT_USAGE.into() } else { 0 });
    });
    let settings = match command_line.command {
        Some(Command::Serve(settings)) => *settings,
        None => command_line.serve,
    };
    let log = match start_log(&settings) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("carillon: --log-level '{}': {error}", settings.log_level);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("carillon: cannot start a runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(app::serve(&settings, log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "carillon ends");
            ExitCode::FAILURE
        }
    }
}

/// Starts the log; what is logged can be changed with what this returns.
fn start_log(settings: &ServeSettings) -> Result<Log, tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(&settings.log_level)?;
    // Colours are for people at a terminal, not for log files.
    let is_terminal = std::io::stderr().is_terminal();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr);
    Ok(match settings.log_format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let filter = log.reload_handle();
            log.init();
            Log::new(move |level| report(filter.reload(EnvFilter::default().add_directive(level.into()))))
        }
        LogFormat::Json => {
            let log = log.json().with_filter_reloading();
            let filter = log.reload_handle();
            log.init();
            Log::new(move |level| report(filter.reload(EnvFilter::default().add_directive(level.into()))))
        }
    })
}

fn report(changed: Result<(), tracing_subscriber::reload::Error>) {
    if let Err(error) = changed {
        tracing::warn!(%error, "the log level could not be changed");
    }
}
