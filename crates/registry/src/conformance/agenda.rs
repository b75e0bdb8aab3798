//! What every adapter of the agenda must do, one function a case.
//!
//! In: an empty registry, the agenda of it, and a way to spoil it. Out: nothing, or what went wrong.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Outcome, document, ensure, id, unexpected};
use crate::agenda::{Agenda, Entry, Look, Marked};
use crate::port::{Conflict, Definition, Precondition, Registry, RegistryError};

/// Leaves something behind that nobody can read as a definition.
#[async_trait]
pub trait Spoil: Send + Sync {
    /// Spoils the place where the dataset `name` would be kept.
    async fn spoil(&self, name: &str);
}

/// What the cases are about.
pub struct Subject<'a> {
    /// Where definitions are put; empty at first.
    pub registry: &'a dyn Registry,
    /// The agenda of the same.
    pub agenda: &'a dyn Agenda,
    /// How to spoil it.
    pub spoil: &'a dyn Spoil,
}

/// The instant at which the cases play.
#[must_use]
pub fn noon() -> Timestamp {
    Timestamp::from_second(1_772_366_400).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn after(hours: i64) -> Timestamp {
    noon()
        .checked_add(SignedDuration::from_hours(hours))
        .unwrap_or(Timestamp::MAX)
}

impl Subject<'_> {
    async fn put(&self, name: &str, note: &str) -> Result<Definition, String> {
        let found = match self.registry.get(&id(name)?).await {
            // What cannot be read is not there, or said to be unreadable.
            Err(RegistryError::Invalid(_)) => None,
            found => found.map_err(unexpected)?,
        };
        let precondition = found.map_or(Precondition::Absent, |d| Precondition::Digest(d.digest));
        let text = document(name, note);
        let put = match self.registry.put(&text, precondition).await {
            // What cannot be read is mended by who has seen that it is there.
            Err(RegistryError::Conflict(Conflict {
                found: Some(found), ..
            })) => {
                let precondition = Precondition::Digest(found);
                self.registry.put(&text, precondition).await
            }
            put => put,
        };
        put.map_err(unexpected)
    }

    async fn due(&self, now: Timestamp) -> Result<BTreeMap<String, Entry>, String> {
        let mut all = BTreeMap::new();
        let mut next = None;
        loop {
            let page = self.agenda.due(now, next.as_ref(), 10).await;
            let page = page.map_err(unexpected)?;
            for entry in page.entries {
                let key = entry.key.clone();
                if all.insert(key.clone(), entry).is_some() {
                    return Err(format!("`{key}` was met twice"));
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn due_one(&self, name: &str, now: Timestamp) -> Result<Entry, String> {
        let mut due = self.due(now).await?;
        due.remove(name).ok_or(format!("`{name}` is not due"))
    }

    async fn entry(&self, name: &str) -> Result<Entry, String> {
        let found = self.agenda.entry(&id(name)?).await.map_err(unexpected)?;
        found.ok_or(format!("`{name}` has no entry"))
    }

    async fn mark(&self, entry: &Entry, look: &Look) -> Result<Marked, String> {
        self.agenda.mark(entry, look).await.map_err(unexpected)
    }
}

/// A definition that is new, or has changed, is due at once, with its document.
///
/// # Errors
/// What went wrong.
pub async fn a_new_definition_is_due_at_once(subject: &Subject<'_>) -> Outcome {
    let put = subject.put("orders", "1").await?;
    let entry = subject.due_one("orders", noon()).await?;
    let read = entry.definition.clone().map_err(|_| "it is invalid")?;
    ensure(
        read.digest == put.digest && *read.text == *put.text,
        "another document",
    )?;
    ensure(
        entry.emitted_through.is_none() && !entry.registered && entry.note.is_none(),
        "a new entry that was looked at",
    )?;
    let look = Look {
        through: Some(noon()),
        registered: true,
        next: None,
        note: Some("look at this".to_owned()),
    };
    subject.mark(&entry, &look).await?;
    ensure(
        subject.due(after(1000)).await?.is_empty(),
        "due without a next time",
    )?;
    let put = subject.put("orders", "2").await?;
    let entry = subject.due_one("orders", noon()).await?;
    ensure(
        entry.definition.is_ok_and(|d| d.digest == put.digest),
        "the old document",
    )?;
    ensure(
        entry.emitted_through == Some(noon()) && entry.registered,
        "a new version forgets what was emitted",
    )?;
    ensure(entry.note.is_none(), "a new version keeps an old note")
}

/// An agenda without anything due has one empty page.
///
/// # Errors
/// What went wrong.
pub async fn nothing_due_is_an_empty_page(subject: &Subject<'_>) -> Outcome {
    ensure(subject.due(noon()).await?.is_empty(), "something is due")?;
    for name in ["a", "b", "c"] {
        subject.put(name, "").await?;
        let entry = subject.due_one(name, noon()).await?;
        let look = Look {
            next: Some(after(1)),
            ..Look::default()
        };
        subject.mark(&entry, &look).await?;
    }
    ensure(
        subject.due(noon()).await?.is_empty(),
        "due before its time has come",
    )?;
    ensure(
        subject.due(after(1)).await?.len() == 3,
        "not due when its time has come",
    )?;
    let nobody = subject
        .agenda
        .entry(&id("nobody")?)
        .await
        .map_err(unexpected)?;
    ensure(nobody.is_none(), "an entry of what nobody put")
}

/// Pages of any size meet every due entry exactly once.
///
/// # Errors
/// What went wrong.
pub async fn pages_meet_every_due_entry_once(subject: &Subject<'_>) -> Outcome {
    for no in 0..25 {
        subject.put(&format!("d{no:02}"), "").await?;
    }
    for limit in [1, 4, 25, 1000] {
        let mut met: BTreeMap<String, u32> = BTreeMap::new();
        let mut next = None;
        loop {
            let page = subject.agenda.due(noon(), next.as_ref(), limit).await;
            let page = page.map_err(unexpected)?;
            for entry in page.entries {
                *met.entry(entry.key).or_default() += 1;
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        ensure(
            met.len() == 25 && met.values().all(|count| *count == 1),
            &format!("pages of {limit} met {met:?}"),
        )?;
    }
    Ok(())
}

/// A mark moves an entry to its next time, and never its watermark back.
///
/// # Errors
/// What went wrong.
pub async fn a_mark_never_moves_the_watermark_back(subject: &Subject<'_>) -> Outcome {
    subject.put("orders", "").await?;
    let entry = subject.due_one("orders", noon()).await?;
    let look = Look {
        through: Some(noon()),
        registered: true,
        next: Some(after(2)),
        note: None,
    };
    ensure(
        subject.mark(&entry, &look).await? == Marked::Kept,
        "a mark was not kept",
    )?;
    let read = subject.entry("orders").await?;
    ensure(
        read.emitted_through == Some(noon()) && read.registered && read.due_at == Some(after(2)),
        "the mark is another",
    )?;
    ensure(subject.due(after(1)).await?.is_empty(), "still due")?;
    let back = Look {
        through: Some(after(-5)),
        next: Some(after(3)),
        registered: true,
        note: None,
    };
    ensure(
        subject.mark(&read, &back).await? == Marked::Kept,
        "a mark was not kept",
    )?;
    let read = subject.entry("orders").await?;
    ensure(
        read.emitted_through == Some(noon()),
        "the watermark went back",
    )?;
    ensure(
        read.due_at == Some(after(3)),
        "the next time was not kept with it",
    )?;
    let none = Look {
        next: Some(after(4)),
        ..Look::default()
    };
    subject.mark(&read, &none).await?;
    let read = subject.entry("orders").await?;
    ensure(
        read.emitted_through == Some(noon()),
        "the watermark was lost",
    )
}

/// A mark of an entry that was marked meanwhile changes nothing.
///
/// # Errors
/// What went wrong.
pub async fn a_mark_that_was_overtaken_changes_nothing(subject: &Subject<'_>) -> Outcome {
    subject.put("orders", "").await?;
    let entry = subject.due_one("orders", noon()).await?;
    let first = Look {
        through: Some(noon()),
        next: Some(after(1)),
        ..Look::default()
    };
    subject.mark(&entry, &first).await?;
    let second = Look {
        through: Some(after(5)),
        next: Some(after(9)),
        registered: true,
        note: Some("late".to_owned()),
    };
    ensure(
        subject.mark(&entry, &second).await? == Marked::Overtaken,
        "a late mark was kept",
    )?;
    let read = subject.entry("orders").await?;
    ensure(
        read.emitted_through == Some(noon())
            && read.due_at == Some(after(1))
            && !read.registered
            && read.note.is_none(),
        "a late mark changed something",
    )
}

/// A mark made of an old definition does not put off the new one.
///
/// # Errors
/// What went wrong.
pub async fn a_new_definition_is_not_put_off_by_a_mark_of_the_old(
    subject: &Subject<'_>,
) -> Outcome {
    subject.put("orders", "1").await?;
    let entry = subject.due_one("orders", noon()).await?;
    let new = subject.put("orders", "2").await?;
    let look = Look {
        through: Some(noon()),
        next: Some(after(1000)),
        ..Look::default()
    };
    subject.mark(&entry, &look).await?;
    let due = subject.due_one("orders", noon()).await?;
    ensure(
        due.definition.is_ok_and(|d| d.digest == new.digest),
        "the old definition is due",
    )
}

/// A dataset that is retired is due no more, and is again when it comes back.
///
/// # Errors
/// What went wrong.
pub async fn a_retired_dataset_is_not_due(subject: &Subject<'_>) -> Outcome {
    let put = subject.put("orders", "").await?;
    subject.put("other", "").await?;
    ensure(subject.due(noon()).await?.len() == 2, "not due at once")?;
    let retired = subject.registry.retire(&id("orders")?, &put.digest).await;
    retired.map_err(unexpected)?;
    let due = subject.due(after(1000)).await?;
    ensure(
        due.keys().eq(["other"]),
        "a retired dataset is due, or hides another",
    )?;
    ensure(
        subject.entry("orders").await?.due_at.is_none(),
        "a retired dataset has a next time",
    )?;
    subject.put("orders", "back").await?;
    subject.due_one("orders", noon()).await.map(|_| ())
}

/// A note is kept until a look has nothing to say.
///
/// # Errors
/// What went wrong.
pub async fn a_note_is_kept_and_cleared(subject: &Subject<'_>) -> Outcome {
    subject.put("orders", "").await?;
    let entry = subject.due_one("orders", noon()).await?;
    let note = "its source is not allowed: \u{201c}s3://lake\u{201d}".to_owned();
    let look = Look {
        next: Some(noon()),
        note: Some(note.clone()),
        ..Look::default()
    };
    subject.mark(&entry, &look).await?;
    let read = subject.due_one("orders", noon()).await?;
    ensure(read.note == Some(note), "the note is not kept")?;
    let look = Look { note: None, ..look };
    subject.mark(&read, &look).await?;
    ensure(
        subject.entry("orders").await?.note.is_none(),
        "the note is not cleared",
    )
}

/// What nobody can read is an entry too, can be marked, and hides no other.
///
/// # Errors
/// What went wrong.
pub async fn what_nobody_can_read_is_met_and_hides_no_other(subject: &Subject<'_>) -> Outcome {
    subject.put("a", "").await?;
    subject.spoil.spoil("m").await;
    subject.put("z", "").await?;
    let due = subject.due(noon()).await?;
    ensure(due.len() == 3, "not every entry is met")?;
    let spoilt: Vec<&Entry> = due.values().filter(|e| e.definition.is_err()).collect();
    let [spoilt] = spoilt.as_slice() else {
        return Err("not exactly one entry is invalid".to_owned());
    };
    let told = spoilt.definition.as_ref().err();
    ensure(
        told.is_some_and(|file| !file.diagnostics.is_empty()),
        "nothing says what is wrong",
    )?;
    let look = Look {
        next: Some(after(1)),
        note: Some("cannot be read".to_owned()),
        ..Look::default()
    };
    ensure(
        subject.mark(spoilt, &look).await? == Marked::Kept,
        "it cannot be marked",
    )?;
    ensure(
        subject.due(noon()).await?.keys().eq(["a", "z"]),
        "it is due again before its time",
    )?;
    let again = subject.due_one(&spoilt.key, after(1)).await?;
    ensure(again.note == look.note, "its note is not kept")?;
    subject.put("m", "mended").await?;
    let mended = subject.due_one("m", noon()).await?;
    ensure(mended.definition.is_ok(), "it cannot be mended")
}
