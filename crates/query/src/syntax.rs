//! What is refused of a parsed statement.
//!
//! In: bounded tokens. Out: one query that reads nothing but tables it was given. What the engine
//! would pass over without a word (locks, hints, samples, formats) is refused as well: a clause that
//! is not obeyed is a wrong answer. The list is of what is allowed wherever one can be made.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, GroupByExpr, ObjectName, ObjectNamePart, Query, Select, SetExpr,
    Statement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::QueryError;
use crate::functions;

/// Levels that the parser may go down: several for each level of nesting that [`crate::gate`] lets
/// through.
const PARSER_LEVELS: usize = 300;

/// Most parts of a name, as in `table.column.field`.
const NAME_PARTS_MAX: usize = 4;

/// Parses the one query that `tokens` are.
///
/// # Errors
/// [`QueryError::Invalid`] for what is no query, [`QueryError::Refused`] for what none may do.
pub(crate) fn parse(
    tokens: Vec<TokenWithSpan>,
    tables: &BTreeSet<String>,
) -> Result<Statement, QueryError> {
    let dialect = GenericDialect {};
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(PARSER_LEVELS)
        .with_tokens_with_locations(tokens);
    let first = parser.peek_token().token.to_string().to_ascii_uppercase();
    if !matches!(first.as_str(), "SELECT" | "WITH" | "(") {
        let what = format!("a check reads with SELECT, and this begins with {first}");
        return Err(QueryError::refused(None, what, "write one SELECT"));
    }
    let statement = parser.parse_statement().map_err(unparsed)?;
    if parser.peek_token().token != Token::EOF {
        let what = format!(
            "{} is left over behind the query",
            parser.peek_token().token
        );
        let next = "write one SELECT for each check";
        return Err(QueryError::refused(None, what, next));
    }
    let Statement::Query(query) = &statement else {
        let next = "write one SELECT";
        return Err(QueryError::refused(
            None,
            "a statement that is no SELECT",
            next,
        ));
    };
    let mut named = Named::default();
    let _: ControlFlow<()> = query.visit(&mut named);
    let mut look = Look {
        tables,
        named: &named.0,
    };
    match statement.visit(&mut look) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(error) => Err(error),
    }
}

fn unparsed(error: ParserError) -> QueryError {
    match error {
        ParserError::RecursionLimitExceeded => QueryError::refused(
            None,
            "nested too deeply",
            "name parts of it in a WITH clause",
        ),
        ParserError::ParserError(what) | ParserError::TokenizerError(what) => QueryError::Invalid {
            at: None,
            what,
            next: "correct the SQL".to_owned(),
        },
    }
}

/// The names that WITH clauses give.
#[derive(Default)]
struct Named(BTreeSet<String>);

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.0.insert(plain(&cte.alias.name));
        }
        ControlFlow::Continue(())
    }
}

/// A name as the engine reads it: folded to small letters unless quoted.
fn plain(name: &datafusion::sql::sqlparser::ast::Ident) -> String {
    if name.quote_style.is_some() {
        name.value.clone()
    } else {
        name.value.to_ascii_lowercase()
    }
}

struct Look<'a> {
    tables: &'a BTreeSet<String>,
    named: &'a BTreeSet<String>,
}

fn refuse(what: impl Into<String>, next: impl Into<String>) -> ControlFlow<QueryError> {
    ControlFlow::Break(QueryError::refused(None, what, next))
}

const OK: ControlFlow<QueryError> = ControlFlow::Continue(());

impl Look<'_> {
    fn relation(&self, name: &ObjectName) -> ControlFlow<QueryError> {
        let parts: Vec<_> = name.0.iter().collect();
        let [ObjectNamePart::Identifier(one)] = parts.as_slice() else {
            let next = "name a table of the dataset file, without a schema or a catalog";
            return refuse(format!("{name} is no table of this check"), next);
        };
        let one = plain(one);
        if self.tables.contains(&one) || self.named.contains(&one) {
            return OK;
        }
        let known: Vec<&str> = self.tables.iter().map(String::as_str).collect();
        let next = format!("the tables are: {}", known.join(", "));
        refuse(format!("there is no table {name}"), next)
    }
}

fn set_expression(body: &SetExpr) -> ControlFlow<QueryError> {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => OK,
        SetExpr::SetOperation { left, right, .. } => {
            // A chain of set operations leans to the left, as long as the operators allow.
            let mut side = left;
            while let SetExpr::SetOperation { left, right, .. } = &**side {
                set_expression_leaf(right)?;
                side = left;
            }
            set_expression_leaf(side)?;
            set_expression_leaf(right)
        }
        _ => refuse("only SELECT reads rows here", "write a SELECT"),
    }
}

