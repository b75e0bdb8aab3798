//! Which columns of an answer hold what may not be shown.
//!
//! In: a plan and the names of masked columns. Out: for each column of the result whether a masked
//! value is in it, whatever it was renamed or computed to, and whatever it was held equal to: a
//! column that a condition compares with a masked one tells of its values. What cannot be followed
//! counts as masked.
//!
//! A condition that compares a masked column with a value of the text, and shows another column or
//! a count, still answers whether there is such a row. Masks hide values from who reads results;
//! they do not hold against who writes the checks.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, Join, JoinType, LogicalPlan, Operator, Subquery,
};

/// Aggregates that show no value of a row when they are of all rows: those that are measured of
/// masked columns, too.
const OF_MANY: &[&str] = &["sum", "avg", "stddev", "stddev_pop", "var", "var_pop"];

/// Nodes of plans that are looked at: one in a subquery is looked at several times.
const NODES_MAX: u32 = 20_000;

/// What may not be shown.
pub(crate) struct Masked {
    /// The columns, in any table, in small letters.
    columns: BTreeSet<String>,
    /// Whether counts, and what [`OF_MANY`] make of all rows, may be shown.
    sums_show: bool,
}

/// For each column of `plan`'s result whether it derives from what is masked.
pub(crate) fn tainted(plan: &LogicalPlan, masked: &Masked) -> Result<Vec<bool>> {
    if masked.columns.is_empty() {
        return Ok(vec![false; plan.schema().fields().len()]);
    }
    let mut look = Look {
        masked,
        around: Vec::new(),
        leaked: Vec::new(),
        left: NODES_MAX,
    };
    look.plan(plan, masked.sums_show)
}

impl Masked {
    /// These columns, whatever the case of their letters.
    pub(crate) fn new(columns: &[String], sums_show: bool) -> Self {
        Self {
            columns: columns.iter().map(|name| name.to_lowercase()).collect(),
            sums_show,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.columns.contains(&name.to_lowercase())
    }
}

/// The columns that an expression sees, and which of them are masked.
#[derive(Clone)]
struct Seen {
    of: Vec<(DFSchema, usize)>,
    taints: Vec<bool>,
}

impl Seen {
    fn place(&self, column: &Column) -> Option<usize> {
        let found = |(schema, from): &(DFSchema, usize)| {
            schema.maybe_index_of_column(column).map(|at| from + at)
        };
        self.of.iter().find_map(found)
    }

    fn is_masked(&self, column: &Column) -> bool {
        let at = self.place(column);
        at.and_then(|at| self.taints.get(at).copied())
            .unwrap_or(true)
    }

    fn taint(&mut self, column: &Column) -> bool {
        match self.place(column).and_then(|at| self.taints.get_mut(at)) {
            Some(taint) => {
                *taint = true;
                true
            }
            None => false,
        }
    }
}

struct Look<'a> {
    masked: &'a Masked,
    /// What the queries around see, the innermost last.
    around: Vec<Seen>,
    /// Columns of queries around that a condition within compares with what is masked.
    leaked: Vec<Column>,
    /// Nodes that may still be looked at.
    left: u32,
}

