//! What a process says of itself on `/metrics`.
//!
//! Comes in: a port of telemetry. Goes out: numbers by series. It must never take a series that is
//! not there for zero in silence: [`Page::sum`] says how many it has added.

use std::net::{Ipv4Addr, SocketAddr};

use assay_telemetry::http;

/// One scraped page.
#[derive(Debug, Clone)]
pub struct Page {
    lines: Vec<(String, f64)>,
}

impl Page {
    /// The page of the process whose telemetry is at `port`.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn of(port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let text = http::ask(address, "/metrics").expect("the page of a running process");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self {
            lines: lines.collect(),
        }
    }

    /// The sum of all series of this name that carry all of `labels`, each as `name="value"`, and
    /// how many there are.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> (f64, usize) {
        let of = |series: &str| {
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            own == name && labels.iter().all(|label| rest.contains(label))
        };
        let found = self.lines.iter().filter(|(series, _)| of(series));
        found.fold((0.0, 0), |(sum, n), (_, value)| (sum + value, n + 1))
    }
}
