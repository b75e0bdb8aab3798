//! From settings to a running program, and its exit code.
//!
//! Comes in: checked settings and what the program does. Goes out: 0 when it left as asked, 1 when
//! it failed, 2 when it did not start on its settings.

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use assay_telemetry::http;
use assay_telemetry::log::{self, LogSettings};
use assay_telemetry::repeat::Repeat;
use tokio::net::TcpListener;

use crate::layers::Refused;
use crate::stop::Stop;

/// What a program finds when it begins.
#[derive(Debug)]
pub struct Started {
    /// The wish to stop.
    pub stop: Stop,
}

/// Why a program ended without being asked.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Says why the program does not start on its settings; the exit code is 2.
#[must_use]
pub fn refuse(program: &str, refused: &Refused) -> ExitCode {
    eprintln!("error: {refused}\n\n{program} did not start; see: {program} --help");
    ExitCode::from(2)
}

/// Asks the process that runs on this machine whether it lives; for health checks of containers.
#[must_use]
pub fn health(address: SocketAddr) -> ExitCode {
    match http::ask(address, "/livez") {
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a program to its end.
pub fn enter<P, F>(name: &str, settings: &LogSettings, program: P) -> ExitCode
where
    P: FnOnce(Started) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    if let Err(error) = log::start(settings) {
        return refuse(name, &Refused(error.to_string()));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program's threads cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let stop = Stop::on_signals()?;
        program(Started { stop }).await
    });
    // A blocking read of a slow disk must not hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the program ends");
            ExitCode::FAILURE
        }
    }
}

/// Listens at `address`, with an error that says what for.
///
/// # Errors
/// When the address is taken or not of this machine.
pub async fn listen(what: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address} for {what}: {error}; is the port in use?").into()
    })
}

/// How long a program waits at its start for what it stands on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries `open` until it succeeds: what a program stands on may start at the same time as it.
///
/// # Errors
/// The last one, after a minute; at once, when `may_come` says that waiting does not help.
pub async fn patiently<T, E, F>(
    what: &str,
    mut open: impl FnMut() -> F,
    may_come: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Display,
{
    let until = Instant::now() + PATIENCE;
    let mut repeat = Repeat::default();
    loop {
        match open().await {
            Err(error) if may_come(&error) && Instant::now() < until => {
                if let Some(again) = repeat.fails() {
                    tracing::warn!(%error, "{what} is not there yet; trying again{again}");
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_there_yet_is_waited_for_and_a_mistake_is_not() {
        let mut tries = 0;
        let opened = patiently(
            "the store",
            || {
                tries += 1;
                let answer = if tries < 2 { Err("away") } else { Ok(tries) };
                async move { answer }
            },
            |error| *error == "away",
        );
        assert_eq!(opened.await, Ok(2));
        let refused: Result<(), _> = patiently(
            "the store",
            || async { Err("wrong password") },
            |error| *error == "away",
        )
        .await;
        assert_eq!(refused, Err("wrong password"));
    }
}
