//! A child that may make no process, no thread and no file stores a copy, and its node publishes it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use assay_datanode::runner::access::{LocalKeys, Sources};
use assay_datanode::runner::copies::Copies;
use assay_datanode::runner::{TaskRunner, TaskWatch};
use assay_model::dataset::{Dataset, Format, FormatKind, Location, Source};
use assay_model::outcome::Outcome;
use assay_model::output::TaskOutput;
use assay_model::source::{StorageMode, StoragePolicy};
use assay_model::task::{EvaluateSpec, TaskSpec};
use assay_test_servers::postgres::{Options, Postgres};

use crate::buckets::unprivileged;
use crate::support::{job_of, poisoned, runner_with};

pub async fn a_child_stores_a_copy_and_its_node_publishes_it() {
    // Its own, which ends with the test: whoever is left behind is a fault here.
    let server = Postgres::start(Options::default());
    let url = server.create_database();
    let folder = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let rows: String = (0..20_000)
        .map(|row| format!("{row},{}\n", row % 7))
        .collect();
    for day in 1..=2 {
        let path = folder.path().join(format!("trips_2024-01-0{day}.csv"));
        std::fs::write(path, format!("id,kind\n{rows}")).unwrap();
    }
    let dataset = ingested(folder.path());
    let discover = || job_of(&dataset, TaskSpec::Discover);
    // Without a place for copies nothing is begun.
    let runner = runner_with(unprivileged()).await;
    let refused = runner
        .run(discover(), TaskWatch::default())
        .await
        .unwrap_err();
    assert!(
        refused.message.contains("`[ingest] url`"),
        "{}",
        refused.message
    );
    let at = assay_sources::storage_at(&url).unwrap();
    let runner = runner
        .reaching(Sources {
            keys: Arc::new(LocalKeys::of_user()),
            allowed: Some(Vec::new()),
            make: assay_sources::reach,
            identities: None,
            external_id: None,
        })
        .storing(Some(Copies::new(
            Arc::new(at),
            assay_sources::reach,
            "the tests",
        )));
    let found = runner.run(discover(), TaskWatch::default()).await.unwrap();
    let TaskOutput::Discovered(found) = found else {
        panic!("no discovery");
    };
    for spec in found.measures {
        let job = job_of(&dataset, TaskSpec::Measure(spec));
        let measured = runner.run(job, TaskWatch::default()).await.unwrap();
        let TaskOutput::Measured(measured) = measured else {
            panic!("no measurement");
        };
        assert_eq!(measured.iter().map(|m| m.rows).sum::<u64>(), 20_000);
    }
    a_lost_batch_is_a_verdict(&runner, &dataset, found.evaluations[0].clone()).await;
    let parents = "SELECT count(*) FROM pg_class WHERE relnamespace = 'assay_data'::regnamespace";
    assert_eq!(server.sql(&url, parents).trim(), "0");
    for mut spec in found.evaluations {
        // This store has no tasks, and no states of them.
        spec.measured_by.clear();
        assert_eq!(spec.copies.len(), 1);
        let job = job_of(&dataset, TaskSpec::Evaluate(spec));
        runner.run(job, TaskWatch::default()).await.unwrap();
    }
    let parent = format!(
        "SELECT count(*), sum(id::int) FROM assay_data.\"{}\"",
        dataset.id
    );
    assert_eq!(server.sql(&url, &parent).trim(), "40000|399980000");
}

/// What storage cannot show is a verdict of its own.
async fn a_lost_batch_is_a_verdict(
    runner: &dyn TaskRunner,
    dataset: &Dataset,
    mut lost: EvaluateSpec,
) {
    lost.measured_by.clear();
    lost.copies.push("which nobody wrote".to_owned());
    let job = job_of(dataset, TaskSpec::Evaluate(lost));
    let judged = runner.run(job, TaskWatch::default()).await.unwrap();
    let TaskOutput::Evaluated(judged) = judged else {
        panic!("no evaluation");
    };
    assert!(!judged.results.is_empty());
    for result in &judged.results {
        let reason = result.reason.as_deref().unwrap_or_default();
        assert_eq!(result.outcome, Outcome::Error);
        assert!(reason.contains("cannot be shown to readers"), "{reason}");
    }
}

/// The dataset of a folder, which is ingested.
fn ingested(folder: &Path) -> Dataset {
    let mut dataset = poisoned("");
    dataset.tags.clear();
    dataset.storage = StoragePolicy {
        mode: StorageMode::Ingest,
        retention_days: None,
    };
    dataset.source = Source {
        server: "here".to_owned(),
        location: Location::Local {
            path: folder.display().to_string(),
        },
        format: Format::of(FormatKind::Csv),
        credential: None,
    };
    dataset
}
