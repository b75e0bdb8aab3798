//! Definitions: the document in force, its versions, and what changed between two.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use assay_answers::definition::{Definition, Diff, DiffLine, LineKind, VersionRow};
use assay_answers::facts::Answer;
use assay_answers::{List, Problem, Reader, Told};
use assay_model::dataset::{Dataset, DatasetStatus};
use assay_model::ids::DatasetId;
use similar::{ChangeTag, TextDiff};

use super::LIVE;
use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{Miss, no};
use crate::rights::Action;

/// Lines round a change.
const ROUND: usize = 3;

impl Api {
    /// The definition in force.
    pub(crate) async fn definition_of(&self, who: &Reader, id: &str) -> Answer<Definition> {
        let known = self.permitted(who, Action::Read, id).await?;
        let dataset = known.dataset.id.clone();
        let registry = Arc::clone(&self.parts.registry);
        let key = Key::of(&dataset, "definition");
        let load = async move {
            let found = registry.get(&dataset).await?;
            let found = found.ok_or_else(|| no("document of the dataset", dataset.as_str()))?;
            Ok::<_, Miss>(Definition {
                id: dataset.to_string(),
                version: found.dataset.version.clone(),
                status: found.dataset.status,
                text: found.text.to_string(),
                // A definition has text keys and finite numbers, so it always prints.
                decoded: serde_json::to_value(&*found.dataset).ok(),
                digest: found.digest,
                file: found.origin,
                since: Some(found.since),
                revision: None,
                kept: found.kept,
            })
        };
        let found = self
            .memory
            .answer(Source::Registry, key, Good::For(LIVE), load)
            .await?;
        Ok(found.told())
    }

    /// The versions of a definition, newest first.
    pub(crate) async fn version_list(&self, who: &Reader, id: &str) -> Answer<List<VersionRow>> {
        let known = self.permitted(who, Action::Read, id).await?;
        let dataset = known.dataset.id.clone();
        let registry = Arc::clone(&self.parts.registry);
        let key = Key::of(&dataset, "versions");
        let load = async move {
            let kept = registry.revisions(&dataset).await?;
            let newest = kept.first().map(|one| one.revision);
            let items = kept.into_iter().map(|one| VersionRow {
                in_force: Some(one.revision) == newest,
                revision: one.revision,
                version: one.version,
                status: one.status,
                owner: one.owner,
                digest: one.digest.unwrap_or_default(),
                at: one.at,
                by: one.by,
            });
            let items: Vec<VersionRow> = items.collect();
            Ok::<_, Miss>(List {
                total: Some(items.len() as u64),
                items,
                next_cursor: None,
            })
        };
        let found = self
            .memory
            .answer(Source::Registry, key, Good::For(LIVE), load)
            .await?;
        Ok(found.told())
    }

    async fn revision(
        &self,
        dataset: &DatasetId,
        number: u64,
    ) -> Result<Found<Definition>, Problem> {
        let registry = Arc::clone(&self.parts.registry);
        let key = Key::of(dataset, format!("version {number}"));
        let id = dataset.clone();
        let load = async move {
            let found = registry.revision(&id, number).await?;
            let none = || no("version", &number.to_string());
            let (row, text) = found.ok_or_else(none)?;
            let status: Option<DatasetStatus> =
                row.status.as_deref().and_then(|word| word.parse().ok());
            Ok::<_, Miss>(Definition {
                id: id.to_string(),
                version: row.version.unwrap_or_default(),
                status: status.unwrap_or(DatasetStatus::Draft),
                digest: row.digest.unwrap_or_else(|| assay_registry::digest(&text)),
                text,
                decoded: None,
                file: format!("revision {number}"),
                since: row.at,
                revision: Some(number),
                kept: false,
            })
        };
        self.memory
            .answer(Source::Registry, key, Good::For(LIVE), load)
            .await
    }

    /// One version of a definition.
    pub(crate) async fn version_text(
        &self,
        who: &Reader,
        id: &str,
        number: u64,
    ) -> Answer<Definition> {
        let known = self.permitted(who, Action::Read, id).await?;
        Ok(self.revision(&known.dataset.id, number).await?.told())
    }

