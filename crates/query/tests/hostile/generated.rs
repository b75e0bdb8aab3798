//! Statements by dice: well-formed and broken ones, harmless and harmful, in any mixture.
//!
//! A seed gives the same statements for ever: a number that failed can be run again alone.

/// Dice that fall the same for the same seed.
pub struct Dice(u64);

impl Dice {
    /// For one statement of a seed.
    pub fn new(seed: u64, statement: u64) -> Self {
        let mut dice = Self(seed ^ statement.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.roll(2);
        dice
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides.max(1)
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

const COLUMNS: &[&str] = &[
    "Id",
    "amount",
    "email",
    "\"email\"",
    "EMAIL",
    "o.email",
    "orders.Id",
    "nosuch",
    "*",
    "o.*",
];
const LITERALS: &[&str] = &[
    "0",
    "1",
    "-1",
    "NULL",
    "true",
    "'x'",
    "''",
    "1e308",
    "1e999",
    "9223372036854775807",
    "99999999999999999999999999999999999999999",
    "0.1",
    "'NaN'",
    "'../../etc/passwd'",
    "'%s%n'",
    "DATE '2020-02-30'",
    "INTERVAL '1000000 years'",
    "TIMESTAMP '0001-01-01'",
    "X'00'",
    "$1",
    "?",
    "{partition}",
    "'{partition}'",
    "{property}",
    "{nosuch}",
    "'\u{202e}'",
    "'\u{0}'",
    "[1, 2]",
];
const BINARY: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "=",
    "<>",
    "<",
    ">=",
    "AND",
    "OR",
    "LIKE",
    "ILIKE",
    "~",
    "!~*",
    "IS DISTINCT FROM",
    "<<",
    ">>",
    "&",
    "|",
    "#",
    "^",
    "->",
    "->>",
    "@>",
    "SIMILAR TO",
    "::",
    "COLLATE",
    "AT TIME ZONE",
];
const CALLS: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "stddev",
    "median",
    "array_agg",
    "string_agg",
    "lower",
    "upper",
    "length",
    "repeat",
    "lpad",
    "rpad",
    "replace",
    "translate",
    "regexp_like",
    "regexp_replace",
    "regexp_match",
    "substr",
    "split_part",
    "to_timestamp",
    "to_char",
    "date_bin",
    "date_trunc",
    "power",
    "exp",
    "factorial",
    "abs",
    "round",
    "coalesce",
    "nullif",
    "greatest",
    "make_array",
    "array_repeat",
    "range",
    "generate_series",
    "unnest",
    "flatten",
    "struct",
    "named_struct",
    "encode",
    "decode",
    "md5",
    "sha512",
    "random",
    "uuid",
    "now",
    "version",
    "pg_sleep",
    "pg_read_file",
    "read_csv",
    "read_parquet",
    "lo_import",
    "dblink",
    "set_config",
    "current_setting",
    "first_value",
    "row_number",
    "lag",
    "ntile",
    "approx_distinct",
    "arrow_cast",
];
const TABLES: &[&str] = &[
    "orders",
    "{object}",
    "${object}",
    "orders AS o",
    "\"orders\"",
    "ORDERS",
    "secret",
    "\"secret.csv\"",
    "'/etc/passwd'",
    "\"/etc/passwd\"",
    "information_schema.tables",
    "pg_catalog.pg_class",
    "datafusion.public.orders",
    "read_csv('/etc/passwd')",
    "generate_series(1, 1000000000)",
    "UNNEST([1, 2])",
    "LATERAL (SELECT 1)",
    "(VALUES (1), (2)) AS v(a)",
    "orders CROSS JOIN orders AS p",
    "orders AS o NATURAL JOIN orders AS p",
    "orders TABLESAMPLE (1)",
    "orders FOR SYSTEM_TIME AS OF 1",
];
const STATEMENTS: &[&str] = &[
    "COPY orders TO '/tmp/assay-hostile.csv'",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT * FROM orders",
    "INSERT INTO orders VALUES (1, 2, '3')",
    "UPDATE orders SET amount = 0",
    "DELETE FROM orders",
    "DROP TABLE orders",
    "TRUNCATE orders",
    "SET datafusion.execution.batch_size = 1",
    "SHOW ALL",
    "EXPLAIN ANALYZE SELECT * FROM orders",
    "DESCRIBE orders",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "GRANT ALL ON orders TO PUBLIC",
    "DO $$ BEGIN END $$",
    "CALL p()",
    "VACUUM",
    "WITH t AS (DELETE FROM orders RETURNING *) SELECT * FROM t",
    "SELECT * INTO t FROM orders",
];

/// Whether a statement could write or change anything, were it obeyed.
pub fn writes(sql: &str) -> bool {
    STATEMENTS.contains(&sql)
}

/// The statement of a number.
pub fn statement(seed: u64, number: u64) -> String {
    let mut dice = Dice::new(seed, number);
    // Long chains and deep nests take the planner seconds: they are few.
    let mut sql = match dice.roll(240) {
        0 => chain(&mut dice),
        1..=4 => nest(&mut dice),
        5..=14 => dice.pick(STATEMENTS).to_owned(),
        15..=24 => format!("{}; {}", query(&mut dice, 1), dice.pick(STATEMENTS)),
        25..=84 => calm(&mut dice),
        85..=164 => query(&mut dice, 1),
        _ => query(&mut dice, 3),
    };
    if dice.one_in(4) {
        for _ in 0..=dice.roll(3) {
            sql = broken(&mut dice, &sql);
        }
    }
    sql
}

fn chain(dice: &mut Dice) -> String {
    let of = dice.pick(&[
        "+ 1",
        "OR true",
        "|| 'x'",
        "AND Id = 1",
        ", 1",
        "* 2",
        "UNION SELECT 1",
    ]);
    let times = [3, 400, 499, 501, 2000][dice.roll(5)];
    format!("SELECT 1 {}", format!("{of} ").repeat(times))
}

fn nest(dice: &mut Dice) -> String {
    let (open, close) = [
        ("(", ")"),
        ("CASE WHEN true THEN ", " END"),
        ("(SELECT ", ")"),
        ("NOT ", ""),
        ("- ", ""),
        ("abs(", ")"),
        ("[", "]"),
        ("CAST(", " AS INT)"),
    ][dice.roll(8)];
    let times = [2, 15, 40, 63, 65, 300, 3000][dice.roll(7)];
    format!("SELECT {}1{}", open.repeat(times), close.repeat(times))
}

/// One that means no harm, and mostly has an answer.
fn calm(dice: &mut Dice) -> String {
    let selected = dice.pick(&[
        "COUNT(*)",
        "SUM(amount)",
        "MAX(Id)",
        "Id",
        "amount, Id",
        "email",
        "*",
    ]);
    let condition = dice.pick(&[
        "true",
        "Id > 1",
        "amount IS NULL",
        "email LIKE 'b%'",
        "Id IN (1, 3)",
        "length(email) < 9",
        "Id BETWEEN 1 AND 2",
        "NOT (Id = 2)",
        "EXISTS (SELECT 1 FROM orders AS p WHERE p.Id > o.Id)",
    ]);
    format!("SELECT {selected} FROM {{object}} AS o WHERE {condition}")
}

fn query(dice: &mut Dice, depth: usize) -> String {
    let mut sql = String::new();
    if dice.one_in(8) && depth > 0 {
        let recursive = if dice.one_in(3) { "RECURSIVE " } else { "" };
        sql += &format!("WITH {recursive}q AS ({}) ", query(dice, depth - 1));
    }
    let distinct = if dice.one_in(6) { "DISTINCT " } else { "" };
    let mut selected: Vec<String> = Vec::new();
    for _ in 0..=dice.roll(3) {
        let alias = ["", "", " AS a", " AS \"email\"", " AS x"][dice.roll(5)];
        selected.push(format!("{}{alias}", expression(dice, depth)));
    }
    let table = match dice.roll(6) {
        0 if depth > 0 => format!("({}) AS o", query(dice, depth - 1)),
        1 => "q".to_owned(),
        2 => dice.pick(TABLES).to_owned(),
        _ => "orders AS o".to_owned(),
    };
    sql += &format!("SELECT {distinct}{} FROM {table}", selected.join(", "));
    if dice.one_in(3) {
        let kind = dice.pick(&["JOIN", "LEFT JOIN", "FULL JOIN", "SEMI JOIN", "ASOF JOIN"]);
        sql += &format!(" {kind} orders AS p ON {}", expression(dice, depth / 2));
    }
    for (word, often) in [
        ("WHERE", 2),
        ("GROUP BY", 5),
        ("HAVING", 8),
        ("ORDER BY", 5),
    ] {
        if dice.one_in(often) {
            sql += &format!(" {word} {}", expression(dice, depth));
        }
    }
    if dice.one_in(6) {
        sql += dice.pick(&[
            " LIMIT 3",
            " LIMIT -1",
            " OFFSET 1e9",
            " FOR UPDATE",
            " FETCH FIRST 1 ROW ONLY",
        ]);
    }
    if dice.one_in(10) && depth > 0 {
        let set = dice.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
        sql += &format!(" {set} {}", query(dice, depth - 1));
    }
    sql
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 {
        return match dice.one_in(2) {
            true => dice.pick(COLUMNS).to_owned(),
            false => dice.pick(LITERALS).to_owned(),
        };
    }
    let below = depth - 1;
    match dice.roll(14) {
        0..=3 => {
            let (left, right) = (expression(dice, below), expression(dice, below));
            format!("{left} {} {right}", dice.pick(BINARY))
        }
        4..=7 => {
            let mut arguments = Vec::new();
            for _ in 0..dice.roll(4) {
                arguments.push(expression(dice, below));
            }
            let over = match dice.roll(10) {
                0 => " OVER (ORDER BY Id)",
                1 => " FILTER (WHERE Id > 1)",
                _ => "",
            };
            format!("{}({}){over}", dice.pick(CALLS), arguments.join(", "))
        }
        8 => {
            let (when, then) = (expression(dice, below), expression(dice, below));
            format!("CASE WHEN {when} THEN {then} END")
        }
        9 => {
            let of = dice.pick(&[
                "INT",
                "DECIMAL(76, 70)",
                "DATE",
                "TIMESTAMP",
                "BYTEA",
                "NOSUCH",
                "TEXT",
            ]);
            format!("CAST({} AS {of})", expression(dice, below))
        }
        10 => format!("({})", query(dice, below.min(1))),
        11 => format!(
            "{} IN ({})",
            expression(dice, below),
            query(dice, below.min(1))
        ),
        12 => format!(
            "{} BETWEEN {} AND 1",
            expression(dice, below),
            expression(dice, below)
        ),
        _ => format!("EXISTS ({})", query(dice, below.min(1))),
    }
}

/// The statement with one thing wrong.
fn broken(dice: &mut Dice, sql: &str) -> String {
    let mut letters: Vec<char> = sql.chars().collect();
    let at = dice.roll(letters.len() + 1);
    let odd = [
        '\'', '"', '(', ')', ';', '-', '/', '{', '}', '\\', '\u{0}', '\u{feff}', 'é', '`', '$',
    ];
    match dice.roll(4) {
        0 => letters.insert(at, odd[dice.roll(odd.len())]),
        1 => letters.truncate(at),
        2 => {
            let to = (at + dice.roll(12)).min(letters.len());
            let piece: Vec<char> = letters[at..to].to_vec();
            letters.splice(at..at, piece);
        }
        _ => {
            let to = (at + dice.roll(6)).min(letters.len());
            letters.drain(at..to);
        }
    }
    letters.into_iter().collect()
}
