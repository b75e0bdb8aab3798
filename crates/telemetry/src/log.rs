//! The log: one line per event on standard error, for people or as JSON.

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How the log is set up.
#[derive(Debug, Clone, Default)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged (`info`, `assay_manager=debug,warn`); empty is `warn`.
    pub filter: String,
    /// Whether lines are coloured.
    pub color: bool,
}

/// Sends the program's events to standard error, once per process.
///
/// # Errors
/// When the filter cannot be read, or the log has been set up before.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = match settings.filter.as_str() {
        "" => EnvFilter::new("warn"),
        text => EnvFilter::try_new(text)
            .map_err(|error| anyhow::anyhow!("the log filter `{text}` cannot be read: {error}"))?,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Telling on standard error that standard error cannot be written to panics.
        .log_internal_errors(false)
        .with_ansi(settings.color);
    let started = match settings.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be set up: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_refused_by_name() {
        let settings = LogSettings {
            filter: "assay=loudly".to_owned(),
            ..LogSettings::default()
        };
        let error = start(&settings).unwrap_err().to_string();
        assert!(error.contains("assay=loudly"), "{error}");
    }
}
