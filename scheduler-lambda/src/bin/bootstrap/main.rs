//! The scheduled function: asks the managers for every run that is due.
//!
//! Comes in: an event (`{"kind":"tick"}` each minute; `{"kind":"explain","dataset":"ID"}` and
//! `{"kind":"list"}` from the command line), the table of definitions, the managers. Goes out: runs,
//! and a report. Nothing is kept between two events: it may be started twice, late, in any order, or
//! not at all. It must never print a secret, or end without an answer: what panics is an error.

mod events;
mod settings;
mod wiring;

use std::process::ExitCode;
use std::sync::Arc;

use assay_telemetry::log::{self, LogFormat, LogSettings};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

use settings::Settings;

fn main() -> ExitCode {
    let settings = match Settings::of(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(why) => {
            eprintln!("bootstrap: {why}");
            return ExitCode::from(2);
        }
    };
    let started = log::start(&LogSettings {
        format: LogFormat::Json,
        filter: settings.log.clone(),
        color: false,
    });
    if let Err(error) = started {
        eprintln!("bootstrap: {error}");
        return ExitCode::from(2);
    }
    // One event at a time, which waits for others most of its time: one thread is enough.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bootstrap: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function has ended");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Settings) -> Result<(), lambda_runtime::Error> {
    let parts = Arc::new(wiring::Parts::new(settings).await?);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let parts = Arc::clone(&parts);
        async move { events::answer(&parts, event).await }
    }))
    .await
}
