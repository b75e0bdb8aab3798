//! Comparisons of texts with numbers, which are refused.
//!
//! In: a plan, before the engine makes one type of both sides of a comparison. Out: nothing, or why
//! it is refused. The engine would read the text as a number, or the number as a text: the key
//! `007` would be found as 7 in another table, and `'10' < '9'` would be true. Whoever means it
//! says which by a CAST.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use crate::error::QueryError;

/// Refuses a comparison of a text with a number, in joins, conditions and values.
///
/// # Errors
/// [`QueryError::Refused`], with both sides.
pub(crate) fn verify(plan: &LogicalPlan) -> std::result::Result<(), QueryError> {
    let mut found = None;
    let looked = plan.apply_with_subqueries(|plan| {
        found = of_node(plan)?;
        Ok(match found {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    });
    let found = match looked {
        Ok(_) => found,
        // What has no type here gets its own message when the query is planned further.
        Err(_) => None,
    };
    found.map_or(Ok(()), |sides| {
        let what = format!("{sides} compares a text with a number");
        let next = "CAST one side: 007 is the number 7, but not the text '7'";
        Err(QueryError::refused(None, what, next))
    })
}

fn of_node(plan: &LogicalPlan) -> Result<Option<String>> {
    let mut seen = DFSchema::empty();
    for input in plan.inputs() {
        seen.merge(input.schema());
    }
    if let LogicalPlan::Join(join) = plan {
        for (left, right) in &join.on {
            if differ(left, right, &seen) {
                return Ok(Some(format!("{left} = {right}")));
            }
        }
    }
    let mut found = None;
    for expr in plan.expressions() {
        expr.apply(|part| {
            found = of_expression(part, &seen);
            Ok(match found {
                Some(_) => TreeNodeRecursion::Stop,
                None => TreeNodeRecursion::Continue,
            })
        })?;
        if found.is_some() {
            break;
        }
    }
    Ok(found)
}

fn of_expression(expr: &Expr, seen: &DFSchema) -> Option<String> {
    let told = |left: &Expr, right: &Expr| {
        differ(left, right, seen).then(|| format!("{left} against {right}"))
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => told(left, right),
        Expr::Between(of) => told(&of.expr, &of.low).or_else(|| told(&of.expr, &of.high)),
        Expr::InList(of) => of.list.iter().find_map(|one| told(&of.expr, one)),
        Expr::InSubquery(of) => {
            let within = of.subquery.subquery.schema();
            let within = within.fields().first()?.data_type().clone();
            let own = of.expr.get_type(seen).ok()?;
            is_mixed(&own, &within).then(|| format!("{} IN (…)", of.expr))
        }
        Expr::Case(of) => {
            let on = of.expr.as_ref()?;
            of.when_then_expr
                .iter()
                .find_map(|(when, _)| told(on, when))
        }
        _ => None,
    }
}

const fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn differ(left: &Expr, right: &Expr, seen: &DFSchema) -> bool {
    match (left.get_type(seen), right.get_type(seen)) {
        (Ok(left), Ok(right)) => is_mixed(&left, &right),
        _ => false,
    }
}

fn is_mixed(one: &DataType, other: &DataType) -> bool {
    (is_text(one) && is_number(other)) || (is_number(one) && is_text(other))
}

fn is_text(of: &DataType) -> bool {
    match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, of) => is_text(of),
        _ => false,
    }
}

fn is_number(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, of) => is_number(of),
        of => of.is_numeric(),
    }
}
