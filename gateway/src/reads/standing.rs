//! What a run answers for: its own results, and what earlier verdicts say besides.
//!
//! Comes in: a run. Goes out: results as they are stored, with counts that have no bound. It must
//! never give a part of the results for all of them.

use std::sync::Arc;

use assay_answers::check::CheckResult;
use assay_answers::facts::{Answer, Cut};
use assay_answers::run::{Run, Standing};
use assay_answers::value::Counts;
use assay_answers::{List, Problem, Reader, Told};
use assay_model::ids::{DatasetId, RunId};
use assay_model::partition::PartitionKey;
use assay_store::port::ResultFilter;
use assay_store::standing::{Look, Which, standing};

use super::{BRIEF, page_of};
use crate::api::Api;
use crate::convert;
use crate::memory::{Good, Key, Source};
use crate::problem::{BAD_PARAMETER, Miss, no};

/// The most results that are read of a run, or of one of its partitions.
const RESULTS: u32 = 200_000;
/// The most results that are listed with a look.
const LISTED: u32 = 10_000;

/// A run and its dataset by their ids.
fn ids(run: &Run) -> Result<(DatasetId, RunId), Problem> {
    let none = || no("run", &run.id);
    let dataset = DatasetId::new(run.dataset.as_str()).map_err(|_| none())?;
    Ok((dataset, run.id.parse().map_err(|_| none())?))
}

/// How far a run has come: what was read when it was elsewhere is no answer about it.
fn stand(run: &Run) -> String {
    format!("{} {} {:?}", run.state, run.counts.planned, run.finished_at)
}

impl Api {
    /// All results of a run, also of versions that were replaced since, or those of one partition.
    pub(crate) async fn run_results(
        &self,
        who: &Reader,
        id: &str,
        partition: Option<&str>,
        cut: &Cut,
    ) -> Answer<List<CheckResult>> {
        let found = self.readable_run(who, id).await?;
        let (dataset, run) = ids(&found.it.run)?;
        let store = Arc::clone(&self.parts.store);
        let key = Key::of(
            &dataset,
            format!("results of {run} {partition:?} {}", stand(&found.it.run)),
        );
        let partition = partition.map(|key| PartitionKey(key.to_owned()));
        let load = async move {
            let filter = ResultFilter {
                run: Some(run),
                partition,
                superseded: true,
                limit: RESULTS + 1,
                ..ResultFilter::default()
            };
            let rows = store.results(&dataset, &filter).await?;
            if rows.len() > RESULTS as usize {
                let what =
                    format!("it has more than {RESULTS} results: ask for those of one `partition`");
                return Err(Miss::from(BAD_PARAMETER.because(what)));
            }
            Ok(rows.iter().map(convert::result).collect())
        };
        let rows = self
            .memory
            .value(
                Source::Store,
                key,
                Good::For(BRIEF),
                |rows: &Vec<CheckResult>| rows.len() * 1000,
                load,
            )
            .await?;
        let name = |row: &CheckResult| format!("{}\u{0}{}", row.partition, row.check);
        Ok(Told {
            it: page_of(rows.it.as_ref(), cut, name)?,
            as_of: rows.as_of,
            stale_s: rows.stale_s,
        })
    }

    /// What the look of a run answers for.
    pub(crate) async fn run_standing(&self, who: &Reader, id: &str) -> Answer<Standing> {
        let found = self.readable_run(who, id).await?;
        let (dataset, run) = ids(&found.it.run)?;
        let keys = found.it.run.selection.keys.clone();
        let store = Arc::clone(&self.parts.store);
        let key = Key::of(
            &dataset,
            format!("standing of {run} {}", stand(&found.it.run)),
        );
        let load = async move {
            let look = Look {
                runs: &[run],
                keys: &keys,
                limit: LISTED,
                which: Which::All,
            };
            let of = standing(store.as_ref(), &dataset, look).await?;
            Ok::<_, Miss>(Standing {
                results: of.rows.iter().map(convert::result).collect(),
                judged: Counts::from(of.judged_counts),
                judged_partitions: of.judged.len() as u64,
                elsewhere: Counts::from(of.elsewhere_counts),
                elsewhere_partitions: of.elsewhere.len() as u64,
                unchanged: of.unchanged,
            })
        };
        let told = self
            .memory
            .answer(Source::Store, key, Good::For(BRIEF), load)
            .await?;
        Ok(told.told())
    }
}
