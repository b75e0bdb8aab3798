//! A tick over a folder of definitions: what fails does not stop the others, a manager that is away
//! costs nothing, and it ends in time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use assay_model::ids::{DatasetId, RunId};
use assay_registry::{FolderRegistry, MemoryAgenda, Watermarks};
use async_trait::async_trait;

use super::*;
use crate::reason::Reason;
use crate::samples::at;

/// What the tests' emitter does about a run.
type Answer = fn(&Dataset, &Emission) -> Result<(), EmitError>;

/// Takes runs as a manager does: each once.
struct Taken {
    runs: Mutex<BTreeMap<RunId, u32>>,
    marks: Mutex<BTreeMap<DatasetId, Timestamp>>,
    answer: Mutex<Answer>,
    slow: Duration,
}

impl Taken {
    fn new(slow: Duration) -> Arc<Self> {
        Arc::new(Self {
            runs: Mutex::default(),
            marks: Mutex::default(),
            answer: Mutex::new(|_, _| Ok(())),
            slow,
        })
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn count(&self) -> usize {
        self.runs.lock().unwrap().len()
    }
}

#[async_trait]
impl Emitter for Taken {
    async fn emit(&self, dataset: &Dataset, emission: &Emission) -> Result<Emitted, EmitError> {
        tokio::time::sleep(self.slow).await;
        let answer = *self.answer.lock().unwrap();
        answer(dataset, emission)?;
        if let Some(slot) = slot_of(emission) {
            let mut marks = self.marks.lock().unwrap();
            let mark = marks.entry(dataset.id.clone()).or_insert(slot);
            *mark = slot.max(*mark);
        }
        let mut runs = self.runs.lock().unwrap();
        let times = runs.entry(emission.run_of(&dataset.id)).or_default();
        *times += 1;
        Ok(if *times == 1 {
            Emitted::Begun
        } else {
            Emitted::Existed
        })
    }
}

/// The store's watermarks, as the runs that were taken made them.
#[async_trait]
impl Watermarks for Taken {
    async fn emitted_through(&self, id: &DatasetId) -> Result<Option<Timestamp>, RegistryError> {
        Ok(self.marks.lock().unwrap().get(id).copied())
    }
}

/// A folder of datasets.
fn folder(ids: &[String], run: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for id in ids {
        define(folder.path(), id, run);
    }
    folder
}

fn define(folder: &Path, id: &str, run: &str) {
    let mut text = String::from("apiVersion: v3.1.0\nkind: DataContract\n");
    writeln!(text, "id: {id}\nversion: 1.0.0\nstatus: active\nservers:").unwrap();
    text.push_str("  - { server: here, type: local, path: /data/*.csv, format: csv }\n");
    writeln!(
        text,
        "customProperties:\n  - property: assayRun\n    value: {{ {run} }}"
    )
    .unwrap();
    std::fs::write(folder.join(format!("{id}.odcs.yaml")), text).unwrap();
}

fn agenda(folder: &Path, taken: &Arc<Taken>, policy: Policy) -> MemoryAgenda {
    let clock = Arc::new(|| at("2026-11-20T12:00:00Z"));
    let registry = FolderRegistry::open(folder, folder, clock).unwrap();
    MemoryAgenda::new(Arc::new(registry), taken.clone(), policy)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("d{n:03}")).collect()
}

async fn ticked(agenda: &MemoryAgenda, taken: &Taken, now: &str) -> TickReport {
    let budget = Budget::of(Duration::from_secs(30));
    let report = tick(agenda, taken, at(now), budget).await;
    report.expect("a folder can be read")
}

const HOURLY: &str = "schedule: '0 * * * *', catchUp: all";