fn set_expression_leaf(body: &SetExpr) -> ControlFlow<QueryError> {
    match body {
        SetExpr::Select(_)
        | SetExpr::Query(_)
        | SetExpr::Values(_)
        | SetExpr::SetOperation { .. } => OK,
        _ => refuse("only SELECT reads rows here", "write a SELECT"),
    }
}

impl Visitor for Look<'_> {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        set_expression(&query.body)?;
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            let next = "write the levels out, or measure the depth where the data is made";
            return refuse("a recursive query may never end", next);
        }
        let passed_over = [
            (!query.locks.is_empty(), "FOR UPDATE"),
            (query.for_clause.is_some(), "FOR"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (!query.pipe_operators.is_empty(), "|>"),
            (query.fetch.is_some(), "FETCH"),
        ];
        clauses(&passed_over)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        if select.projection.is_empty() {
            return refuse("a SELECT of nothing", "name what is to be selected");
        }
        let passed_over = [
            (select.into.is_some(), "INTO"),
            (select.top.is_some(), "TOP"),
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!select.lateral_views.is_empty(), "LATERAL VIEW"),
            (!select.cluster_by.is_empty(), "CLUSTER BY"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
            (!select.sort_by.is_empty(), "SORT BY"),
            (select.value_table_mode.is_some(), "AS STRUCT"),
            (select.select_modifiers.is_some(), "a modifier of SELECT"),
            (!select.optimizer_hints.is_empty(), "a hint"),
            (groups_more(&select.group_by), "WITH ROLLUP, CUBE or TOTALS"),
        ];
        clauses(&passed_over)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        match factor {
            TableFactor::Table {
                name,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
                ..
            } => {
                if args.is_some() {
                    let next = "read from the tables of the dataset file only";
                    return refuse(format!("{name}(…) as a table"), next);
                }
                clauses(&[
                    (!with_hints.is_empty() || !index_hints.is_empty(), "a hint"),
                    (version.is_some(), "a version of a table"),
                    (*with_ordinality, "WITH ORDINALITY"),
                    (!partitions.is_empty(), "PARTITION"),
                    (json_path.is_some(), "a path into a table"),
                    (sample.is_some(), "TABLESAMPLE"),
                ])?;
                self.relation(name)
            }
            TableFactor::Derived { sample, .. } => clauses(&[(sample.is_some(), "TABLESAMPLE")]),
            TableFactor::NestedJoin { .. } => OK,
            TableFactor::UNNEST { .. } => clauses(&[(true, "UNNEST")]),
            _ => {
                let next = "read from the tables of the dataset file only";
                refuse("a function as a table", next)
            }
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<QueryError> {
        match expr {
            Expr::Function(function) => {
                let name = function.name.to_string().to_ascii_lowercase();
                let name = name.trim_matches('"');
                if let Some((what, next)) = functions::refused(name) {
                    return refuse(format!("{name}: {what}"), next);
                }
                let odd = function.uses_odbc_syntax
                    || !matches!(function.parameters, FunctionArguments::None);
                clauses(&[(odd, "such a call")])
            }
            Expr::Cube(_) | Expr::Rollup(_) | Expr::GroupingSets(_) => {
                clauses(&[(true, "GROUPING SETS")])
            }
            Expr::CompoundIdentifier(parts) if parts.len() > NAME_PARTS_MAX => {
                let next = "write table.column";
                refuse(format!("a name of {} parts", parts.len()), next)
            }
            // The engine searches for the pattern anywhere in the text, which is not what it means.
            Expr::SimilarTo { .. } => refuse(
                "SIMILAR TO is not read here",
                "use LIKE, or ~ with ^ and $ around a regular expression",
            ),
            Expr::Collate { .. } => clauses(&[(true, "COLLATE")]),
            Expr::Lambda(_) | Expr::Prefixed { .. } | Expr::MatchAgainst { .. } => {
                clauses(&[(true, "such an expression")])
            }
            _ => OK,
        }
    }
}

/// Whether a GROUP BY asks for more than its groups: the parser reads that, and nobody obeys it.
fn groups_more(group_by: &GroupByExpr) -> bool {
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = group_by;
    !modifiers.is_empty()
}

/// Refuses the first clause that is there.
fn clauses(clauses: &[(bool, &str)]) -> ControlFlow<QueryError> {
    match clauses.iter().find(|(is_there, _)| *is_there) {
        Some((_, name)) => refuse(format!("{name} is not read here"), "leave it out"),
        None => OK,
    }
}
