//! Corrupt Parquet through a warm child: a failure that names the file, never a death.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use assay_datanode::runner::child::{ChildConfig, ChildRunner};
use assay_datanode::runner::{TaskRunner, TaskWatch};
use assay_metrics::TableState;
use assay_model::dataset::{Dataset, FormatKind};
use assay_model::metric::Metric;
use assay_model::output::{MeasuredPartition, TaskOutput};
use assay_model::task::{AttemptOutcome, TaskFailure, TaskSpec};
use parquet::arrow::ArrowWriter;

use crate::support::{MEMORY, children, job_of, runner, runner_with};

const ROWS: usize = 60;

fn parquet() -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let amounts: Vec<Option<f64>> = (0..ROWS)
        .map(|i| (i % 5 != 0).then_some(i as f64))
        .collect();
    let amounts: ArrayRef = Arc::new(Float64Array::from(amounts));
    let names: Vec<&str> = (0..ROWS).map(|i| ["a", "bb", "ccc"][i % 3]).collect();
    let names: ArrayRef = Arc::new(StringArray::from(names));
    let columns = [("id", ids), ("amount", amounts), ("name", names)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn dataset(folder: &Path) -> Dataset {
    let mut dataset = crate::cluster::dataset(folder);
    dataset.source.format.kind = FormatKind::Parquet;
    // Every value is read.
    dataset.profile.metrics = vec![
        Metric::Sum,
        Metric::Min,
        Metric::Max,
        Metric::DistinctCount,
        Metric::LengthMean,
    ];
    dataset
}

/// A discovery and its measurements, each in the child.
async fn run(
    runner: &ChildRunner,
    dataset: &Dataset,
) -> Result<Vec<MeasuredPartition>, TaskFailure> {
    let one = |spec| runner.run(job_of(dataset, spec), TaskWatch::default());
    let TaskOutput::Discovered(plan) = one(TaskSpec::Discover).await? else {
        panic!("a plan");
    };
    let mut all = Vec::new();
    for spec in plan.measures {
        let TaskOutput::Measured(states) = one(TaskSpec::Measure(spec)).await? else {
            panic!("states");
        };
        all.extend(states);
    }
    Ok(all)
}

pub async fn a_parquet_file_cut_at_any_byte_fails_for_good_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders_2026-10-01.parquet");
    let whole = parquet();
    let dataset = dataset(folder.path());
    let mut config = ChildConfig::own(1);
    config.tasks_max = u64::MAX;
    let runner = runner_with(config).await;
    runner.warm(MEMORY).await.unwrap();
    let child = children();
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(run(&runner, &dataset).await.unwrap()[0].rows, ROWS as u64);
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        let failure = run(&runner, &dataset)
            .await
            .expect_err(&format!("{length} bytes"));
        let told = format!("{length} of {}: {failure:?}", whole.len());
        assert_eq!(failure.outcome, AttemptOutcome::Permanent, "{told}");
        assert!(
            failure.message.contains("orders_2026-10-01.parquet"),
            "{told}"
        );
    }
    assert_eq!(children(), child, "one child for all");
    println!("  cut at {} places", whole.len());
}

pub async fn a_flipped_byte_is_never_a_death_and_one_of_the_footer_never_a_wrong_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders_2026-10-01.parquet");
    let whole = parquet();
    let dataset = dataset(folder.path());
    let runner = runner(1, None).await;
    std::fs::write(&file, &whole).unwrap();
    let sound = state_of(&run(&runner, &dataset).await.unwrap());
    let trailer = whole.len() - 8;
    let length = u32::from_le_bytes(whole[trailer..trailer + 4].try_into().unwrap());
    let footer = trailer - length as usize;
    let (mut refused, mut read) = (0, 0);
    for at in 0..whole.len() {
        let flips: &[u8] = if at < footer {
            &[0xff]
        } else {
            &[0x01, 0x10, 0x80, 0xff]
        };
        for flip in flips {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            std::fs::write(&file, &bytes).unwrap();
            let told = format!("byte {at} of {footer} and {length} flipped by {flip:#x}");
            match run(&runner, &dataset).await {
                Ok(states) => {
                    let state = state_of(&states);
                    assert_eq!(state.rows, ROWS as u64, "{told}");
                    // A footer has no checksum: a name or a type that reads differently is
                    // another schema. Under the same one, values are the same.
                    if at >= footer && state.schema == sound.schema {
                        assert_eq!(state.columns, sound.columns, "{told}");
                    }
                    read += 1;
                }
                Err(failure) => {
                    let told = format!("{told}: {failure:?}");
                    assert_eq!(failure.outcome, AttemptOutcome::Permanent, "{told}");
                    assert!(
                        failure.message.contains("orders_2026-10-01.parquet"),
                        "{told}"
                    );
                    refused += 1;
                }
            }
        }
    }
    println!("  {refused} refused, {read} read with every row");
    assert!(refused > read / 10);
}

fn state_of(states: &[MeasuredPartition]) -> TableState {
    let [one] = states else {
        panic!("one partition: {states:?}");
    };
    TableState::decode(&one.state).unwrap()
}
