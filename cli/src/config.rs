//! Settings: layered, each value with where it comes from.
//!
//! Comes in: files, the environment, flags. Goes out: [`Settings`] and, for every key, its source.
//! built-in < /etc/assay/assay.toml < ~/.config/assay/assay.toml < ./assay.toml (or `--config`) <
//! `[profile.NAME]` of the same files < `ASSAY_SECTION__KEY` < flags. An unknown key is an error with
//! a suggestion; so is a profile that no file has. A secret is never a setting.

mod keys;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use assay_model::dataset::Credential;

use crate::args::{parse_bytes, parse_nodes};

pub use keys::KEYS;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// `section.key`.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its built-in value; empty means decided at run time.
    pub default: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any.
    Text,
    /// A port.
    Port,
    /// A number from 1.
    Count,
    /// Seconds, from 1.
    Seconds,
    /// A number of nodes, or its bounds.
    Nodes,
    /// Bytes.
    Size,
    /// Where a secret is kept. What is none is never shown: it may be the secret.
    Reference,
}

impl Kind {
    /// Why `value` is none of its values.
    fn refuses(self, value: &str) -> Option<String> {
        let number = |what: &str, good: bool| (!good).then(|| what.to_owned());
        match self {
            Self::Text => None,
            Self::Port => number("a port from 0 to 65535", value.parse::<u16>().is_ok()),
            Self::Count => number(
                "a whole number from 1",
                value.parse::<u32>().is_ok_and(|n| n > 0),
            ),
            Self::Seconds => number(
                "whole seconds from 1",
                value.parse::<u64>().is_ok_and(|n| n > 0),
            ),
            Self::Nodes => parse_nodes(value).err(),
            Self::Size => parse_bytes(value).err(),
            Self::Reference => match value.parse() {
                Ok(Credential::Env(_) | Credential::File(_)) => None,
                _ => Some("not a reference to a secret: write env:NAME or file:PATH".to_owned()),
            },
        }
    }
}

impl Key {
    const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default,
            about,
        }
    }
}

/// The environment's name for a key.
pub fn variable(key: &Key) -> String {
    let name = key.name.replace('.', "__").to_ascii_uppercase();
    format!("ASSAY_{name}")
}

/// The settings in force, each with its source.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<&'static str, (String, String)>,
    /// For each profile of the files, what it sets, weakest first: key, value, source.
    profiles: BTreeMap<String, Vec<(String, String, String)>>,
    /// The profile in force, and who chose it.
    profile: Option<(String, String)>,
    /// Whether the folder's own file was read because it lies there, and not because it was named.
    unasked: bool,
}

/// The settings file of the folder in which a command runs.
const OF_FOLDER: &str = "assay.toml";

impl Settings {
    /// Reads the layers; `explicit` is `--config`, `profile` is `--profile`.
    pub fn load(explicit: Option<&Path>, profile: Option<&str>) -> Result<Self> {
        let environment: Vec<(String, String)> = std::env::vars().collect();
        let profile = match profile {
            Some(name) => Some((
                name.to_owned(),
                "flag --profile or ASSAY_PROFILE".to_owned(),
            )),
            None => chosen()?,
        };
        Self::layered(&files(explicit), explicit, profile, &environment)
    }