    /// What changed between two versions of a definition.
    pub(crate) async fn version_diff(
        &self,
        who: &Reader,
        id: &str,
        from: u64,
        to: Option<u64>,
    ) -> Answer<Diff> {
        let known = self.permitted(who, Action::Read, id).await?;
        let before = self.revision(&known.dataset.id, from).await?;
        let after = match to {
            Some(to) => self.revision(&known.dataset.id, to).await?.told(),
            None => self.definition_of(who, id).await?,
        };
        Ok(Told {
            it: diff(Some(&before.it.text), &after.it.text),
            as_of: after.as_of,
            stale_s: after.stale_s.max(before.stale_s),
        })
    }
}

/// The definition of a document, as far as it can be told without the variables of any machine.
fn decoded(text: &str) -> Option<Dataset> {
    let parsed = assay_contract::parse_with("definition", text, Path::new("/"), &|_| {
        Some("0".to_owned())
    });
    parsed.dataset
}

/// What changed from one document to another.
pub(crate) fn diff(before: Option<&str>, after: &str) -> Diff {
    let old = before.and_then(decoded);
    let new = decoded(after);
    let checks = |of: &Option<Dataset>| -> BTreeMap<String, String> {
        let checks = of.iter().flat_map(|dataset| &dataset.checks);
        checks
            .map(|check| {
                let rule = (&check.metric, &check.expect, check.severity);
                let rule = serde_json::to_string(&rule).unwrap_or_default();
                (check.id.to_string(), rule)
            })
            .collect()
    };
    let (old_checks, new_checks) = (checks(&old), checks(&new));
    let without = |of: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        let ids = of.keys().filter(|id| !other.contains_key(*id));
        ids.cloned().collect()
    };
    let changed = new_checks
        .iter()
        .filter(|(id, rule)| old_checks.get(*id).is_some_and(|old| old != *rule));
    Diff {
        before: before.map(assay_registry::digest),
        after: assay_registry::digest(after),
        checks_added: without(&new_checks, &old_checks),
        checks_removed: without(&old_checks, &new_checks),
        checks_changed: changed.map(|(id, _)| id.clone()).collect(),
        judges_differently: match (&old, &new) {
            (Some(old), Some(new)) => old.judging_digest() != new.judging_digest(),
            _ => true,
        },
        lines: lines(before.unwrap_or_default(), after),
    }
}

fn lines(before: &str, after: &str) -> Vec<DiffLine> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    let number = |index: Option<usize>| index.and_then(|at| u32::try_from(at + 1).ok());
    for group in diff.grouped_ops(ROUND) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            lines.push(DiffLine {
                kind: match change.tag() {
                    ChangeTag::Equal => LineKind::Same,
                    ChangeTag::Insert => LineKind::Added,
                    ChangeTag::Delete => LineKind::Removed,
                },
                before: number(change.old_index()),
                after: number(change.new_index()),
                text: change.value().trim_end_matches(['\n', '\r']).to_owned(),
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_checks_and_shows_the_lines() {
        let rule = |least: u32| {
            format!(
                "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\n\
                 servers: [{{ server: local, type: local, path: /o.parquet, format: parquet }}]\n\
                 schema:\n  - name: orders\n    quality:\n      \
                 - {{ id: rows, metric: rowCount, mustBeGreaterThan: {least} }}\n"
            )
        };
        let (before, after) = (rule(1), rule(2));
        let found = diff(Some(&before), &after);
        assert_eq!(found.checks_changed, ["rows"], "{before}");
        assert!(found.judges_differently);
        let kinds: Vec<LineKind> = found.lines.iter().map(|line| line.kind).collect();
        assert!(kinds.contains(&LineKind::Added) && kinds.contains(&LineKind::Removed));
        let same = diff(Some(&before), &before);
        assert!(same.lines.is_empty() && !same.judges_differently);
        let new = diff(None, &after);
        assert_eq!((new.before, new.checks_added.len()), (None, 1));
    }
}
