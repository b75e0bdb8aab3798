//! A query from its text to its answer.
//!
//! In: a request and limits. Out: an answer or why there is none. Tokens are bounded, then the
//! statement is looked at, then planned over tables that read exactly the files of the request; no
//! file is written, no setting is read from the environment. One partition of work: doubles and
//! rows come in one order, always.
//!
//! The memory bound is that of the engine's own accounting, and the time bound is kept between
//! batches; the process that this runs in is bounded from outside as well.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use assay_scan::error::Place;
use assay_scan::{ScanContext, ScanError};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::MemTable;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use futures::StreamExt;

use crate::answer::{OneNumber, Sample};
use crate::error::QueryError;
use crate::exact::{self, Exact};
use crate::mask::Masked;
use crate::request::{Answer, Limits, Request, Source, Table, Want};
use crate::table::{Failed, FileTable};
use crate::{compare, functions, gate, mask, sums, syntax};
use assay_rows::{As, BATCH_ROWS};
use assay_scan::text::written::MARK;

/// Room for what the planner calls within itself: the deepest text that is let through needs less.
pub(crate) const STACK_BYTES: usize = 64 << 20;

/// A session with the tables of a request.
struct Session {
    context: SessionContext,
    scan: ScanContext,
    failed: Failed,
    whole_division: Arc<AtomicBool>,
    limits: Limits,
    ends: Instant,
    tables: BTreeSet<String>,
    /// Names of tables and columns, as they are written.
    names: BTreeSet<String>,
    /// The columns of the object that hold what is written in its files.
    written: Vec<String>,
}

/// Plans and runs a request; batches go to `each`.
pub(crate) fn answer(
    request: &Request,
    limits: Limits,
    scan: ScanContext,
    each: &mut dyn FnMut(RecordBatch) -> Result<(), QueryError>,
) -> Result<Answer, QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| QueryError::Broke(error.to_string()))?;
    let tokens = gate::tokens(request)?;
    let session = Session::open(request, limits, scan)?;
    let plan = runtime.block_on(session.plan(request, tokens))?;
    runtime.block_on(session.run(request, plan, each))
}

impl Session {
    fn open(request: &Request, limits: Limits, scan: ScanContext) -> Result<Self, QueryError> {
        let whole_division = Arc::new(AtomicBool::new(false));
        let mut session = Self {
            context: context(limits, &whole_division)?,
            scan,
            failed: Arc::new(Mutex::new(None)),
            whole_division,
            limits,
            ends: Instant::now() + limits.time,
            tables: BTreeSet::new(),
            names: BTreeSet::new(),
            written: Vec::new(),
        };
        let is_written = matches!(&request.want, Want::Filter { written: true, .. });
        for table in &request.tables {
            let is_object = table.name == request.object;
            session.register(table, is_written && is_object)?;
        }
        Ok(session)
    }

    fn register(&mut self, table: &Table, is_written: bool) -> Result<(), QueryError> {
        let name = TableReference::bare(table.name.as_str());
        if !self.tables.insert(table.name.clone()) {
            let what = format!("two tables are called {:?}", table.name);
            return Err(QueryError::refused(None, what, "give each its own name"));
        }
        let columns = match &table.rows {
            Source::Files {
                dataset,
                objects,
                partition,
            } => {
                let as_ = if is_written { As::Both } else { As::Typed };
                let of = partition.as_deref();
                let rows = assay_rows::open_as(dataset, objects, of, as_, &self.scan)?;
                let schema = rows.schema();
                if is_written {
                    let names = schema.fields().iter().map(|field| field.name());
                    let marked = names.filter(|name| name.starts_with(MARK));
                    self.written.extend(marked.cloned());
                }
                let failed = Arc::clone(&self.failed);
                let table = FileTable::new(rows, self.scan.clone(), failed);
                self.registered(self.context.register_table(name, Arc::new(table)))?;
                schema
            }
            Source::Ipc(bytes) => {
                let (schema, batches) = decoded(bytes, &table.name)?;
                let table = MemTable::try_new(Arc::clone(&schema), vec![batches]);
                let table = table.map_err(|error| self.told(&error))?;
                self.registered(self.context.register_table(name, Arc::new(table)))?;
                schema
            }
        };
        self.names.insert(table.name.clone());
        self.names
            .extend(columns.fields().iter().map(|field| field.name().clone()));
        Ok(())
    }

