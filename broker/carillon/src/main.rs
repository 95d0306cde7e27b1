//! The `carillon` binary.

use std::{io::IsTerminal as _, path::Path, process::ExitCode};

use carillon_broker::{
    app::{self, RunError},
    config::{ConfigError, LogFilter, LogFilterError, LogFormat, Settings, Sources},
    raft::store,
    server::Log,
};
use carillon_cli::{
    cli::{self, Command, CommandLine, EXIT_USAGE},
    dev,
};
use clap::Parser as _;
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

/// openraft warns of every heartbeat that does not arrive; what matters of it is in our own words.
const QUIET: &str = "openraft=error";

fn main() -> ExitCode {
    let command_line = CommandLine::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { EXIT_USAGE.into() } else { 0 });
    });
    match command_line.command {
        Some(Command::Serve(flags)) => serve(flags.sources),
        Some(Command::Check(flags)) => check(&flags.sources),
        Some(Command::Dev(settings)) => {
            run(&command_line.serve.sources, |defaults, log| dev(&settings, defaults, &log))
        }
        Some(Command::Status(settings)) => cli::status(&settings),
        Some(Command::Clients(settings)) => cli::clients(&settings),
        Some(Command::Subscribers(settings)) => cli::subscribers(&settings),
        Some(Command::LogLevel(settings)) => cli::log_level(&settings),
        Some(Command::Nodes(settings)) => cli::nodes(&settings),
        Some(Command::Drain(settings)) => cli::drain(&settings),
        Some(Command::Pub(settings)) => cli::run("pub", cli::publish(*settings)),
        Some(Command::Sub(settings)) => cli::run("sub", cli::subscribe(*settings)),
        Some(Command::Bench(settings)) => cli::run("bench", cli::bench(*settings)),
        Some(Command::Completions { shell }) => print(&cli::completions(shell)),
        Some(Command::Man) => print(&cli::man()),
        Some(Command::SetAside { data_dir }) => set_aside(&data_dir),
        None => serve(command_line.serve.sources),
    }
}

fn serve(sources: Sources) -> ExitCode {
    run(&sources.clone(), |settings, log| app::serve_here(settings, Some(sources), log))
}

/// Prints what would hold. Ends as `serve` would, if that did not get further.
fn check(sources: &Sources) -> ExitCode {
    let configuration = match sources.load() {
        Ok(configuration) => configuration,
        Err(error) => return refuse(&error),
    };
    if let Err(error) = app::check(&configuration.settings) {
        eprintln!("carillon: {error}");
        return ExitCode::from(error.exit_code());
    }
    print(&configuration.to_toml())
}

fn print(text: &str) -> ExitCode {
    cli::print_line(text.trim_end());
    ExitCode::SUCCESS
}

fn refuse(error: &ConfigError) -> ExitCode {
    eprintln!("carillon: {error}");
    ExitCode::from(EXIT_USAGE)
}

/// Starts the log, and runs what is to be run with the settings.
fn run(sources: &Sources, node: impl FnOnce(&Settings, Log) -> Result<(), RunError>) -> ExitCode {
    let settings = match sources.load() {
        Ok(configuration) => configuration.settings,
        Err(error) => return refuse(&error),
    };
    let ended = match start_log(&settings) {
        Ok(log) => node(&settings, log),
        // The settings have been checked: nothing leads here.
        Err(error) => {
            eprintln!("carillon: --log-level '{}': {error}", settings.log_level);
            return ExitCode::from(EXIT_USAGE);
        }
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
fn start_log(settings: &Settings) -> Result<Log, LogFilterError> {
    let (filter, handle) = reload::Layer::new(targets(&settings.log_level)?);
    // Colours are for people at a terminal, not for log files.
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_ansi(is_terminal).with_writer(std::io::stderr);
    let is_json = settings.log_format == LogFormat::Json;
    let lines = if is_json { lines.json().boxed() } else { lines.boxed() };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(Log::new(move |text| {
        let targets = targets(text).map_err(|error| error.to_string());
        let changed = targets.and_then(|new| handle.reload(new).map_err(|error| error.to_string()));
        if let Err(error) = changed {
            tracing::warn!(error, "the log level could not be changed");
        }
    }))
}

fn targets(text: &str) -> Result<Targets, LogFilterError> {
    let filter: LogFilter = format!("{QUIET},{text}").parse()?;
    let targets = Targets::new().with_targets(filter.targets);
    Ok(filter.others.into_iter().fold(targets, Targets::with_default))
}
