//! The `assay` command: what people type.
//!
//! Comes in: a command line. Goes out: results on standard output, the rest on standard error, an
//! exit code that scripts can trust. It decides nothing about data: that is the judge's, and
//! nothing about clusters: that is the manager's.

mod args;
mod check;
mod client;
mod cloud;
mod commands;
mod config;
mod context;
mod demo;
mod dev;
mod exit;
mod lock;
mod progress;
mod schedule;
mod serve;
mod show;
mod sources;
mod stop;

use std::process::ExitCode;

use anyhow::Result;
use assay_telemetry::log::{LogFormat, LogSettings, start};
use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use commands::settings::ConfigCommand;
use context::Context;
use exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match enter(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let said = exit::said(&error);
            show::say(&format!("error: {}\n", show::text::safe(&said, false)));
            exit::of(&error).into()
        }
    }
}

fn enter(cli: Cli) -> Result<Exit> {
    if let Command::Config(ConfigCommand::Use { name }) = &cli.command {
        return commands::settings::choose(name.as_deref(), &cli.global);
    }
    let cx = Context::new(cli.global)?;
    let filter = match cx.global.verbose {
        0 => std::env::var("ASSAY_LOG").unwrap_or_else(|_| "error".to_owned()),
        1 => "info".to_owned(),
        _ => "debug,h2=info,hyper=info,sqlx=info".to_owned(),
    };
    start(&LogSettings {
        format: LogFormat::Text,
        filter,
        color: cx.screen.color,
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(dispatch(cli.command, &cx));
    // A blocking read of a slow disk must not hold up the end.
    runtime.shutdown_background();
    exit
}

async fn dispatch(command: Command, cx: &Context) -> Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(args, cx).await,
        Command::Dev(args) => serve::run(args, cx).await,
        // On the heap: it is large.
        Command::Check(args) => Box::pin(check::run(args, cx)).await,
        Command::Judge(args) => commands::judge::run(args, cx).await,
        Command::Dataset(command) => commands::dataset::run(command, cx).await,
        Command::Run(command) => commands::run::run(command, cx).await,
        Command::Metric(command) => commands::metric::run(command, cx).await,
        Command::Incident(command) => commands::incident::run(command, cx).await,
        Command::Subscribe(command) => commands::subscribe::run(command, cx).await,
        Command::Feedback(command) => commands::feedback::run(command, cx).await,
        Command::Node(command) => commands::node::run(command, cx).await,
        Command::Cluster(command) => commands::cluster::run(command, cx).await,
        Command::Schedule(command) => commands::schedule::run(command, cx).await,
        Command::Token(command) => commands::token::run(command, cx),
        Command::Audit(command) => commands::audit::run(command, cx).await,
        Command::Doctor => commands::doctor::run(cx).await,
        Command::Config(command) => commands::settings::run(&command, cx),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "assay", &mut out);
            show::write_out(&String::from_utf8_lossy(&out))?;
            Ok(Exit::Ok)
        }
        Command::Help { topic } => commands::help::run(topic.as_deref(), cx),
        Command::Version => commands::version::run(cx),
    }
}