    fn registered<T>(&self, ended: Result<T, DataFusionError>) -> Result<(), QueryError> {
        ended.map(|_| ()).map_err(|error| self.told(&error))
    }

    async fn plan(
        &self,
        request: &Request,
        tokens: Vec<TokenWithSpan>,
    ) -> Result<LogicalPlan, QueryError> {
        let tokens = match &request.want {
            Want::Filter { columns, .. } => {
                let columns = match self.written.is_empty() {
                    true => columns,
                    false => &self.written,
                };
                selection(columns, &request.object, tokens)
            }
            Want::Number | Want::Rows { .. } => tokens,
        };
        let statement = syntax::parse(self.cased(tokens), &self.tables)?;
        let state = self.context.state();
        let plan = state
            .statement_to_plan(Parsed::Statement(Box::new(statement)))
            .await;
        let plan = plan.map_err(|error| self.told(&error))?;
        let nothing_but_queries = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let allowed = nothing_but_queries.verify_plan(&plan);
        allowed.map_err(|error| self.told(&error))?;
        compare::verify(&plan)?;
        Ok(plan)
    }

    /// Names in the case that tables and columns have. The engine folds a name without quotes to
    /// small letters, and would not find `VendorID`; where exactly one is meant, it is that.
    fn cased(&self, mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
        for at in 0..tokens.len() {
            let is_call = tokens
                .get(at + 1)
                .is_some_and(|next| next.token == Token::LParen);
            let Token::Word(word) = &tokens[at].token else {
                continue;
            };
            if is_call || word.quote_style.is_some() || !is_plain(&tokens[at].token) {
                continue;
            }
            let folded = word.value.to_ascii_lowercase();
            if self.names.contains(&folded) {
                continue;
            }
            let mut meant = self
                .names
                .iter()
                .filter(|name| name.to_ascii_lowercase() == folded);
            if let (Some(name), None) = (meant.next(), meant.next()) {
                tokens[at].token = gate::identifier(name);
            }
        }
        tokens
    }

    async fn run(
        &self,
        request: &Request,
        plan: LogicalPlan,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), QueryError>,
    ) -> Result<Answer, QueryError> {
        let fields = plan.schema().fields();
        let columns: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let mut number = OneNumber::default();
        let mut sample = Sample::new(0, Vec::new(), 0);
        match &request.want {
            Want::Number => {
                OneNumber::columns(&columns)?;
                if self.hidden(request, &plan, true)?.contains(&true) {
                    let what = "the number shows a value of a masked column";
                    let next = "count or sum over the column, or leave it out";
                    return Err(QueryError::refused(None, what, next));
                }
            }
            Want::Rows { cap } => {
                let hidden = self.hidden(request, &plan, false)?;
                sample = Sample::new(*cap as usize, hidden, self.limits.answer_bytes);
            }
            Want::Filter { .. } => {}
        }
        let state = self.context.state();
        let physical = state.create_physical_plan(&plan).await;
        let physical = physical.map_err(|error| self.told(&error))?;
        if matches!(request.want, Want::Filter { .. }) {
            // Rows may be none; their columns are told all the same.
            each(RecordBatch::new_empty(physical.schema()))?;
        }
        let stream = execute_stream(physical, self.context.task_ctx());
        let mut stream = stream.map_err(|error| self.told_of_rows(&error))?;
        let mut rows = 0;
        loop {
            let left = self.ends.saturating_duration_since(Instant::now());
            let next = tokio::time::timeout(left, stream.next()).await;
            let Some(batch) = next.map_err(|_| self.late())? else {
                break;
            };
            let batch = batch.map_err(|error| self.told_of_rows(&error))?;
            rows += batch.num_rows() as u64;
            match &request.want {
                Want::Number => number.take(&batch)?,
                Want::Rows { .. } => sample.take(&batch)?,
                Want::Filter { .. } => each(batch)?,
            }
        }
        let notes = self.notes();
        Ok(match &request.want {
            Want::Number => Answer::Number {
                value: number.end()?,
                notes,
            },
            Want::Rows { .. } => Answer::Rows {
                total: sample.total,
                columns,
                sample: sample.rows,
                notes,
            },
            Want::Filter { .. } => Answer::Filtered { rows },
        })
    }

    /// For each column of the result whether it may not be shown.
    fn hidden(
        &self,
        request: &Request,
        plan: &LogicalPlan,
        sums_show: bool,
    ) -> Result<Vec<bool>, QueryError> {
        let masked = Masked::new(&request.masked, sums_show);
        mask::tainted(plan, &masked).map_err(|error| self.told(&error))
    }

    fn notes(&self) -> Vec<String> {
        let met = self.whole_division.load(Ordering::Relaxed);
        met.then(|| exact::WHOLE_DIVISION.to_owned())
            .into_iter()
            .collect()
    }

    fn late(&self) -> QueryError {
        QueryError::Time {
            seconds: self.limits.time.as_secs(),
        }
    }

    /// An error of the engine before a row is read: nothing but the query can be in its words.
    fn told(&self, error: &DataFusionError) -> QueryError {
        self.of_reading()
            .unwrap_or_else(|| told(error, self.limits))
    }

    /// An error of the engine with rows: its words may hold their values, so that only its kind is
    /// told.
    fn told_of_rows(&self, error: &DataFusionError) -> QueryError {
        let of_reading = self.of_reading();
        of_reading.unwrap_or_else(|| told_of_rows(error, self.limits))
    }

    /// Why reading failed, if it did.
    fn of_reading(&self) -> Option<QueryError> {
        let mut failed = self
            .failed
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        failed.take().map(|of_reading| match of_reading {
            ScanError::Cancelled { .. } => self.late(),
            other => QueryError::Scan(other),
        })
    }
}

