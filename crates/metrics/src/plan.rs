//! What a scan is to compute. Rows and nulls are always counted.

use crate::distinct::DEFAULT_DISTINCT_LIMIT;
use crate::uniqueness::DEFAULT_UNIQUENESS_LIMIT;

/// What to compute of a column beyond rows and nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wants {
    /// NaN, infinities, empty texts, numeric and non-numeric fields: the values must be read.
    pub values: bool,
    /// Sum and mean.
    pub sum: bool,
    /// Standard deviation; brings the sum along.
    pub moments: bool,
    /// Minimum and maximum, and the latest timestamp.
    pub range: bool,
    /// Count of distinct values.
    pub distinct: bool,
    /// Quantiles of numbers.
    pub quantiles: bool,
    /// Lengths of texts.
    pub lengths: bool,
    /// Exact duplicates of the column's values.
    pub uniqueness: bool,
}

impl Wants {
    /// Everything.
    pub const ALL: Self = Self {
        values: true,
        sum: true,
        moments: true,
        range: true,
        distinct: true,
        quantiles: true,
        lengths: true,
        uniqueness: true,
    };

    /// A general profile: everything but exact duplicates, whose memory grows with the rows.
    pub const PROFILE: Self = Self {
        uniqueness: false,
        ..Self::ALL
    };

    /// Whether counts of rows and nulls, as in a file's footer, are enough.
    #[must_use]
    pub fn counts_only(&self) -> bool {
        *self == Self::default()
    }

    /// What either asks for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            values: self.values | other.values,
            sum: self.sum | other.sum,
            moments: self.moments | other.moments,
            range: self.range | other.range,
            distinct: self.distinct | other.distinct,
            quantiles: self.quantiles | other.quantiles,
            lengths: self.lengths | other.lengths,
            uniqueness: self.uniqueness | other.uniqueness,
        }
    }
}

/// A predicate over the values of a column, evaluated by the scan and counted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePlan {
    /// Identity of the counts, unique within the column.
    pub id: String,
    /// What to test.
    pub test: RuleTest,
}

/// The predicate of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleTest {
    /// The text form matches a regular expression (anchored only where the pattern says so).
    Pattern(String),
    /// The text form is one of these.
    OneOf(Vec<String>),
    /// The text form is one of these placeholders for a missing value.
    Placeholder(Vec<String>),
    /// The number lies within bounds, each inclusive; an absent bound does not limit.
    Between {
        /// Smallest allowed number, in decimal digits.
        low: Option<String>,
        /// Largest allowed number, in decimal digits.
        high: Option<String>,
    },
    /// The text has a length within bounds, in characters, each inclusive.
    Length {
        /// Shortest allowed length.
        low: Option<u64>,
        /// Longest allowed length.
        high: Option<u64>,
    },
}

/// What to compute of one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnPlan {
    /// The column's name.
    pub name: String,
    /// Metrics.
    pub wants: Wants,
    /// Rules over its values.
    pub rules: Vec<RulePlan>,
}

/// A key of one or more columns whose duplicates are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlan {
    /// Identity of the key's counts.
    pub id: String,
    /// Columns, in order.
    pub columns: Vec<String>,
}

/// What to compute of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePlan {
    /// Columns that metrics are asked of.
    pub columns: Vec<ColumnPlan>,
    /// Keys whose duplicates are counted.
    pub keys: Vec<KeyPlan>,
    /// Distinct values that are counted exactly.
    pub distinct_limit: u64,
    /// Distinct keys that are held for exact duplicates.
    pub uniqueness_limit: u64,
}

impl Default for TablePlan {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            keys: Vec::new(),
            distinct_limit: DEFAULT_DISTINCT_LIMIT,
            uniqueness_limit: DEFAULT_UNIQUENESS_LIMIT,
        }
    }
}

impl TablePlan {
    /// The plan of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnPlan> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether files' footers answer everything: no metric, rule or key needs a value.
    #[must_use]
    pub fn counts_only(&self) -> bool {
        self.keys.is_empty()
            && self
                .columns
                .iter()
                .all(|c| c.wants.counts_only() && c.rules.is_empty())
    }
}
