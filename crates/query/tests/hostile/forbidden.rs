//! Statements that must be refused, by what they try.

use std::collections::BTreeMap;

/// Statements that must be refused, by what they try.
pub fn forbidden() -> BTreeMap<&'static str, Vec<String>> {
    let mut all: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut add = |kind: &'static str, statements: Vec<String>| {
        all.entry(kind).or_default().extend(statements);
    };
    let owned = |statements: &[&str]| {
        statements
            .iter()
            .map(|s| (*s).to_owned())
            .collect::<Vec<_>>()
    };
    let second = [
        "DROP TABLE orders",
        "SELECT 2",
        "COPY orders TO '/tmp/x'",
        "SET x = 1",
        "BEGIN",
        "DELETE FROM orders",
        "INSERT INTO orders VALUES (1)",
        "CREATE TABLE x (a INT)",
        "TRUNCATE orders",
        "VACUUM",
    ];
    for separator in [";", " ; ", ";\n", "/**/;/**/", ";--\n", ";;"] {
        add(
            "stacked",
            second
                .iter()
                .map(|s| format!("SELECT 1{separator}{s}"))
                .collect(),
        );
    }
    add(
        "no select",
        owned(&[
            "INSERT INTO orders VALUES (1)",
            "UPDATE orders SET Id = 1",
            "DELETE FROM orders",
            "MERGE INTO orders USING orders AS o ON true WHEN MATCHED THEN DELETE",
            "TRUNCATE TABLE orders",
            "DROP TABLE orders",
            "DROP TABLE IF EXISTS orders CASCADE",
            "CREATE TABLE x AS SELECT * FROM orders",
            "CREATE VIEW x AS SELECT 1",
            "CREATE SCHEMA s",
            "CREATE DATABASE d",
            "ALTER TABLE orders ADD COLUMN z INT",
            "COPY orders TO '/tmp/assay-hostile.csv'",
            "COPY (SELECT 1) TO '/tmp/assay-hostile.parquet'",
            "COPY orders FROM '/etc/passwd'",
            "COPY orders TO PROGRAM 'sh'",
            "CREATE EXTERNAL TABLE p (l TEXT) STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE EXTERNAL TABLE p STORED AS PARQUET LOCATION 's3://bucket/x'",
            "CREATE UNBOUNDED EXTERNAL TABLE p (l TEXT) STORED AS CSV LOCATION '/dev/zero'",
            "CREATE FUNCTION f() RETURNS INT RETURN 1",
            "DROP FUNCTION sum",
            "SET datafusion.execution.target_partitions = 64",
            "SET TIME ZONE 'UTC'",
            "RESET datafusion.execution.batch_size",
            "SHOW TABLES",
            "SHOW ALL",
            "SHOW COLUMNS FROM orders",
            "SHOW FUNCTIONS",
            "SHOW CREATE TABLE orders",
            "DESCRIBE orders",
            "DESC orders",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT * FROM orders",
            "EXPLAIN VERBOSE SELECT 1",
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "DEALLOCATE p",
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT s",
            "USE other",
            "CALL f()",
            "DO $$ BEGIN END $$",
            "GRANT ALL ON orders TO x",
            "REVOKE ALL ON orders FROM x",
            "LISTEN c",
            "NOTIFY c",
            "LOCK TABLE orders",
            "ANALYZE orders",
            "VACUUM orders",
            "KILL 1",
            "LOAD DATA INPATH 'x' INTO TABLE t",
            "ATTACH DATABASE 'x' AS y",
            "PRAGMA x",
            "INSTALL httpfs",
            "LOAD httpfs",
            "VALUES (1)",
            "TABLE orders",
            "FROM orders",
            "FROM orders SELECT Id",
            "DECLARE c CURSOR FOR SELECT 1",
            "FETCH NEXT FROM c",
            "CLOSE c",
            "DISCARD ALL",
            "REFRESH MATERIALIZED VIEW x",
            "CACHE TABLE orders",
            "UNLOAD (SELECT 1) TO 's3://x'",
            "EXPORT DATA OPTIONS() AS SELECT 1",
            "RAISE 'x'",
            "PRINT 'x'",
            "",
            ";",
            "   ",
            "--",
            "/* only a comment */",
            "SELECT",
            "SELEC 1",
            "\u{202e}SELECT 1",
            "SELECT\0 1",
            "\u{feff}SELECT 1",
            "ＳＥＬＥＣＴ 1",
            "SELECT 1 \u{0007}",
        ]),
    );
    add(
        "writes in a query",
        owned(&[
            "WITH w AS (INSERT INTO orders VALUES (1) RETURNING *) SELECT * FROM w",
            "WITH w AS (DELETE FROM orders RETURNING *) SELECT * FROM w",
            "WITH w AS (UPDATE orders SET Id = 1 RETURNING *) SELECT * FROM w",
            "SELECT * INTO x FROM orders",
            "SELECT * INTO OUTFILE '/tmp/x' FROM orders",
            "SELECT * FROM (DELETE FROM orders) AS q",
            "WITH w AS (SELECT 1) DELETE FROM orders",
            "WITH w AS (SELECT 1) INSERT INTO orders SELECT * FROM w",
            "SELECT * FROM orders FOR UPDATE",
            "SELECT * FROM orders FOR SHARE NOWAIT",
        ]),
    );
    let elsewhere = [
        "information_schema.tables",
        "information_schema.columns",
        "information_schema.df_settings",
        "information_schema.routines",
        "pg_catalog.pg_tables",
        "datafusion.public.orders",
        "public.orders",
        "other.public.orders",
        "\"/etc/passwd\"",
        "'/etc/passwd'",
        "\"file:///etc/passwd\"",
        "\"secret.csv\"",
        "'secret.csv'",
        "secret",
        "\"../secret.csv\"",
        "\"s3://bucket/x\"",
        "\"https://example.com/x.csv\"",
        "sqlite_master",
        "dual",
        "\"orders \"",
        "\"Orders\"",
        "\"ORDERS\"",
        "orderѕ",
        "\"orders\\\"\"",
        "a.b.c.d",
        "`orders`.`x`",
        "[orders].x",
    ];
    add(
        "other tables",
        elsewhere
            .iter()
            .map(|t| format!("SELECT * FROM {t}"))
            .collect(),
    );
    add(
        "other tables",
        elsewhere
            .iter()
            .map(|t| format!("SELECT COUNT(*) FROM orders WHERE EXISTS (SELECT 1 FROM {t})"))
            .collect(),
    );
    let calls = [
        "read_parquet('/etc/passwd')",
        "read_csv('/etc/passwd')",
        "read_csv_auto('secret.csv')",
        "read_json('x')",
        "parquet_scan('x')",
        "parquet_metadata('x')",
        "glob('/*')",
        "generate_series(1, 1000000000000)",
        "generate_series(1, 10)",
        "range(1, 1000000000000)",
        "range(10)",
        "unnest(range(1, 10))",
        "TABLE(f(1))",
        "f(1)",
        "LATERAL f(1)",
        "sniff_csv('x')",
        "metadata_cache()",
        "list_files_cache()",
        "UNNEST([1, 2, 3])",
        "json_table('[]', '$' COLUMNS (a INT PATH '$'))",
        "OPENJSON('[]')",
        "dblink('x')",
        "pg_ls_dir('/')",
        "orders(1)",
    ];
    add(
        "functions as tables",
        calls.iter().map(|c| format!("SELECT * FROM {c}")).collect(),
    );
    let volatile = [
        "now()",
        "current_date",
        "current_date()",
        "current_time",
        "current_timestamp",
        "CURRENT_TIMESTAMP()",
        "today()",
        "random()",
        "RANDOM()",
        "uuid()",
        "\"now\"()",
        "\"random\"()",
        "version()",
        "current_user",
        "session_user",
        "pg_sleep(10)",
        "sleep(10)",
        "pg_read_file('/etc/passwd')",
        "set_config('a', 'b', false)",
        "current_setting('x')",
        "arrow_cast(1, 'Int8')",
        "arrow_typeof(1)",
        "approx_distinct(Id)",
        "approx_median(Id)",
        "input_file_name()",
        "localtimestamp",
        "nosuchfunction(1)",
        "system('id')",
        "load_extension('x')",
        "getenv('HOME')",
        "lo_import('/etc/passwd')",
        "query_to_xml('x')",
        "xp_cmdshell('x')",
        "nextval('s')",
        "array_repeat(1, 1000000000)",
        "generate_series(1, 5)",
        "range(5)",
        "txid_current()",
        "gen_random_uuid()",
        "from_base64('x')",
        "inet_server_addr()",
        "file_row_index()",
    ];
    add(
        "functions",
        volatile
            .iter()
            .map(|c| format!("SELECT {c} FROM orders"))
            .collect(),
    );
    add(
        "functions",
        volatile
            .iter()
            .map(|c| format!("SELECT COUNT(*) FROM orders WHERE CAST({c} AS TEXT) <> ''"))
            .collect(),
    );
    let n = |times: usize, unit: &str| unit.repeat(times);
    add(
        "too much text",
        vec![
            format!("SELECT 1{}", n(2_000, "+1")),
            format!("SELECT {}1", n(2_000, "-")),
            format!("SELECT {}1", n(2_000, "- ")),
            format!("SELECT {}true", n(2_000, "NOT ")),
            format!("SELECT {}1{}", n(500, "("), n(500, ")")),
            format!("SELECT {}1{}", n(5_000, "("), n(5_000, ")")),
            format!(
                "SELECT {}1{}",
                n(300, "CASE WHEN true THEN "),
                n(300, " END")
            ),
            format!("SELECT {}1{}", n(300, "(SELECT "), n(300, ")")),
            format!(
                "SELECT * FROM {}orders{}",
                n(200, "(SELECT * FROM "),
                n(200, ") AS q")
            ),
            format!("SELECT 1 FROM orders WHERE true{}", n(1_000, " OR true")),
            format!("SELECT 1{}", n(600, " UNION ALL SELECT 1")),
            format!("SELECT {}", n(20_000, "1,")),
            format!("SELECT {}1{}", n(200, "abs("), n(200, ")")),
            format!("SELECT 'x'{}", n(600, "||'x'")),
            format!("SELECT 1 FROM orders{}", n(600, " JOIN orders ON true")),
            format!("SELECT {}1{}", n(200, "["), n(200, "]")),
            format!("SELECT {}", n(17_000, " ")),
            format!("SELECT CAST(1 AS {}INT{})", n(600, "ARRAY<"), n(600, ">")),
            format!("SELECT 1 /*{}*/", n(9_000, "/*")),
            format!("SELECT {}'1'", n(600, "interval ")),
            format!("SELECT {}", n(600, "CASE ")),
            format!("SELECT {}1", n(600, "~")),
            n(8_000, "("),
            format!("{}SELECT 1{}", n(300, "("), n(300, ")")),
            format!("SELECT 1 IN {}1{}", n(200, "(1, ("), n(200, "))")),
            format!("SELECT 1{}", n(600, " IS NULL")),
            format!("SELECT 1{}", n(600, "::INT")),
            format!("SELECT a{}", n(5_000, ".a")),
            format!("SELECT 1 = ANY{}", n(2_000, "(")),
            format!("WITH {} SELECT 1", n(900, "a AS (SELECT 1), ")),
            format!("SELECT '{}", n(100, "x")),
            format!("SELECT 1 WHERE {}", n(900, "EXISTS (SELECT 1 WHERE ")),
            format!("SELECT x'{}'", n(100, "zz")),
        ],
    );
    add(
        "never ends",
        owned(&[
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT COUNT(*) FROM r",
            "WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n FROM r) SELECT n FROM r",
            "SELECT * FROM (WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT * FROM r) AS q",
            "SELECT a.Id, COUNT(*) FROM orders AS a GROUP BY CUBE (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20)",
            "SELECT Id FROM orders GROUP BY ROLLUP (Id)",
            "SELECT Id FROM orders GROUP BY GROUPING SETS ((Id), ())",
        ]),
    );
    add(
        "passed over",
        owned(&[
            "SELECT * FROM orders TABLESAMPLE BERNOULLI (50)",
            "SELECT * FROM orders TABLESAMPLE (10 ROWS)",
            "SELECT TOP 1 * FROM orders",
            "SELECT * FROM orders CLUSTER BY Id",
            "SELECT * FROM orders SORT BY Id",
            "SELECT * FROM orders DISTRIBUTE BY Id",
            "SELECT * FROM orders LIMIT 1 BY Id",
            "SELECT * FROM orders FORMAT CSV",
            "SELECT * FROM orders SETTINGS max_threads = 8",
            "SELECT * FROM orders FOR JSON AUTO",
            "SELECT * FROM orders FOR SYSTEM_TIME AS OF '2020-01-01'",
            "SELECT * FROM orders |> WHERE Id > 1",
            "SELECT * FROM orders FETCH FIRST 1 ROW ONLY",
            "SELECT * FROM orders WITH (NOLOCK)",
            "SELECT * FROM orders PARTITION (p0)",
            "SELECT * FROM orders PIVOT (SUM(Id) FOR Id IN (1, 2))",
            "SELECT Id COLLATE \"C\" FROM orders",
            "SELECT * FROM orders CONNECT BY PRIOR Id = Id",
            "SELECT * FROM orders LATERAL VIEW explode(x) t AS y",
            "SELECT * FROM orders PREWHERE Id > 1",
            "SELECT COUNT(*) FROM orders WHERE email SIMILAR TO 'a%'",
            "SELECT COUNT(*) FROM orders WHERE email NOT SIMILAR TO 'a%'",
            "SELECT Id, COUNT(*) FROM orders GROUP BY Id WITH ROLLUP",
            "SELECT Id, COUNT(*) FROM orders GROUP BY Id WITH CUBE",
            "SELECT Id, COUNT(*) FROM orders GROUP BY Id WITH TOTALS",
        ]),
    );
    add(
        "placeholders",
        owned(&[
            "SELECT $1",
            "SELECT ?",
            "SELECT :name",
            "SELECT @x",
            "SELECT {",
            "SELECT {nosuch}",
            "SELECT {property} FROM orders",
            "SELECT \"{object}\" FROM orders",
            "SELECT ${} FROM orders",
            "SELECT {object",
            "SELECT {{object}}",
            "SELECT $x$ {partition} $x$",
            "SELECT E'{partition}'",
            "SELECT {object.x} FROM orders",
            "SELECT * FROM '{object}'",
        ]),
    );
    all
}