impl Look<'_> {
    /// The taints of a plan's columns; all, when there is too much to look at.
    fn plan(&mut self, plan: &LogicalPlan, sums_show: bool) -> Result<Vec<bool>> {
        let width = plan.schema().fields().len();
        if let LogicalPlan::TableScan(scan) = plan {
            let fields = scan.projected_schema.fields().iter();
            return Ok(fields.map(|field| self.masked.has(field.name())).collect());
        }
        if self.left == 0 {
            return Ok(vec![true; width]);
        }
        self.left -= 1;
        let of_all_rows = match plan {
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
            _ => false,
        };
        let mut below = Seen {
            of: Vec::new(),
            taints: Vec::new(),
        };
        let mut inputs = Vec::new();
        for input in plan.inputs() {
            let taints = self.plan(input, sums_show)?;
            let schema = input.schema().as_ref().clone();
            below.of.push((schema, below.taints.len()));
            below.taints.extend(&taints);
            inputs.push(taints);
        }
        self.conditions(plan, &mut below, sums_show)?;
        let shown = (sums_show, of_all_rows);
        let taints = match plan {
            LogicalPlan::Projection(projection) => self.each(&projection.expr, &below, shown)?,
            LogicalPlan::Aggregate(aggregate) => {
                let mut all = self.each(&aggregate.group_expr, &below, shown)?;
                all.extend(self.each(&aggregate.aggr_expr, &below, shown)?);
                all
            }
            LogicalPlan::Window(window) => {
                let of_windows = self.each(&window.window_expr, &below, shown)?;
                below.taints.into_iter().chain(of_windows).collect()
            }
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => below.taints,
            LogicalPlan::Join(join) => joined(join, below.taints),
            LogicalPlan::Union(_) => {
                let mut all = vec![false; width];
                for input in &inputs {
                    for (at, all) in all.iter_mut().enumerate() {
                        *all |= input.get(at).copied().unwrap_or(true);
                    }
                }
                all
            }
            LogicalPlan::EmptyRelation(_) => vec![false; width],
            LogicalPlan::Values(_) => {
                let all = self.each(&plan.expressions(), &below, shown)?;
                vec![all.contains(&true); width]
            }
            _ => vec![below.taints.contains(&true); width],
        };
        Ok(padded(taints, width))
    }

    /// Taints columns that are compared with what is masked, until nothing more is.
    fn conditions(&mut self, plan: &LogicalPlan, below: &mut Seen, sums_show: bool) -> Result<()> {
        let mut leaves: Vec<Vec<Expr>> = Vec::new();
        match plan {
            LogicalPlan::Filter(filter) => split(&filter.predicate, &mut leaves),
            LogicalPlan::Join(join) => {
                for (left, right) in &join.on {
                    leaves.push(vec![left.clone(), right.clone()]);
                }
                if let Some(filter) = &join.filter {
                    split(filter, &mut leaves);
                }
            }
            // Subqueries among the values of a result compare with the rows around them, too.
            other => {
                let asking = other.expressions().into_iter().filter(asks);
                leaves.extend(asking.map(|expr| vec![expr]));
            }
        }
        let compares = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        loop {
            let before = below.taints.iter().filter(|taint| **taint).count();
            for leaf in &leaves {
                let from = self.leaked.len();
                let mut held = false;
                for expr in leaf {
                    held |= self.holds(expr, below, (sums_show, false))?;
                }
                for column in self.leaked.split_off(from) {
                    if !below.taint(&column) {
                        self.leaked.push(column);
                    }
                }
                if !(held && compares) {
                    continue;
                }
                for expr in leaf {
                    for column in expr.column_refs() {
                        below.taint(column);
                    }
                    expr.apply(|part| {
                        if let Expr::OuterReferenceColumn(_, column) = part {
                            self.leaked.push(column.clone());
                        }
                        Ok(TreeNodeRecursion::Continue)
                    })?;
                }
            }
            if below.taints.iter().filter(|taint| **taint).count() == before {
                return Ok(());
            }
        }
    }

    /// Whether masked values are in the values of expressions. What their subqueries compare with
    /// is found already.
    fn each(&mut self, all: &[Expr], below: &Seen, shown: (bool, bool)) -> Result<Vec<bool>> {
        let from = self.leaked.len();
        let each = all.iter().map(|expr| self.holds(expr, below, shown));
        let each = each.collect();
        self.leaked.truncate(from);
        each
    }

    /// Whether a masked value is in the value of an expression. `shown`: whether sums may be shown,
    /// and whether these are of all rows.
    fn holds(&mut self, expr: &Expr, below: &Seen, shown: (bool, bool)) -> Result<bool> {
        let (sums_show, of_all_rows) = shown;
        let mut found = false;
        expr.apply(|part| {
            found |= match part {
                Expr::Column(of) => below.is_masked(of),
                Expr::OuterReferenceColumn(_, of) => {
                    let around = self.around.iter().rev();
                    let mut those = around.filter(|seen| seen.place(of).is_some());
                    those.next().is_none_or(|seen| seen.is_masked(of))
                }
                Expr::ScalarSubquery(of) => self.subquery(of, below, sums_show)?.contains(&true),
                Expr::InSubquery(of) => self
                    .subquery(&of.subquery, below, sums_show)?
                    .contains(&true),
                Expr::SetComparison(of) => self
                    .subquery(&of.subquery, below, sums_show)?
                    .contains(&true),
                Expr::Exists(of) => {
                    // What it selects is not seen; what it compares with is.
                    self.subquery(&of.subquery, below, sums_show)?;
                    false
                }
                Expr::AggregateFunction(of) if sums_show => {
                    let name = of.func.name();
                    if name == "count" || (of_all_rows && OF_MANY.contains(&name)) {
                        return Ok(TreeNodeRecursion::Jump);
                    }
                    false
                }
                _ => false,
            };
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    }

    fn subquery(&mut self, of: &Subquery, below: &Seen, sums_show: bool) -> Result<Vec<bool>> {
        self.around.push(below.clone());
        // One that depends on the row around it is of that row's rows, which may be one.
        let is_alone = of.outer_ref_columns.is_empty();
        let taints = self.plan(&of.subquery, sums_show && is_alone);
        self.around.pop();
        taints
    }
}

/// Whether a subquery that depends on the row around it is in an expression.
fn asks(expr: &Expr) -> bool {
    let is_query = |part: &Expr| {
        let of = match part {
            Expr::ScalarSubquery(of) => of,
            Expr::InSubquery(of) => &of.subquery,
            Expr::Exists(of) => &of.subquery,
            Expr::SetComparison(of) => &of.subquery,
            _ => return Ok(false),
        };
        Ok(!of.outer_ref_columns.is_empty())
    };
    expr.exists(is_query).unwrap_or(true)
}

/// The conditions that `AND`, `OR` and `NOT` make a condition of.
fn split(condition: &Expr, leaves: &mut Vec<Vec<Expr>>) {
    let mut left = vec![condition];
    while let Some(next) = left.pop() {
        match next {
            Expr::BinaryExpr(BinaryExpr {
                left: one,
                op: Operator::And | Operator::Or,
                right: other,
            }) => left.extend([one.as_ref(), other.as_ref()]),
            Expr::Not(of) => left.push(of),
            // It tells no value of another column.
            Expr::IsNull(of) | Expr::IsNotNull(of) if matches!(**of, Expr::Column(_)) => {}
            other => leaves.push(vec![other.clone()]),
        }
    }
}

/// The columns that a join shows of those of both sides.
fn joined(join: &Join, both: Vec<bool>) -> Vec<bool> {
    let left = join.left.schema().fields().len().min(both.len());
    match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => both[..left].to_vec(),
        JoinType::RightSemi | JoinType::RightAnti => both[left..].to_vec(),
        // Its mark says whether there is a partner.
        JoinType::LeftMark => {
            let mark = both.contains(&true);
            both[..left].iter().copied().chain([mark]).collect()
        }
        JoinType::RightMark => {
            let mark = both.contains(&true);
            both[left..].iter().copied().chain([mark]).collect()
        }
        _ => both,
    }
}

/// Taints of all columns of a plan, those that are not known as masked.
fn padded(mut taints: Vec<bool>, width: usize) -> Vec<bool> {
    taints.resize(width, true);
    taints
}
