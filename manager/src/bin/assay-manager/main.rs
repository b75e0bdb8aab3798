//! The manager as a process of the cluster.
//!
//! Comes in: options. Goes out: a manager that campaigns, leads or stands by, until it is told to
//! stop: it then gives its key back, so that another one leads within a second. Exit codes: 0 left
//! as asked, 1 failed, 2 did not start on its options.

mod options;
mod wiring;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use assay_manager::emf::Emf;
use assay_manager::{Fleet, Manager, ManagerHandle, Role};
use assay_process::environment::{known, misspelt, present};
use assay_process::run::{Failure, enter, health, listen, refuse};
use assay_process::{Started, Stop};
use assay_telemetry::http::{self, Pages};
use assay_telemetry::{Telemetry, machine};
use clap::{CommandFactory, Parser};
use tokio::time::MissedTickBehavior;

use options::{Flags, Settings};

/// How long giving the key back and ending the streams may take.
const LEAVE_MAX: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let flags = Flags::parse();
    let (config_check, ask_health) = (flags.config_check, flags.health);
    let settings = match flags.settings() {
        Ok(settings) => settings,
        Err(refused) => return refuse("assay-manager", &refused),
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
    enter("assay-manager", &log, |Started { stop }| {
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
    let door = listen("nodes and clients", settings.listen).await?;
    let tls = wiring::tls(&settings)?;
    let started = tokio::select! {
        () = stop.asked() => return Ok(()),
        started = wiring::parts(&settings, telemetry.clone(), &door) => started?,
    };
    let (parts, store) = started;
    let manager = Manager::start(parts);
    wiring::tell(&manager, &settings, store).await?;
    tokio::spawn(http::serve(pages, pages_of(&manager, telemetry)));
    wiring::serve(&manager, door, tls);
    wiring::keep_schedule(&manager, &settings).await?;
    tracing::info!(name = %settings.name, listen = %settings.listen, telemetry = %settings.telemetry, "the manager is up");
    if let Some(lineage) = settings.lineage.clone() {
        manager.tell_lineage(lineage);
    }
    if let Some((emf, every)) = settings.emf {
        tokio::spawn(publish(manager.clone(), emf, every));
    }
    stop.asked().await;
    tracing::info!("asked to stop: gives the lead back");
    let left = stop
        .unless_insisted(async {
            if tokio::time::timeout(LEAVE_MAX, manager.shutdown())
                .await
                .is_err()
            {
                tracing::warn!("leaving took too long; the lease lapses by itself");
            }
        })
        .await;
    tracing::info!(left, "the manager has stopped");
    Ok(())
}

/// Prints the fleet's figures for as long as the program runs; a manager that stands by says
/// nothing, so that each figure has one source.
async fn publish(manager: ManagerHandle, emf: Emf, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(view) = manager.view().await else {
            continue;
        };
        let line = emf.line(&Fleet::of(&view), manager.now());
        if let Err(error) = writeln!(std::io::stdout(), "{line}") {
            tracing::warn!(%error, "the metrics cannot be printed");
        }
    }
}

fn pages_of(manager: &ManagerHandle, telemetry: Telemetry) -> Pages {
    let (roles, store) = (manager.roles(), manager.store_away());
    Pages {
        telemetry,
        refresh: machine::refresh("assay_manager"),
        ready: Arc::new(move || match (&*roles.borrow(), &*store.borrow()) {
            (Role::Leading { .. } | Role::Standby { leader: None }, Some(away)) => Err(format!(
                "the store has not answered since {}: {}",
                away.since, away.reason
            )),
            (Role::Leading { epoch }, None) => Ok(format!("leads in epoch {}", epoch.0)),
            (
                Role::Standby {
                    leader: Some(leader),
                },
                _,
            ) => Ok(format!("stands by for {}", leader.name)),
            (Role::Standby { leader: None }, None) => Err("no leader is known".to_owned()),
            (Role::Stopped, _) => Err("stopped".to_owned()),
        }),
    }
}