/// Keywords that are names of columns far more often, and mean nothing in a query.
const NAMES: &[&str] = &[
    "CODE", "COMMENT", "EMAIL", "ID", "KEY", "LABEL", "LEVEL", "LOCATION", "NAME", "OWNER",
    "SOURCE", "STATE", "STATUS", "TAG", "TITLE", "TYPE", "URL", "VALUE", "VERSION",
];

/// Whether a word is no keyword: those keep their meaning.
fn is_plain(token: &Token) -> bool {
    use datafusion::sql::sqlparser::keywords::Keyword;
    let Token::Word(word) = token else {
        return false;
    };
    word.keyword == Keyword::NoKeyword || NAMES.contains(&word.value.to_ascii_uppercase().as_str())
}

/// `SELECT columns FROM object WHERE (condition)`.
fn selection(
    columns: &[String],
    object: &str,
    condition: Vec<TokenWithSpan>,
) -> Vec<TokenWithSpan> {
    let mut tokens = vec![Token::make_keyword("SELECT")];
    if columns.is_empty() {
        tokens.push(Token::Mul);
    }
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            tokens.push(Token::Comma);
        }
        tokens.push(gate::identifier(column));
    }
    tokens.push(Token::make_keyword("FROM"));
    tokens.push(gate::identifier(object));
    tokens.push(Token::make_keyword("WHERE"));
    tokens.push(Token::LParen);
    let mut all: Vec<TokenWithSpan> = tokens.into_iter().map(TokenWithSpan::wrap).collect();
    all.extend(condition);
    all.push(TokenWithSpan::wrap(Token::RParen));
    all
}

fn decoded(bytes: &[u8], name: &str) -> Result<(SchemaRef, Vec<RecordBatch>), QueryError> {
    let broken = |error: ArrowError| {
        ScanError::corrupt(
            format!("the rows of {name}"),
            Place::file(),
            error.to_string(),
        )
    };
    let reader = StreamReader::try_new(bytes, None).map_err(broken)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(broken)?;
    Ok((schema, batches))
}

fn context(limits: Limits, whole_division: &Arc<AtomicBool>) -> Result<SessionContext, QueryError> {
    let broke = |error: DataFusionError| QueryError::Broke(error.to_string());
    let one = NonZeroUsize::MIN.get();
    let mut config = SessionConfig::new()
        .with_information_schema(false)
        .with_target_partitions(one)
        .with_batch_size(BATCH_ROWS);
    let options = config.options_mut();
    options.execution.enable_recursive_ctes = false;
    options.execution.planning_concurrency = one;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    let memory = usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX);
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(broke)?;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(functions::scalar())
        .with_aggregate_functions(functions::aggregate())
        .with_window_functions(functions::window())
        .build();
    let exact = Arc::new(Exact::new(Arc::clone(whole_division)));
    state.register_function_rewrite(exact).map_err(broke)?;
    Ok(SessionContext::new_with_state(state))
}

