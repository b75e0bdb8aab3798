//! Where lineage goes, as an operator says it.
//!
//! Comes in: texts of settings. Goes out: a sink, or what is wrong with them. It must never show a
//! credential: they are named by where they are kept.

use std::path::PathBuf;
use std::sync::Arc;

use crate::sink::{Credential, FileSink, HttpSink, LineageSink};

/// The settings; without an endpoint and a file, lineage is told to nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The endpoint (`https://…/api/v1/lineage`).
    pub url: Option<String>,
    /// The file.
    pub file: Option<PathBuf>,
    /// Where the endpoint's credential is kept: `env:NAME` or `file:PATH`.
    pub credential: Option<String>,
    /// The namespace of the jobs; absent: `assay`.
    pub namespace: Option<String>,
}

impl Settings {
    /// The sink, if one is named.
    ///
    /// # Errors
    /// In words, when the settings cannot work.
    pub fn sink(&self) -> Result<Option<Arc<dyn LineageSink>>, String> {
        if let Some(namespace) = &self.namespace
            && (namespace.is_empty() || namespace.len() > 200)
        {
            return Err("the namespace of lineage has 1 to 200 characters".to_owned());
        }
        match (&self.url, &self.file) {
            (Some(_), Some(_)) => {
                Err("lineage goes to an endpoint or to a file: name one of them".to_owned())
            }
            (None, _) if self.credential.is_some() => {
                Err("a credential of lineage is for an endpoint, and none is named".to_owned())
            }
            (None, None) => Ok(None),
            (None, Some(path)) => Ok(Some(Arc::new(FileSink::new(path.clone())))),
            (Some(url), None) => {
                let credential = self.credential.as_deref().map(credential).transpose()?;
                Ok(Some(Arc::new(HttpSink::new(url, credential)?)))
            }
        }
    }

    /// The namespace of the jobs.
    #[must_use]
    pub fn namespace(&self) -> String {
        self.namespace.clone().unwrap_or_else(|| "assay".to_owned())
    }
}

/// What reads the credential that is kept at `reference`.
fn credential(reference: &str) -> Result<Credential, String> {
    let named = match reference.strip_prefix("file:") {
        Some(path) => PathBuf::from(path),
        None if reference.starts_with(assay_files::VARIABLE) => PathBuf::from(reference),
        // Not shown: somebody may have written the credential itself.
        None => {
            let why = "the credential of lineage is no reference: write env:NAME or file:PATH";
            return Err(why.to_owned());
        }
    };
    Ok(Arc::new(move || {
        let bytes = assay_files::read(&named);
        let bytes = bytes.map_err(|why| format!("{}: {why}", named.display()))?;
        String::from_utf8(bytes).map_err(|_| format!("{} is no text", named.display()))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_and_show_no_credential() {
        let url = Some("https://lineage.example/api/v1/lineage".to_owned());
        let good = Settings {
            url: url.clone(),
            credential: Some("env:TOKEN".to_owned()),
            ..Settings::default()
        };
        assert!(good.sink().unwrap().is_some());
        assert!(Settings::default().sink().unwrap().is_none());
        let bare = Settings {
            credential: Some("hush".to_owned()),
            ..good.clone()
        };
        let why = bare.sink().err().unwrap();
        assert!(why.contains("env:NAME") && !why.contains("hush"), "{why}");
        for url in ["ftp://x/", "lineage.example", "https://me:hush@x/"] {
            let bad = Settings {
                url: Some(url.to_owned()),
                ..Settings::default()
            };
            let why = bad.sink().err().unwrap();
            assert!(!why.contains("hush"), "{why}");
        }
        let both = Settings {
            file: Some(PathBuf::from("x")),
            ..good
        };
        assert!(both.sink().is_err());
    }
}
