//! The gateway as a process of the cluster.
//!
//! Comes in: options. Goes out: the HTTP API, until it is told to stop: it then says that it is
//! leaving, answers what was asked, and ends. Exit codes: 0 left as asked, 1 failed, 2 did not start
//! on its options. It must never answer anybody whom its guard does not know.

mod door;
mod options;
mod wiring;

use std::process::ExitCode;
use std::sync::Arc;

use assay_gateway::{Gateway, Seams};
use assay_process::environment::{known, misspelt, present};
use assay_process::run::{Failure, enter, health, listen, refuse};
use assay_process::{Started, Stop};
use assay_telemetry::http::{self, Pages};
use assay_telemetry::{Telemetry, machine};
use clap::{CommandFactory, Parser};

use options::{Flags, Settings};

fn main() -> ExitCode {
    let flags = Flags::parse();
    let (config_check, ask_health) = (flags.config_check, flags.health);
    let settings = match flags.settings() {
        Ok(settings) => settings,
        Err(refused) => return refuse("assay-gateway", &refused),
    };
    let misspelt = misspelt(&known(&Flags::command()), present());
    if config_check {
        for line in &misspelt {
            eprintln!("warning: {line}");
        }
        println!("{settings}\nthe options are in order");
        return ExitCode::SUCCESS;
    }
    if ask_health {
        return health(settings.telemetry);
    }
    let log = settings.log.clone();
    enter("assay-gateway", &log, |Started { stop }| {
        for line in misspelt {
            tracing::warn!("{line}");
        }
        run(settings, stop)
    })
}

async fn run(settings: Settings, stop: Stop) -> Result<(), Failure> {
    let telemetry = Telemetry::default();
    machine::describe(&telemetry, env!("CARGO_PKG_VERSION"));
    let pages = listen("telemetry", settings.telemetry).await?;
    let door = listen("the HTTP API", settings.listen).await?;
    let tls = wiring::tls(&settings)?;
    let (parts, audit) = tokio::select! {
        () = stop.asked() => return Ok(()),
        parts = wiring::parts(&settings, telemetry.clone()) => parts?,
    };
    let gateway = Gateway::new(parts)
        .paged(Seams::default())
        .guarded(settings.guard, audit)?
        .stopping(settings.stopping)
        .secured(tls);
    let ready = gateway.readiness();
    let ready = Arc::new(move || ready().map(|()| "answers".to_owned()));
    tokio::spawn(http::serve(
        pages,
        Pages {
            telemetry,
            refresh: machine::refresh("assay_gateway"),
            ready,
        },
    ));
    tracing::info!(listen = %settings.listen, telemetry = %settings.telemetry, "the gateway is up");
    let asked = {
        let stop = stop.clone();
        async move {
            stop.asked().await;
            tracing::info!("asked to stop: answers what was asked");
        }
    };
    let mut served = Ok(());
    let serves = async { served = gateway.serve(door, asked).await };
    let left = stop.unless_insisted(serves).await;
    tracing::info!(left, "the gateway has stopped");
    Ok(served?)
}
