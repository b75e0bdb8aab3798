//! Parameters of a request: read, checked, and none that is not known.
//!
//! Comes in: a query as it was sent. Goes out: values of the kinds that an endpoint declares, or the
//! problem with the first that is wrong. It must never pass over a parameter.

use std::collections::BTreeMap;

use assay_answers::Problem;
use assay_answers::facts::Cut;
use serde_json::{Value, json};

use crate::problem::{BAD_PARAMETER, UNKNOWN_PARAMETER, shown};

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A text of at most 1,024 bytes.
    Text,
    /// A whole number from one to another.
    Number(u64, u64),
    /// `true` or `false`; without a value it is `true`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A parameter of the query.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What it may be.
    pub kind: Kind,
}

/// Bytes of a text.
const TEXT_MAX: usize = 1024;

impl Param {
    /// Its schema.
    #[must_use]
    pub fn schema(&self) -> Value {
        match self.kind {
            Kind::Text => json!({ "type": "string", "maxLength": TEXT_MAX }),
            Kind::Number(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Word(words) => json!({ "type": "string", "enum": words }),
        }
    }

    fn check(&self, value: &str) -> Result<(), Problem> {
        let wrong = |what: String| BAD_PARAMETER.because(format!("`{}`: {what}", self.name));
        match self.kind {
            Kind::Text if value.len() > TEXT_MAX => {
                Err(wrong(format!("use at most {TEXT_MAX} bytes")))
            }
            Kind::Text if value.chars().any(|c| c == '\0') => Err(wrong("holds a NUL".to_owned())),
            Kind::Text => Ok(()),
            Kind::Number(least, most) => match value.parse::<u64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                _ => Err(wrong(format!(
                    "`{}` is not a whole number from {least} to {most}",
                    shown(value)
                ))),
            },
            Kind::Flag if matches!(value, "" | "true" | "false") => Ok(()),
            Kind::Flag => Err(wrong("use true or false".to_owned())),
            Kind::Word(words) if words.contains(&value) => Ok(()),
            Kind::Word(words) => Err(wrong(format!("use one of {}", words.join(", ")))),
        }
    }
}

/// The parameters of a query.
#[derive(Debug, Clone, Default)]
pub struct Query(BTreeMap<&'static str, String>);

impl Query {
    /// Reads a query by what is declared.
    ///
    /// # Errors
    /// [`Problem`] naming the parameter.
    pub fn read(text: &str, declared: &[Param]) -> Result<Self, Problem> {
        let mut values = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let Some(param) = declared.iter().find(|param| param.name == name) else {
                let known: Vec<&str> = declared.iter().map(|param| param.name).collect();
                let known = match known.as_slice() {
                    [] => "this path takes none".to_owned(),
                    known => format!("this path takes {}", known.join(", ")),
                };
                let what = format!("`{}` is not known; {known}", shown(&name));
                return Err(UNKNOWN_PARAMETER.because(what));
            };
            param.check(&value)?;
            if values.insert(param.name, value.into_owned()).is_some() {
                let what = format!("`{}` is given twice", param.name);
                return Err(BAD_PARAMETER.because(what));
            }
        }
        Ok(Self(values))
    }

    /// A text; an empty one is none.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|text| !text.is_empty()).cloned()
    }

    /// A number, which was checked when it was read.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.parse().ok()
    }

    /// A flag.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value != "false")
    }

    /// Where a list begins.
    #[must_use]
    pub fn cut(&self) -> Cut {
        Cut {
            limit: self.number("limit").and_then(|n| u32::try_from(n).ok()),
            cursor: self.text("cursor"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Param] = &[
        Param {
            name: "limit",
            about: "",
            kind: Kind::Number(1, 1000),
        },
        Param {
            name: "search",
            about: "",
            kind: Kind::Text,
        },
        Param {
            name: "dryRun",
            about: "",
            kind: Kind::Flag,
        },
        Param {
            name: "sort",
            about: "",
            kind: Kind::Word(&["id", "health"]),
        },
    ];

    #[test]
    fn every_parameter_is_known_of_its_kind_and_given_once() {
        let query = Query::read("limit=7&search=a%20b&dryRun", KNOWN).unwrap();
        assert_eq!(query.cut().limit, Some(7));
        assert_eq!(query.text("search").as_deref(), Some("a b"));
        assert!(query.flag("dryRun") && !query.flag("sort"));
        for (bad, slug) in [
            ("limt=7", "unknown-parameter"),
            ("limit=0", "bad-parameter"),
            ("limit=-1", "bad-parameter"),
            ("limit=1&limit=2", "bad-parameter"),
            ("sort=size", "bad-parameter"),
            ("dryRun=perhaps", "bad-parameter"),
            ("search=%00", "bad-parameter"),
        ] {
            let problem = Query::read(bad, KNOWN).unwrap_err();
            assert_eq!((problem.slug(), problem.status), (slug, 400), "{bad}");
        }
    }
}