/// What stands in a message for the kind of an error of the engine.
fn kind(error: &ArrowError) -> (&'static str, &'static str) {
    match error {
        ArrowError::DivideByZero => (
            "a division by zero",
            "divide by NULLIF(…, 0), which gives NULL",
        ),
        ArrowError::ArithmeticOverflow(_) => (
            "a number leaves its type",
            "CAST one side to DECIMAL(38, 0) or DOUBLE",
        ),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => (
            "a value is not one of the type that it is CAST to",
            "use TRY_CAST, which gives NULL, or filter such values",
        ),
        _ => (
            "a value is none that a function or an operator of the query takes",
            "use TRY_CAST, which gives NULL, or filter such values",
        ),
    }
}

/// What is known of an error by more than its kind, whenever it comes.
fn known(error: &DataFusionError, limits: Limits) -> Option<QueryError> {
    if error.to_string().contains(sums::TOO_WIDE) {
        return Some(QueryError::Value {
            what: format!(
                "{} (38 digits, or 76 where the column has more than 38)",
                sums::TOO_WIDE
            ),
            next: "filter what is too large, or CAST to DOUBLE if an estimate will do".to_owned(),
        });
    }
    if functions::is_long_text(error) {
        let next = "make shorter texts";
        return Some(QueryError::refused(None, functions::LONG_TEXT, next));
    }
    match error.find_root() {
        // The engine names what asked for memory, and how much: its own parts, and no values.
        DataFusionError::ResourcesExhausted(what) => Some(QueryError::Memory {
            mib: limits.memory_bytes >> 20,
            what: what.lines().next().unwrap_or_default().to_owned(),
        }),
        _ => None,
    }
}

/// An error with rows: its kind, and none of its words.
fn told_of_rows(error: &DataFusionError, limits: Limits) -> QueryError {
    if let Some(known) = known(error, limits) {
        return known;
    }
    let (what, next) = match error.find_root() {
        DataFusionError::ArrowError(error, _) => kind(error),
        DataFusionError::Execution(_) | DataFusionError::Plan(_) | DataFusionError::External(_) => {
            (
                "a value is none that a function of the query takes, or a subquery gives several rows",
                "correct the query or filter such values",
            )
        }
        _ => return QueryError::Broke("with an error within itself".to_owned()),
    };
    QueryError::Value {
        what: what.to_owned(),
        next: next.to_owned(),
    }
}

/// An error before a row is read, in our words.
fn told(error: &DataFusionError, limits: Limits) -> QueryError {
    if let Some(known) = known(error, limits) {
        return known;
    }
    let value = |what: String, next: &str| QueryError::Value {
        what,
        next: next.to_owned(),
    };
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => {
            let (what, next) = kind(error);
            value(what.to_owned(), next)
        }
        DataFusionError::Plan(what) => invalid(what),
        DataFusionError::SchemaError(what, _) => invalid(&what.to_string()),
        DataFusionError::SQL(what, _) => invalid(&what.to_string()),
        DataFusionError::NotImplemented(what) => QueryError::refused(
            None,
            format!("not read here: {what}"),
            "write it another way",
        ),
        DataFusionError::Execution(what) => {
            value(redacted(what), "correct the query or filter such values")
        }
        _ => {
            let text = error.to_string();
            QueryError::Broke(redacted(text.lines().next().unwrap_or_default()))
        }
    }
}

fn invalid(what: &str) -> QueryError {
    QueryError::Invalid {
        at: None,
        what: what.trim().to_owned(),
        next: "correct the SQL; {object} is the table, and names with capitals may need quotes"
            .to_owned(),
    }
}

/// A message without what stands in quotes, and without long numbers: they may be values.
fn redacted(text: &str) -> String {
    // A value may hold quotes itself: all from the first to the last is left out.
    let quotes = ['\'', '"', '`'];
    let clean = match (text.find(quotes), text.rfind(quotes)) {
        (Some(first), Some(last)) => format!("{}'…'{}", &text[..first], &text[last + 1..]),
        _ => text.to_owned(),
    };
    let mut short = String::with_capacity(clean.len());
    for part in clean.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.len() > 3 {
            short.push('…');
            short.push_str(&part[digits.len()..]);
        } else {
            short.push_str(part);
        }
    }
    short
}
