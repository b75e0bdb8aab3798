//! What a Delta table asks of its readers.
//!
//! In: the table's protocol and settings. Out: which of the features it uses bear on what is read,
//! or the name of the one that is not known here. A feature of readers changes what a file's rows
//! mean: it must never be passed over. Pure.

use super::actions::{MetaData, Protocol};

/// The features of readers that are heeded here.
const KNOWN: [&str; 8] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    // Where types are widened, values of older files are brought to the wider type.
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    // It binds those who delete files.
    "vacuumProtocolCheck",
    // It binds those who write checkpoints and clean logs up.
    "checkpointProtection",
];

/// The newest version of the protocol for readers.
const NEWEST: i32 = 3;

/// How columns are found in the data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mapping {
    /// By their names.
    None,
    /// By physical names of their own.
    Name,
    /// By numbers.
    Id,
}

/// What the protocol and the settings mean for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) mapping: Mapping,
    pub(super) vectors: bool,
    pub(super) widening: bool,
}

/// What reading such a table takes.
///
/// # Errors
/// What is not known, by its name.
pub(super) fn reading(protocol: &Protocol, meta: &MetaData) -> Result<Reading, String> {
    let version = protocol.min_reader_version;
    if !(1..=NEWEST).contains(&version) {
        return Err(format!(
            "it asks for readers of the version {version}; those up to {NEWEST} are known"
        ));
    }
    let none = Vec::new();
    let stated = protocol.reader_features.as_ref().unwrap_or(&none);
    let features: Vec<&str> = match version {
        3 => stated.iter().map(String::as_str).collect(),
        2 => vec!["columnMapping"],
        _ => Vec::new(),
    };
    let unknown: Vec<&str> = features
        .iter()
        .filter(|feature| !KNOWN.contains(feature))
        .copied()
        .collect();
    if !unknown.is_empty() {
        return Err(format!(
            "it uses the feature {}, which is not read here",
            unknown.join(", ")
        ));
    }
    let provider = meta.format.as_ref().and_then(|f| f.provider.as_deref());
    if let Some(other) = provider.filter(|provider| *provider != "parquet") {
        return Err(format!("its data files are {other}, not parquet"));
    }
    let mode = meta.configuration.get("delta.columnMapping.mode");
    let mode = mode.and_then(Option::as_deref).unwrap_or("none");
    let mapping = match (mode, features.contains(&"columnMapping")) {
        ("none", _) => Mapping::None,
        ("name", true) => Mapping::Name,
        ("id", true) => Mapping::Id,
        (mode @ ("name" | "id"), false) => {
            return Err(format!(
                "its columns are mapped by {mode}, and its protocol does not say so"
            ));
        }
        (other, _) => {
            return Err(format!(
                "its columns are mapped by {other:?}, which is not known"
            ));
        }
    };
    Ok(Reading {
        mapping,
        vectors: features.contains(&"deletionVectors"),
        widening: features.iter().any(|f| f.starts_with("typeWidening")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: i32, features: &[&str], mode: Option<&str>) -> Result<Reading, String> {
        let protocol = Protocol {
            min_reader_version: version,
            reader_features: Some(features.iter().map(|f| (*f).to_owned()).collect()),
        };
        let mode = mode.map(|mode| {
            let key = "delta.columnMapping.mode".to_owned();
            (key, Some(mode.to_owned()))
        });
        let meta = MetaData {
            format: None,
            schema_string: String::new(),
            partition_columns: Vec::new(),
            configuration: mode.into_iter().collect(),
        };
        reading(&protocol, &meta)
    }

    #[test]
    fn known_features_are_heeded_and_others_refused_by_name() {
        assert!(!asked(1, &[], None).unwrap().vectors);
        assert!(asked(3, &["deletionVectors"], None).unwrap().vectors);
        assert_eq!(asked(2, &[], Some("name")).unwrap().mapping, Mapping::Name);
        let id = asked(3, &["columnMapping", "typeWidening"], Some("id")).unwrap();
        assert!(id.mapping == Mapping::Id && id.widening);
        for (version, features, mode, word) in [
            (3, &["variantType"][..], None, "variantType"),
            (
                3,
                &["catalogManaged", "deletionVectors"],
                None,
                "catalogManaged",
            ),
            (4, &[], None, "version 4"),
            (0, &[], None, "version 0"),
            (1, &[], Some("id"), "does not say so"),
            (2, &[], Some("hash"), "\"hash\""),
        ] {
            let told = asked(version, features, mode).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
    }
}