    fn layered(
        files: &[PathBuf],
        explicit: Option<&Path>,
        profile: Option<(String, String)>,
        environment: &[(String, String)],
    ) -> Result<Self> {
        let mut settings = Self {
            profiles: BTreeMap::new(),
            profile: None,
            unasked: explicit.is_none(),
            values: KEYS
                .iter()
                .map(|k| (k.name, (k.default.to_owned(), "built-in".to_owned())))
                .collect(),
        };
        for file in files {
            match std::fs::read_to_string(file) {
                Ok(text) => settings.read_file(file, &text)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    if explicit == Some(file) {
                        bail!("no settings file {}", file.display());
                    }
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", file.display()));
                }
            }
        }
        if let Some((name, source)) = profile {
            settings.choose(name, source)?;
        }
        settings.read_environment(environment)?;
        Ok(settings)
    }

    /// Those of a folder's own file alone, named or not.
    #[cfg(test)]
    pub fn of_own(text: &str, named: bool) -> Self {
        let file = Path::new(OF_FOLDER);
        let mut settings = Self::layered(&[], named.then_some(file), None, &[]).unwrap();
        settings.read_file(file, text).unwrap();
        settings
    }

    /// Puts what a profile sets over what the files set.
    fn choose(&mut self, name: String, source: String) -> Result<()> {
        let Some(set) = self.profiles.get(&name).cloned() else {
            let known: Vec<String> = self.profiles.keys().cloned().collect();
            bail!("{source}: {}", no_profile(&name, &known));
        };
        for (key, value, from) in set {
            self.set(&key, value, &from)?;
        }
        self.profile = Some((name, source));
        Ok(())
    }

    /// The profile in force, and who chose it.
    pub fn profile(&self) -> Option<(&str, &str)> {
        let (name, source) = self.profile.as_ref()?;
        Some((name, source))
    }

    fn read_file(&mut self, file: &Path, text: &str) -> Result<()> {
        let table: toml::Table = text
            .parse()
            .with_context(|| format!("{} is not valid TOML", file.display()))?;
        let place = file.display().to_string();
        for (section, value) in &table {
            let Some(inner) = value.as_table() else {
                bail!("{place}: `{section}` must be a [section]");
            };
            if section == "profile" {
                self.read_profiles(&place, inner)?;
                continue;
            }
            for (key, text) in plain(&place, section, inner)? {
                self.set(&key, text, &place)?;
            }
        }
        Ok(())
    }

    /// Reads `[profile.NAME.SECTION]`s, which are checked whether they are in force or not.
    fn read_profiles(&mut self, place: &str, profiles: &toml::Table) -> Result<()> {
        for (name, sections) in profiles {
            let Some(sections) = sections.as_table() else {
                bail!("{place}: `profile.{name}` must be a [section]");
            };
            let source = format!("profile {name} in {place}");
            let mut set = Vec::new();
            for (section, inner) in sections {
                let Some(inner) = inner.as_table() else {
                    bail!("{source}: write `{section}` with its section, as in `client.server`");
                };
                for (key, text) in plain(&source, section, inner)? {
                    self.clone().set(&key, text.clone(), &source)?;
                    set.push((key, text, source.clone()));
                }
            }
            self.profiles.entry(name.clone()).or_default().extend(set);
        }
        Ok(())
    }

    fn read_environment(&mut self, environment: &[(String, String)]) -> Result<()> {
        for (name, value) in environment {
            if let Some((section, key)) = name
                .strip_prefix("ASSAY_")
                .and_then(|rest| rest.split_once("__"))
            {
                let key = format!("{section}.{key}").to_ascii_lowercase();
                self.set(&key, value.clone(), &format!("environment {name}"))?;
            }
        }
        Ok(())
    }

    /// Sets `key`, as a flag does.
    pub fn set(&mut self, key: &str, value: String, source: &str) -> Result<()> {
        let Some(known) = KEYS.iter().find(|k| k.name == key) else {
            let near = KEYS
                .iter()
                .map(|k| (strsim::jaro_winkler(k.name, key), k.name))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let hint = near
                .filter(|(likeness, _)| *likeness > 0.7)
                .map(|(_, name)| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            bail!("{source}: unknown setting `{key}`{hint}");
        };
        self.values.insert(known.name, (value, source.to_owned()));
        Ok(())
    }

    /// Sees that every value is one that its key takes.
    pub fn check(&self) -> Result<()> {
        for (key, value, source) in self.rows() {
            let wrong = Some(value).filter(|value| !value.is_empty());
            if let Some(why) = wrong.and_then(|value| key.kind.refuses(value)) {
                if key.kind == Kind::Reference {
                    bail!("{source}: {} is {why}", key.name);
                }
                bail!("{source}: `{value}` is no value for {}: {why}", key.name);
            }
        }
        Ok(())
    }

    /// The value of a key of [`KEYS`], if it is not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values
            .get(key)
            .map(|(value, _)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether a value is that of a file that only happens to lie in this folder: whoever made the
    /// folder chose it, and not who runs the command.
    pub fn is_of_folder(&self, key: &str) -> bool {
        let set = self.values.get(key).filter(|(value, _)| !value.is_empty());
        set.is_some_and(|(_, source)| {
            let file = source
                .rsplit_once(" in ")
                .map_or(source.as_str(), |at| at.1);
            self.unasked && file == OF_FOLDER
        })
    }

    /// The value of `key` read as `T`.
    pub fn parse<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        let Some((value, source)) = self.values.get(key).filter(|(v, _)| !v.is_empty()) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(_) => bail!("{source}: `{value}` is no value for {key}"),
        }
    }

    /// Every key with its value and source.
    pub fn rows(&self) -> Vec<(&'static Key, &str, &str)> {
        KEYS.iter()
            .filter_map(|key| {
                let (value, source) = self.values.get(key.name)?;
                Some((key, value.as_str(), source.as_str()))
            })
            .collect()
    }
}

