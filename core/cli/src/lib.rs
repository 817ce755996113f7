//! The program `viaduct`: its command line, and the wiring of the parts.
//!
//! | module | one reason to exist |
//! |---|---|
//! | `args`, `orders` | the command line and its help |
//! | [`registry`] | which kinds of network there are: the only place that names the bridges |
//! | `load`, `trouble` | reading the configuration; telling what is wrong |
//! | `init`, `registration`, `capabilities`, `deliveries`, `audit`, `policy`, `office`, `app`, [`doctor`] | a command each |
//! | `hub` | talking to the hub that is running |
//! | `settings`, `run` | from the configuration to a hub at work |
//! | `system`, `logging`, `console` | the real clock and chance, the log, the terminal |
//!
//! # Extending
//!
//! A new bridge is one line in [`registry::factories`]. A new command is a variant in `args`, a module that gives its
//! output as text, and a line in `obey`.

mod accounts;
mod app;
mod args;
mod audit;
mod capabilities;
mod console;
mod deliveries;
pub mod doctor;
mod hub;
mod init;
mod letter;
mod load;
mod logging;
mod office;
mod orders;
mod policy;
mod protect;
mod registration;
pub mod registry;
mod run;
mod settings;
mod system;
mod trouble;

use std::process::ExitCode;

use clap::Parser;
use viaduct_config::Severity;

use crate::args::{Cli, Command};
use crate::registry::Registry;

/// Reads the command line, obeys it, and tells how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console::complain(&format!("error: no threads could be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(obey(cli)) {
        Ok(code) => code,
        Err(error) => {
            console::complain(&trouble::tell(&error));
            ExitCode::FAILURE
        }
    }
}

async fn obey(cli: Cli) -> anyhow::Result<ExitCode> {
    let registry = Registry::new();
    let path = &cli.config;
    let shown = &hub::Shown::new(cli.token_file);
    match cli.command {
        Command::Init(given) => console::say(&init::run(path, given, &registry, &system::SystemEntropy)?),
        Command::Check { json } => return check(path, json, &registry),
        Command::Doctor(wanted) => {
            let config = load::load(path, &registry)?.config;
            let findings = doctor::examine(&config, shown, &wanted, &registry).await?;
            let told = if wanted.json {
                serde_json::to_string_pretty(&findings)?
            } else {
                doctor::text(&findings)
            };
            console::say(&told);
            return Ok(if doctor::is_well(&findings) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Command::Registration => console::say(&registration::text(&load::load(path, &registry)?.config)?),
        Command::Run => run::run(path, &registry).await?,
        Command::Capabilities { markdown, json } => console::say(&match (markdown, json) {
            (true, _) => capabilities::markdown(&registry),
            (_, true) => serde_json::to_string_pretty(&capabilities::json(&registry))?,
            _ => capabilities::text(&registry),
        }),
        Command::Deliveries { action } => {
            console::say(&deliveries::run(&load::load(path, &registry)?.config, shown, action).await?);
        }
        Command::Audit { action } => return Ok(told(&audit::run(path, shown, action, &registry).await?)),
        Command::Policy { action } => return Ok(told(&policy::run(path, shown, action, &registry).await?)),
        Command::Quarantine { action } => {
            console::say(&office::quarantine(&load::load(path, &registry)?.config, shown, action).await?);
        }
        Command::Partner { action } => {
            console::say(&office::partner(&load::load(path, &registry)?.config, shown, action).await?);
        }
        Command::Hold { action } => {
            console::say(&office::hold(&load::load(path, &registry)?.config, shown, action).await?);
        }
        Command::Subject { action } => {
            console::say(&office::subject(&load::load(path, &registry)?.config, shown, action).await?);
        }
        Command::Kind(words) => console::say(&app::run(path, &words, &registry)?),
        Command::Schema => console::say(&serde_json::to_string_pretty(&viaduct_config::schema(&registry))?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a text, and says by the exit status whether all is well.
fn told((text, well): &(String, bool)) -> ExitCode {
    console::say(text);
    if *well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `viaduct check`: all problems, and whether the configuration may be used.
fn check(path: &std::path::Path, json: bool, registry: &Registry) -> anyhow::Result<ExitCode> {
    let problems = match load::read(path, registry)? {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    };
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if json {
        console::say(&serde_json::to_string_pretty(&problems)?);
    } else {
        let mut told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        told.push(format!("{}: {errors} errors, {warnings} warnings", path.display()));
        console::say(&told.join("\n"));
    }
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
