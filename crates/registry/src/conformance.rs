//! What every adapter of the port must do, one function a case.
//!
//! In: an empty registry. Out: nothing, or what went wrong. An adapter's tests call each case
//! with a registry of its own.

pub mod agenda;

use assay_model::dataset::DatasetStatus;
use assay_model::ids::DatasetId;

use crate::port::{Precondition, Registry, RegistryError};

/// What went wrong.
pub type Outcome = Result<(), String>;

/// A small valid document; `note` makes documents of one dataset differ.
#[must_use]
pub fn document(id: &str, note: &str) -> String {
    format!(
        "# {note}\napiVersion: v3.1.0\nkind: DataContract\nid: {id}\nversion: 1.0.0\nstatus: active\n\
         servers: [{{ server: local, type: local, path: /data/{id}.parquet, format: parquet }}]\n"
    )
}

fn ensure(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn unexpected(error: impl std::fmt::Display) -> String {
    format!("unexpected error: {error}")
}

fn id(text: &str) -> Result<DatasetId, String> {
    DatasetId::new(text).map_err(unexpected)
}

/// What is put can be got, byte for byte.
///
/// # Errors
/// What went wrong.
pub async fn what_is_put_can_be_got(registry: &dyn Registry) -> Outcome {
    let text = document("orders", "first");
    let put = registry
        .put(&text, Precondition::Absent)
        .await
        .map_err(unexpected)?;
    let got = registry.get(&id("orders")?).await.map_err(unexpected)?;
    let got = got.ok_or("what was put is not there")?;
    ensure(
        *got.text == *text && got.digest == put.digest,
        "the text differs",
    )?;
    ensure(
        got.digest == crate::port::digest(&text),
        "the digest is not of the text",
    )?;
    let none = registry.get(&id("nobody")?).await.map_err(unexpected)?;
    ensure(none.is_none(), "a dataset that nobody put")
}

/// A change that names an old version, or none, is refused and changes nothing.
///
/// # Errors
/// What went wrong.
pub async fn a_change_of_another_version_is_a_conflict(registry: &dyn Registry) -> Outcome {
    let first = registry
        .put(&document("orders", "1"), Precondition::Absent)
        .await;
    let first = first.map_err(unexpected)?;
    let again = registry
        .put(&document("orders", "2"), Precondition::Absent)
        .await;
    ensure(
        matches!(again, Err(RegistryError::Conflict(_))),
        "put over an existing one",
    )?;
    let right = Precondition::Digest(first.digest.clone());
    let second = registry
        .put(&document("orders", "2"), right.clone())
        .await
        .map_err(unexpected)?;
    match registry.put(&document("orders", "3"), right).await {
        Err(RegistryError::Conflict(conflict)) => {
            ensure(
                conflict.found == Some(second.digest.clone()),
                "the conflict names another",
            )?;
        }
        _ => return Err("an old version was accepted".to_owned()),
    }
    let absent = Precondition::Digest(first.digest);
    let new = registry.put(&document("other", "1"), absent).await;
    ensure(
        matches!(new, Err(RegistryError::Conflict(_))),
        "a version of what is not there",
    )?;
    let got = registry.get(&id("orders")?).await.map_err(unexpected)?;
    ensure(
        got.is_some_and(|d| d.digest == second.digest),
        "a refused change was made",
    )
}

/// An invalid document is refused with its diagnostics and changes nothing.
///
/// # Errors
/// What went wrong.
pub async fn an_invalid_document_is_refused(registry: &dyn Registry) -> Outcome {
    let text = document("orders", "1").replace("version: 1.0.0", "versoin: 1.0.0");
    match registry.put(&text, Precondition::Absent).await {
        Err(RegistryError::Invalid(found)) => {
            ensure(found.len() >= 2, "not every error is told")?;
        }
        _ => return Err("an invalid document was accepted".to_owned()),
    }
    let listing = registry.list().await.map_err(unexpected)?;
    ensure(
        listing.definitions.is_empty() && listing.invalid.is_empty(),
        "something was kept",
    )
}

/// A list has every definition, in the order of ids.
///
/// # Errors
/// What went wrong.
pub async fn a_list_has_every_definition_in_order(registry: &dyn Registry) -> Outcome {
    for name in ["b", "c", "a"] {
        registry
            .put(&document(name, ""), Precondition::Absent)
            .await
            .map_err(unexpected)?;
    }
    let listing = registry.list().await.map_err(unexpected)?;
    let ids: Vec<&str> = listing
        .definitions
        .iter()
        .map(|d| d.dataset.id.as_str())
        .collect();
    ensure(ids == ["a", "b", "c"], "not all, or not in order")
}

/// A retired dataset keeps its definition, with the status changed and nothing else.
///
/// # Errors
/// What went wrong.
pub async fn a_retired_dataset_keeps_its_definition(registry: &dyn Registry) -> Outcome {
    let text = document("orders", "keep me");
    let put = registry
        .put(&text, Precondition::Absent)
        .await
        .map_err(unexpected)?;
    let wrong = registry.retire(&id("orders")?, "0").await;
    ensure(
        matches!(wrong, Err(RegistryError::Conflict(_))),
        "retired another version",
    )?;
    let nobody = registry.retire(&id("nobody")?, &put.digest).await;
    ensure(
        matches!(nobody, Err(RegistryError::NotFound(_))),
        "retired what is not there",
    )?;
    let retired = registry
        .retire(&id("orders")?, &put.digest)
        .await
        .map_err(unexpected)?;
    ensure(
        retired.dataset.status == DatasetStatus::Retired,
        "it is not retired",
    )?;
    let expected = text.replace("status: active", "status: retired");
    ensure(
        *retired.text == *expected,
        "more than the status was changed",
    )?;
    let got = registry.get(&id("orders")?).await.map_err(unexpected)?;
    ensure(got.as_ref() == Some(&retired), "what is kept is another")
}