/// The keys of a section with their values, as texts.
fn plain(place: &str, section: &str, inner: &toml::Table) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (key, value) in inner {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
                value.to_string()
            }
            _ => bail!("{place}: {section}.{key} must be a plain value"),
        };
        found.push((format!("{section}.{key}"), text));
    }
    Ok(found)
}

/// What to say of a profile that no file has.
pub fn no_profile(name: &str, known: &[String]) -> String {
    let known = match known {
        [] => "none has any".to_owned(),
        known => format!("they have {}", known.join(", ")),
    };
    format!(
        "no settings file has [profile.{name}]; {known}\n  see where they are: assay config path; \
         do without: assay config use"
    )
}

/// The profiles of the files.
pub fn profiles(explicit: Option<&Path>) -> Result<Vec<String>> {
    let settings = Settings::layered(&files(explicit), explicit, None, &[])?;
    Ok(settings.profiles.into_keys().collect())
}

/// The folder of the user's own settings.
fn home() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    set.or_else(home).map(|folder| folder.join("assay"))
}

/// The file that remembers which profile is in force.
pub fn profile_file() -> Option<PathBuf> {
    home().map(|folder| folder.join("profile"))
}

/// The profile that `assay config use` has chosen.
fn chosen() -> Result<Option<(String, String)>> {
    let Some(file) = profile_file() else {
        return Ok(None);
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let name = text.trim().to_owned();
            let source = format!("{} (assay config use)", file.display());
            Ok(Some((name, source)).filter(|(name, _)| !name.is_empty()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Where settings are looked for, weakest first.
pub fn files(explicit: Option<&Path>) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/etc/assay/assay.toml")];
    if let Some(home) = home() {
        found.push(home.join("assay.toml"));
    }
    found.push(explicit.map_or_else(|| PathBuf::from(OF_FOLDER), Path::to_path_buf));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn the_environment_wins_over_a_file_and_both_say_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("assay.toml");
        std::fs::write(&file, "[dev]\ngrpc_port = 9000\npoll_s = 3\n").unwrap();
        let settings = Settings::layered(
            &[file],
            None,
            None,
            &environment(&[("ASSAY_DEV__GRPC_PORT", "9001"), ("ASSAY_OUTPUT", "json")]),
        )
        .unwrap();
        assert_eq!(settings.parse::<u16>("dev.grpc_port").unwrap(), Some(9001));
        assert_eq!(settings.parse::<u64>("dev.poll_s").unwrap(), Some(3));
        let rows = settings.rows();
        let port = rows.iter().find(|r| r.0.name == "dev.grpc_port").unwrap();
        assert_eq!(port.2, "environment ASSAY_DEV__GRPC_PORT");
    }

    #[test]
    fn an_unknown_setting_is_refused_with_a_suggestion() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("assay.toml");
        std::fs::write(&file, "[dev]\ngrpc_prot = 9000\n").unwrap();
        let error = Settings::layered(&[file], None, None, &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `dev.grpc_port`"), "{error}");
    }

    #[test]
    fn a_value_of_another_kind_is_refused_with_where_it_is_from() {
        for (name, value, says) in [
            ("ASSAY_DEV__GRPC_PORT", "http", "a port"),
            ("ASSAY_DEV__GRPC_PORT", "65536", "a port"),
            ("ASSAY_DEV__SLOTS", "0", "from 1"),
            ("ASSAY_DEV__POLL_S", "-1", "seconds"),
            ("ASSAY_DEV__NODES", "many", "dev.nodes"),
            ("ASSAY_SCAN__MEMORY", "lots", "scan.memory"),
            ("ASSAY_CLIENT__TIMEOUT_S", "1.5", "seconds"),
        ] {
            let settings =
                Settings::layered(&[], None, None, &environment(&[(name, value)])).unwrap();
            let error = settings.check().unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains(value) && error.contains(says),
                "{error}"
            );
        }
        let empty = environment(&[("ASSAY_DEV__NODES", ""), ("ASSAY_DEV__POLL_S", "3")]);
        let good = Settings::layered(&[], None, None, &empty).unwrap();
        assert!(good.check().is_ok());
    }

    #[test]
    fn a_token_that_is_written_out_is_refused_and_not_repeated() {
        for value in [
            "assay_9f86d081884c",
            "literal:hunter2",
            "aws-sm:prod",
            "anonymous",
        ] {
            let set = environment(&[("ASSAY_SERVER__TOKEN", value)]);
            let settings = Settings::layered(&[], None, None, &set).unwrap();
            let error = settings.check().unwrap_err().to_string();
            assert!(
                error.contains("server.token") && error.contains("env:NAME"),
                "{error}"
            );
            assert!(!error.contains(value), "{error}");
        }
        for value in ["env:ASSAY_TOKEN", "file:/run/secrets/assay"] {
            let set = environment(&[("ASSAY_SERVER__TOKEN", value)]);
            let settings = Settings::layered(&[], None, None, &set).unwrap();
            assert!(settings.check().is_ok(), "{value}");
        }
    }

    #[test]
    fn a_profile_wins_over_every_file_and_not_over_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let (weak, strong) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        let text = "[profile.staging]\nclient.server = \"https://s\"\ndev.poll_s = 7\n";
        std::fs::write(&weak, text).unwrap();
        std::fs::write(&strong, "[dev]\npoll_s = 3\nslots = 2\n").unwrap();
        let files = [weak.clone(), strong];
        let staging = || Some(("staging".to_owned(), "flag".to_owned()));
        let none = Settings::layered(&files, None, None, &[]).unwrap();
        assert_eq!(none.parse::<u64>("dev.poll_s").unwrap(), Some(3));
        assert_eq!((none.text("client.server"), none.profile()), (None, None));
        let set = environment(&[("ASSAY_CLIENT__SERVER", "https://e")]);
        let both = Settings::layered(&files, None, staging(), &set).unwrap();
        assert_eq!(both.text("client.server"), Some("https://e"));
        assert_eq!(both.parse::<u64>("dev.poll_s").unwrap(), Some(7));
        assert_eq!(both.parse::<u64>("dev.slots").unwrap(), Some(2));
        assert_eq!(both.profile(), Some(("staging", "flag")));
        let rows = both.rows();
        let poll = rows.iter().find(|r| r.0.name == "dev.poll_s").unwrap();
        assert!(poll.2.starts_with("profile staging in "), "{}", poll.2);
        // One that is not in force is checked all the same, and one that is nowhere is refused.
        let other = Some(("prod".to_owned(), "flag".to_owned()));
        let error = Settings::layered(&files, None, other, &[]).unwrap_err();
        assert!(error.to_string().contains("they have staging"), "{error}");
        std::fs::write(&weak, "[profile.staging]\nclient.sever = \"x\"\n").unwrap();
        let error = Settings::layered(&files, None, None, &[]).unwrap_err();
        assert!(error.to_string().contains("did you mean `client.server`"));
    }
}
