//! Which columns of an answer hold what may not be shown.
//!
//! In: a plan and the names of masked columns. Out: for each column of the result whether a masked
//! value is in it, whatever it was renamed or computed to. What cannot be followed counts as masked.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

/// Aggregates that show no value of a row: those that are measured of masked columns, too.
const OF_MANY: &[&str] = &[
    "count",
    "sum",
    "avg",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
];

/// What may not be shown.
pub(crate) struct Masked {
    /// The columns, in any table.
    pub(crate) columns: BTreeSet<String>,
    /// Whether what [`OF_MANY`] make of them may be shown.
    pub(crate) sums_show: bool,
}

/// For each column of `plan`'s result whether it derives from what is masked.
pub(crate) fn tainted(plan: &LogicalPlan, masked: &Masked) -> Result<Vec<bool>> {
    if masked.columns.is_empty() {
        return Ok(vec![false; plan.schema().fields().len()]);
    }
    let inputs = plan.inputs();
    let own = |expressions: &[&Expr]| -> Result<Vec<bool>> {
        expressions
            .iter()
            .map(|expr| holds(expr, &inputs, masked))
            .collect()
    };
    match plan {
        LogicalPlan::TableScan(scan) => {
            let fields = scan.projected_schema.fields().iter();
            Ok(fields
                .map(|field| masked.columns.contains(field.name()))
                .collect())
        }
        LogicalPlan::Projection(projection) => own(&projection.expr.iter().collect::<Vec<_>>()),
        LogicalPlan::Aggregate(aggregate) => {
            let all = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            let taints = own(&all.collect::<Vec<_>>())?;
            Ok(padded(taints, plan))
        }
        LogicalPlan::Window(window) => {
            let mut taints = tainted(&window.input, masked)?;
            taints.extend(own(&window.window_expr.iter().collect::<Vec<_>>())?);
            Ok(padded(taints, plan))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Repartition(_) => match inputs.as_slice() {
            [one] => Ok(padded(tainted(one, masked)?, plan)),
            _ => Ok(any(plan, masked)),
        },
        LogicalPlan::Join(join) => {
            let mut taints = tainted(&join.left, masked)?;
            taints.extend(tainted(&join.right, masked)?);
            if taints.len() != plan.schema().fields().len() {
                // A semi join shows one side only.
                return Ok(any(plan, masked));
            }
            Ok(taints)
        }
        LogicalPlan::Union(union) => {
            let mut all = vec![false; plan.schema().fields().len()];
            for input in &union.inputs {
                for (all, one) in all.iter_mut().zip(padded(tainted(input, masked)?, plan)) {
                    *all |= one;
                }
            }
            Ok(all)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => Ok(padded(tainted(input, masked)?, plan)),
        LogicalPlan::EmptyRelation(_) => Ok(vec![false; plan.schema().fields().len()]),
        _ => Ok(any(plan, masked)),
    }
}

/// Taints of all columns of a plan, those that are not known as masked.
fn padded(mut taints: Vec<bool>, plan: &LogicalPlan) -> Vec<bool> {
    taints.resize(plan.schema().fields().len(), true);
    taints
}

/// Every column as masked, if anything masked is read below.
fn any(plan: &LogicalPlan, masked: &Masked) -> Vec<bool> {
    vec![reads(plan, masked); plan.schema().fields().len()]
}

/// Whether a masked column is read anywhere below.
fn reads(plan: &LogicalPlan, masked: &Masked) -> bool {
    let mut found = false;
    let looked = plan.apply_with_subqueries(|plan| {
        if let LogicalPlan::TableScan(scan) = plan {
            let mut fields = scan.projected_schema.fields().iter();
            found |= fields.any(|field| masked.columns.contains(field.name()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found || looked.is_err()
}

fn column(column: &Column, inputs: &[&LogicalPlan], masked: &Masked) -> Result<bool> {
    for input in inputs {
        if let Some(at) = input.schema().maybe_index_of_column(column) {
            return Ok(tainted(input, masked)?.get(at).copied().unwrap_or(true));
        }
    }
    Ok(true)
}

fn holds(expr: &Expr, inputs: &[&LogicalPlan], masked: &Masked) -> Result<bool> {
    let mut found = false;
    expr.apply(|part| {
        found |= match part {
            Expr::Column(of) => column(of, inputs, masked)?,
            Expr::OuterReferenceColumn(_, of) => masked.columns.contains(&of.name),
            Expr::ScalarSubquery(of) => tainted(&of.subquery, masked)?.contains(&true),
            Expr::AggregateFunction(of)
                if masked.sums_show && OF_MANY.contains(&of.func.name()) =>
            {
                return Ok(TreeNodeRecursion::Jump);
            }
            _ => false,
        };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
