//! Statements that may be answered or refused, and must do either soon.

/// Statements that may be answered or refused, and must do either soon.
pub fn odd() -> Vec<String> {
    let mut all = Vec::new();
    for bomb in [
        "(a*)*b",
        "((((((((((a+)+)+)+)+)+)+)+)+)+)$",
        "(a{1000}){1000}",
        "(x+x+)+y",
        "[",
        "(",
        "\\\\1",
        "(?=a)",
        "a{99999999}",
        "(a|a)*$",
        ".*.*.*.*.*.*.*.*=",
        "\\\\p{L}{500}",
    ] {
        for call in ["regexp_like", "regexp_match", "regexp_count"] {
            all.push(format!("SELECT COUNT({call}(email, '{bomb}')) FROM orders"));
        }
        all.push(format!(
            "SELECT COUNT(*) FROM orders WHERE email ~ '{bomb}'"
        ));
        all.push(format!(
            "SELECT COUNT(regexp_replace(email, '{bomb}', 'x', 'g')) FROM orders"
        ));
    }
    for call in [
        "repeat('x', N)",
        "lpad('x', N)",
        "rpad('x', N, 'y')",
        "lpad('x', N, email)",
    ] {
        for n in [
            "1000000000",
            "2147483647",
            "9223372036854775807",
            "-1",
            "4096 * Id",
            "100000",
        ] {
            all.push(format!(
                "SELECT SUM(length({})) FROM orders",
                call.replace('N', n)
            ));
        }
    }
    for cast in [
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "DECIMAL(76, 70)",
        "DECIMAL(1, 1)",
        "DATE",
        "TIMESTAMP",
        "TIME",
        "INTERVAL",
        "BOOLEAN",
        "BYTEA",
        "DECIMAL(99, 98)",
        "DECIMAL(-1, 0)",
        "VARCHAR(5)",
        "NOSUCH",
        "JSON",
        "UUID",
    ] {
        all.push(format!("SELECT MAX(CAST(email AS {cast})) FROM orders"));
        all.push(format!("SELECT COUNT(TRY_CAST(Id AS {cast})) FROM orders"));
        all.push(format!(
            "SELECT COUNT('99999999999999999999999999'::{cast}) FROM orders"
        ));
    }
    for expression in [
        "1 / 0",
        "Id % 0",
        "1.0 / 0",
        "0.0 / 0.0",
        "1e308 * 10",
        "sqrt(-1)",
        "ln(0)",
        "log(0, 0)",
        "power(10, 400)",
        "factorial(200)",
        "factorial(-1)",
        "gcd(0, -9223372036854775808)",
        "abs(-9223372036854775808)",
        "1 << 200",
        "chr(1114112)",
        "chr(-1)",
        "substr('x', -9223372036854775808, 9223372036854775807)",
        "left('x', 9223372036854775807)",
        "right('x', -9223372036854775808)",
        "split_part('a', '', 0)",
        "translate('a', '', 'b')",
        "to_timestamp(9223372036854775807)",
        "date_trunc('nosuch', to_timestamp(0))",
        "date_part('epoch', DATE '9999-12-31')",
        "make_date(999999, 13, 45)",
        "DATE '0000-00-00'",
        "TIMESTAMP '99999-01-01'",
        "INTERVAL '999999999999 years'",
        "DATE '2020-01-01' + INTERVAL '99999999 years'",
        "to_char(to_timestamp(0), '%Q%!')",
        "to_date('x', '%')",
        "date_bin(INTERVAL '0' day, to_timestamp(0))",
        "round(1.5, 999999999)",
        "trunc(1.5, -999999999)",
        "levenshtein(email, email)",
        "strpos('', '')",
        "to_hex(-1)",
        "nullif(NULL, NULL)",
        "coalesce()",
        "greatest()",
        "concat()",
        "concat_ws(NULL, NULL)",
        "initcap(NULL)",
        "reverse('\u{1F468}\u{200D}\u{1F469}')",
        "upper('ŉ')",
        "lower('İ')",
        "'a' < 1",
        "Id = email",
        "NULL = NULL",
        "NOT NULL",
        "-NULL",
        "+'x'",
        "Id || Id",
        "email + 1",
        "[1,2][9]",
        "'\u{1F4A3}'",
        "CASE END",
        "CASE WHEN 1 THEN 2 END",
        "COUNT(*)",
        "COUNT()",
        "SUM(*)",
        "SUM()",
        "SUM(1, 2)",
        "SUM(SUM(Id))",
        "MAX(COUNT(*))",
        "SUM(email)",
        "AVG(true)",
        "SUM(Id) OVER (ORDER BY Id ROWS BETWEEN 9223372036854775807 PRECEDING AND CURRENT ROW)",
        "lag(Id, 9223372036854775807) OVER ()",
        "ntile(0) OVER ()",
        "ntile(9223372036854775807) OVER ()",
        "nth_value(Id, 0) OVER ()",
        "percentile_cont(2) WITHIN GROUP (ORDER BY Id)",
        "string_agg(email, email)",
        "array_agg(Id)",
        "median(email)",
        "stddev(Id)",
        "corr(Id, Id)",
        "row_number() OVER (PARTITION BY *)",
        "EXISTS (SELECT 1)",
        "(SELECT Id FROM orders)",
        "Id IN (SELECT email FROM orders)",
        "(SELECT 1, 2)",
        "ROW(1, 2)",
        "(1, 2) = (1, 2)",
        "orders",
        "orders.*",
        "*",
        "*, *",
        "nosuch",
        "orders.nosuch",
        "a.b.c.d",
        "\"\"",
        "''",
        "\"Id\"\"\"",
        "Id AS \"'; --\"",
    ] {
        all.push(format!("SELECT {expression} FROM orders"));
    }
    let list = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    all.push(format!(
        "SELECT COUNT(*) FROM orders WHERE Id IN ({})",
        list(3_000)
    ));
    all.push(format!("SELECT {} FROM orders", list(3_000)));
    all.push(format!("SELECT 1 FROM orders GROUP BY {}", list(2_000)));
    all.push(format!("SELECT 1 {}", " UNION SELECT 1".repeat(400)));
    all.push(format!(
        "SELECT 1 FROM orders WHERE {}true",
        "Id > 0 AND ".repeat(240)
    ));
    all.push(format!("SELECT {}1", "1 + ".repeat(120)));
    all.push(format!("SELECT {}1{}", "(".repeat(63), ")".repeat(63)));
    all.push(format!(
        "SELECT {}1{}",
        "CASE WHEN true THEN ".repeat(60),
        " END".repeat(60)
    ));
    all.push(format!(
        "SELECT * FROM {}orders{}",
        "(SELECT * FROM ".repeat(60),
        ") AS q".repeat(60)
    ));
    all.push(format!(
        "SELECT {}1{}",
        "(SELECT ".repeat(60),
        ")".repeat(60)
    ));
    all.push(format!(
        "SELECT {}Id{} FROM orders",
        "abs(".repeat(60),
        ")".repeat(60)
    ));
    let joins: String = (0..12).map(|i| format!(", orders AS o{i}")).collect();
    all.push(format!("SELECT COUNT(*) FROM orders{joins}"));
    all
}
