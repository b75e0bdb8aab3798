//! Cuts what has to be measured into batches and numbers the tasks of the run.
//!
//! In: the partitions to judge and a way to cut large objects. Out: the measurements (1 to m) and
//! the evaluations (m + 1 to m + e, in key order) of a [`Discovery`]. An object larger than the
//! target is cut where its format allows; smaller ones share a batch up to the target. An object
//! that cannot be cut is one piece: its measurement then tells what is wrong with it.

use std::collections::BTreeMap;

use assay_model::output::Discovery;
use assay_model::partition::{ObjectRef, ObjectSlice, Part, Partition};
use assay_model::task::{EvaluateMode, EvaluateSpec, MeasureSpec};

use super::decide::Judge;

/// A part of an object and the bytes that reading it takes.
pub type Piece = (Part, u64);

/// Cuts one object that is larger than the target (bytes) into pieces of about the target.
pub type CutObject<'a> = &'a mut dyn FnMut(&ObjectRef, u64) -> Vec<Piece>;

/// Packs the pieces of `objects` into batches of about `target` bytes, in order.
fn pack(objects: &[ObjectRef], target: u64, cut: CutObject<'_>) -> Vec<Vec<(ObjectSlice, u64)>> {
    let mut batches: Vec<Vec<(ObjectSlice, u64)>> = Vec::new();
    let mut filled = 0u64;
    for object in objects {
        let whole = vec![(Part::Whole, object.size)];
        let pieces = if object.size > target {
            cut(object, target)
        } else {
            whole.clone()
        };
        let pieces = if pieces.is_empty() { whole } else { pieces };
        for (part, bytes) in pieces {
            if batches.is_empty() || filled.saturating_add(bytes) > target {
                batches.push(Vec::new());
                filled = 0;
            }
            filled = filled.saturating_add(bytes);
            if let Some(batch) = batches.last_mut() {
                batch.push((
                    ObjectSlice {
                        object: object.clone(),
                        part,
                    },
                    bytes,
                ));
            }
        }
    }
    batches
}

fn measures(
    partitions: &[Partition],
    batches: Vec<Vec<(ObjectSlice, u64)>>,
) -> impl Iterator<Item = MeasureSpec> {
    let count = batches.len() as u32;
    batches
        .into_iter()
        .zip(1u32..)
        .map(move |(pieces, batch)| MeasureSpec {
            queries: false,
            reading: None,
            partitions: partitions.to_vec(),
            batch,
            batches: count,
            bytes: pieces.iter().map(|(_, bytes)| bytes).sum(),
            slices: pieces.into_iter().map(|(slice, _)| slice).collect(),
        })
}

fn evaluation(judge: Judge, measured_by: Vec<u32>) -> EvaluateSpec {
    EvaluateSpec {
        version: judge.version.clone(),
        mode: EvaluateMode::Judge,
        sealed: judge.sealed,
        measured_by,
        objects: judge.objects.len() as u64,
        bytes: judge.bytes(),
        last_modified: judge.last_modified,
        reason: None,
        partition: judge.partition,
        copies: Vec::new(),
    }
}

/// Plans a batch for each partition that puts the owner's queries to all of its objects at once.
pub fn plan_queries(judges: &[Judge], into: &mut Discovery) {
    for judge in judges {
        let whole = |object: &ObjectRef| ObjectSlice {
            object: object.clone(),
            part: Part::Whole,
        };
        into.measures.push(MeasureSpec {
            partitions: vec![judge.partition.clone()],
            batch: 1,
            batches: 1,
            slices: judge.objects.iter().map(whole).collect(),
            bytes: judge.bytes(),
            queries: true,
            reading: None,
        });
        let no = into.measures.len() as u32;
        let key = &judge.partition.key;
        let of = into
            .evaluations
            .iter_mut()
            .filter(|e| e.partition.key == *key);
        of.for_each(|evaluation| evaluation.measured_by.push(no));
    }
}

/// Plans partitions that have their objects to themselves.
pub fn plan_apart(judges: Vec<Judge>, target: u64, cut: CutObject<'_>, into: &mut Discovery) {
    for judge in judges {
        let first = into.measures.len() as u32 + 1;
        let batches = pack(&judge.objects, target, &mut *cut);
        into.measures
            .extend(measures(std::slice::from_ref(&judge.partition), batches));
        let measured_by = (first..=into.measures.len() as u32).collect();
        into.evaluations.push(evaluation(judge, measured_by));
    }
}

/// Plans partitions that share objects. `held` tells, for each object (by path), every partition
/// that it holds rows of, planned or not: a batch names all of them, so that a row of any other
/// partition is an error and never lost.
pub fn plan_shared(
    judges: Vec<Judge>,
    held: &BTreeMap<String, Vec<Partition>>,
    target: u64,
    cut: CutObject<'_>,
    into: &mut Discovery,
) {
    let mut objects: Vec<ObjectRef> = judges.iter().flat_map(|j| j.objects.clone()).collect();
    objects.sort_unstable();
    objects.dedup();
    let mut batches_of: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (mut spec, no) in measures(&[], pack(&objects, target, cut)).zip(1u32..) {
        for slice in &spec.slices {
            batches_of
                .entry(slice.object.path.clone())
                .or_default()
                .push(no);
            let here = held.get(&slice.object.path).map_or(&[][..], Vec::as_slice);
            spec.partitions.extend_from_slice(here);
        }
        spec.partitions.sort_unstable();
        spec.partitions.dedup();
        into.measures.push(spec);
    }
    for judge in judges {
        let numbers = judge
            .objects
            .iter()
            .filter_map(|object| batches_of.get(&object.path));
        let mut measured_by: Vec<u32> = numbers.flatten().copied().collect();
        measured_by.sort_unstable();
        measured_by.dedup();
        into.evaluations.push(evaluation(judge, measured_by));
    }
}
