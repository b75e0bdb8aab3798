//! Layers of options: what the command line and the environment leave open, the file answers.
//!
//! Comes in: the same struct, once from flags and environment, once from a TOML file. Goes out: one
//! of both, the former winning. It must never pass over a key that it does not know.

use std::path::Path;

use serde::de::DeserializeOwned;

/// Settings that a program does not start on: what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    /// A refusal in words for people.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What is wrong with settings, gathered so that all of it is told at once.
#[derive(Debug, Default)]
pub struct Faults(Vec<String>);

impl Faults {
    /// What a step has made, or `None` and its refusal kept.
    pub fn keep<T>(&mut self, step: Result<T, Refused>) -> Option<T> {
        step.map_err(|refused| self.0.push(refused.0)).ok()
    }

    /// All that is wrong as one refusal; `None` where nothing is.
    #[must_use]
    pub fn refused(self) -> Option<Refused> {
        match self.0.as_slice() {
            [] => None,
            [one] => Some(Refused::new(one)),
            several => {
                let each: Vec<String> = several.iter().map(|why| format!("\n  - {why}")).collect();
                Some(Refused(format!(
                    "{} settings are wrong:{}",
                    several.len(),
                    each.concat()
                )))
            }
        }
    }
}

/// Options of which each may be left open.
pub trait Layered {
    /// These, and where they are open, those of `below`.
    #[must_use]
    fn over(self, below: Self) -> Self;
}

/// Fields that are `Option`s, or layers themselves.
#[macro_export]
macro_rules! layered {
    ($name:ident { $($field:ident),* $(,)? } $(with { $($inner:ident),* $(,)? })?) => {
        impl $crate::Layered for $name {
            fn over(self, below: Self) -> Self {
                Self {
                    $($field: self.$field.or(below.$field),)*
                    $($($inner: $crate::Layered::over(self.$inner, below.$inner),)*)?
                }
            }
        }
    };
}

/// Reads a file of options. Without a name, the file at `usual` is read if there is one.
///
/// # Errors
/// [`Refused`], with the line, when it cannot be read or holds a key that is not known.
pub fn file<T: DeserializeOwned + Default>(
    named: Option<&Path>,
    usual: &Path,
) -> Result<T, Refused> {
    let path = named.unwrap_or(usual);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(T::default());
        }
        Err(error) => {
            let path = path.display();
            return Err(Refused(format!("cannot read the file {path}: {error}")));
        }
    };
    toml::from_str(&text).map_err(|error| {
        let error = error.to_string();
        Refused(format!("{}: {}", path.display(), error.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        deep: Option<u32>,
    }
    layered!(Inner { deep });

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        name: Option<String>,
        port: Option<u16>,
        inner: Inner,
    }
    layered!(Outer { name, port } with { inner });

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_answers_what_flags_leave_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "name = \"file\"\nport = 1\n[inner]\ndeep = 7\n").unwrap();
        let flags = Outer {
            port: Some(2),
            ..Outer::default()
        };
        let both = flags.over(file(Some(&path), &path).unwrap());
        assert_eq!(both.name.as_deref(), Some("file"));
        assert_eq!((both.port, both.inner.deep), (Some(2), Some(7)));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        assert_eq!(file::<Outer>(None, &path), Ok(Outer::default()));
        assert!(file::<Outer>(Some(&path), &path).is_err());
        std::fs::write(&path, "name = \"x\"\n[inner]\ndepe = 7\n").unwrap();
        let refused = file::<Outer>(None, &path).unwrap_err().to_string();
        assert!(
            refused.contains("line 3") && refused.contains("depe"),
            "{refused}"
        );
    }
}