#[tokio::test(start_paused = true)]
async fn new_datasets_get_their_past_and_then_each_slot_once() {
    let taken = Taken::new(Duration::ZERO);
    let folder = folder(&names(30), HOURLY);
    let agenda = agenda(folder.path(), &taken, Policy::default());
    let first = ticked(&agenda, &taken, "2026-11-20T12:10:00Z").await;
    assert_eq!((first.emitted, first.marked, first.left), (30, 30, 0));
    let second = ticked(&agenda, &taken, "2026-11-20T12:50:00Z").await;
    assert_eq!((second.looked, second.emitted), (0, 0), "nothing is due");
    let third = ticked(&agenda, &taken, "2026-11-20T15:00:20Z").await;
    assert_eq!((third.emitted, third.existed), (90, 0));
    assert_eq!(third.lag_s, 7220.0, "since the first of the three slots");
    assert_eq!(third.outcome(), "ok");
    // A late duplicate of an earlier tick is no harm.
    ticked(&agenda, &taken, "2026-11-20T13:00:20Z").await;
    assert_eq!(taken.count(), 120);
    assert!(taken.runs.lock().unwrap().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn many_missed_slots_are_caught_up_on_a_capped_number_at_a_time() {
    let taken = Taken::new(Duration::ZERO);
    let folder = folder(&names(1), HOURLY);
    let agenda = agenda(folder.path(), &taken, Policy::default());
    ticked(&agenda, &taken, "2026-11-01T00:30:00Z").await;
    let mut ticks = Vec::new();
    loop {
        // 500 slots later.
        let report = ticked(&agenda, &taken, "2026-11-21T20:40:00Z").await;
        if report.emitted == 0 {
            break;
        }
        ticks.push(report.emitted);
    }
    assert_eq!(ticks.iter().sum::<u64>(), 500);
    assert_eq!(taken.count(), 501);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_dataset_is_said_and_does_not_stop_the_others() {
    let taken = Taken::new(Duration::ZERO);
    let folder = folder(&names(3), HOURLY);
    define(folder.path(), "paused", "paused: true, pausedReason: audit");
    define(folder.path(), "crooked", "schedule: '61 * * * *'");
    define(
        folder.path(),
        "nowhere",
        "schedule: '0 * * * *', timeZone: Mars/Olympus",
    );
    std::fs::write(folder.path().join("nonsense.odcs.yaml"), "{{{ %").unwrap();
    let agenda = agenda(folder.path(), &taken, Policy::default());
    let report = ticked(&agenda, &taken, "2026-11-20T12:10:00Z").await;
    assert_eq!(report.emitted, 3);
    assert_eq!(report.skipped[&Reason::Paused], 1);
    assert_eq!(report.skipped[&Reason::Invalid], 3);
    for (dataset, word) in [
        ("paused", "audit"),
        ("crooked", "61"),
        ("nowhere", "Mars/Olympus"),
        ("nonsense", "invalid"),
    ] {
        let said = report.details.iter().find(|d| d.dataset.contains(dataset));
        let said = said.unwrap_or_else(|| panic!("{dataset}: {report:?}"));
        assert!(said.why.contains(word), "{said:?}");
    }
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<TickReport>(&text).unwrap(), report);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_refused_is_asked_for_again_and_its_elders_stay_taken() {
    let taken = Taken::new(Duration::ZERO);
    let folder = folder(&names(2), HOURLY);
    let agenda = agenda(folder.path(), &taken, Policy::default());
    ticked(&agenda, &taken, "2026-11-20T12:10:00Z").await;
    taken.answers(|dataset, emission| {
        let third = Key::Slot(at("2026-11-20T15:00:00Z"));
        if dataset.id.as_str() == "d000" && emission.key == third {
            return Err(EmitError::Refused("not this one".to_owned()));
        }
        Ok(())
    });
    let report = ticked(&agenda, &taken, "2026-11-20T16:00:10Z").await;
    assert_eq!(report.failed[&Failure::Refused], 1);
    assert_eq!((report.emitted, report.outcome()), (6, "partial"));
    let id = DatasetId::new("d000").unwrap();
    let entry = agenda.entry(&id).await.unwrap().unwrap();
    assert!(entry.note.unwrap().contains("not this one"));
    assert_eq!(entry.emitted_through, Some(at("2026-11-20T14:00:00Z")));
    taken.answers(|_, _| Ok(()));
    let report = ticked(&agenda, &taken, "2026-11-20T16:02:00Z").await;
    assert_eq!((report.emitted, report.existed), (2, 0));
    assert_eq!(agenda.entry(&id).await.unwrap().unwrap().note, None);
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_is_away_ends_the_tick_and_the_next_one_catches_up() {
    let taken = Taken::new(Duration::ZERO);
    let folder = folder(&names(200), HOURLY);
    let agenda = agenda(folder.path(), &taken, Policy::default());
    ticked(&agenda, &taken, "2026-11-20T12:10:00Z").await;
    taken.answers(|_, _| Err(EmitError::Away("nobody leads".to_owned())));
    for minute in 1..=10 {
        let now = format!("2026-11-20T13:{minute:02}:00Z");
        let report = ticked(&agenda, &taken, &now).await;
        assert_eq!(report.emitted + report.marked, 0);
        let asked = report.failed[&Failure::Away];
        assert!(asked <= 16, "{asked} asked of a manager that is away");
        assert_eq!(report.outcome(), "away");
        assert!(report.left > 0 && report.more_left);
        assert!(report.stopped.unwrap().contains("away"));
    }
    taken.answers(|_, _| Ok(()));
    let report = ticked(&agenda, &taken, "2026-11-20T13:11:00Z").await;
    assert_eq!((report.emitted, report.outcome()), (200, "ok"));
}

#[tokio::test(start_paused = true)]
async fn a_tick_ends_in_time_and_says_what_is_left() {
    let taken = Taken::new(Duration::from_secs(1));
    let folder = folder(&names(100), HOURLY);
    let agenda = agenda(folder.path(), &taken, Policy::default());
    let began = Instant::now();
    let budget = Budget::of(Duration::from_millis(2500));
    let report = tick(&agenda, &*taken, at("2026-11-20T12:10:00Z"), budget).await;
    let report = report.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "it is over in time"
    );
    assert_eq!(
        (report.emitted, report.marked),
        (32, 32),
        "two rounds of sixteen"
    );
    assert_eq!(report.left, 68);
    assert!(
        report.stopped.as_deref().unwrap().contains("time"),
        "{report}"
    );
    let report = ticked(&agenda, &taken, "2026-11-20T12:11:00Z").await;
    assert_eq!((report.emitted, report.existed), (68, 0));
}

#[tokio::test(start_paused = true)]
async fn simultaneous_late_and_repeated_ticks_are_one_run_a_slot() {
    let taken = Taken::new(Duration::from_millis(3));
    let folder = folder(&names(20), HOURLY);
    let agenda = agenda(folder.path(), &taken, Policy::default());
    ticked(&agenda, &taken, "2026-11-20T00:30:00Z").await;
    let nows: Vec<String> = (0..100)
        // In no order: 37 has no part in common with 100.
        .map(|n| {
            format!(
                "2026-11-20T{:02}:{:02}:00Z",
                1 + (n * 37 % 100) / 10,
                n % 60
            )
        })
        .collect();
    let mut overtaken = 0;
    for together in nows.chunks(10) {
        let ticks = together.iter().map(|now| ticked(&agenda, &taken, now));
        for report in futures::future::join_all(ticks).await {
            overtaken += report.overtaken;
        }
    }
    ticked(&agenda, &taken, "2026-11-20T10:59:59Z").await;
    assert!(overtaken > 0, "some came second");
    assert_eq!(taken.count(), 20 * 11, "the past, and ten slots of each");
}
