//! Servers that are not of this machine: what is read of them, and what is said where they are wrong.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use assay_contract::{parse, render_plain};
use assay_model::dataset::{FormatKind, Location, Source};

fn document(server: &str) -> String {
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: trips\nversion: 0.1.0\nstatus: draft\n\
         servers:\n  - server: lake\n{server}\nschema:\n  - name: trips\n"
    )
}

fn source(server: &str) -> Source {
    let text = document(server);
    let parsed = parse("t.yaml", &text, Path::new("/base"));
    let told = render_plain(&parsed.diagnostics);
    assert!(!parsed.has_errors(), "{told}\n{text}");
    parsed
        .dataset
        .unwrap_or_else(|| panic!("{told}\n{text}"))
        .source
}

fn told(server: &str) -> String {
    let parsed = parse("t.yaml", &document(server), Path::new("/base"));
    assert!(parsed.dataset.is_none(), "{server}");
    render_plain(&parsed.diagnostics)
}

const S3: &str = "    type: s3\n    location: s3://trips/yellow/*.parquet\n";

fn with(property: &str, value: &str) -> String {
    format!("{S3}    customProperties:\n      - property: {property}\n        value: {value}\n")
}

#[test]
fn a_bucket_is_read_in_its_parts() {
    let server = format!(
        "{}      - {{ property: region, value: eu-west-1 }}\n      - {{ property: others, value: [1] }}\n    endpointUrl: http://127.0.0.1:9000\n",
        with("credentialRef", "env:TRIPS")
    );
    let source = source(&server);
    assert_eq!(source.credential.unwrap().to_string(), "env:TRIPS");
    assert_eq!(
        source.format.kind,
        FormatKind::Parquet,
        "told by the pattern"
    );
    let Location::Bucket(bucket) = source.location else {
        panic!("no bucket");
    };
    assert_eq!(bucket.address(), "s3://trips/yellow/*.parquet");
    assert_eq!(bucket.region.as_deref(), Some("eu-west-1"));
    assert_eq!(bucket.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
}

#[test]
fn each_spelling_of_a_container_names_the_same_place() {
    for location in [
        "az://lake.blob.core.windows.net/trips/2024/*.csv",
        "https://lake.blob.core.windows.net/trips/2024/*.csv",
        "abfss://trips@lake.dfs.core.windows.net/2024/*.csv",
    ] {
        let server = format!("    type: azure\n    location: {location}\n    format: csv\n");
        let Location::Bucket(bucket) = source(&server).location else {
            panic!("no bucket");
        };
        assert_eq!(bucket.address(), "az://lake/trips/2024/*.csv");
        assert_eq!(bucket.account.as_deref(), Some("lake"));
    }
    let gcs = "    type: custom\n    location: gs://trips/2024/\n    format: csv\n";
    assert_eq!(source(gcs).location.address(), "gs://trips/2024/");
}

#[test]
fn what_is_wrong_is_told_at_its_place_with_what_to_write() {
    for (server, said) in [
        (with("credentialRef", "hunter2"), "write `env:NAME`"),
        (
            with("credentialRefs", "env:X"),
            "did you mean `credentialRef`?",
        ),
        (with("roleArn", "reads"), "arn:aws:iam::ACCOUNT:role/NAME"),
        (with("region", "[a]"), "one text"),
        (
            S3.replace("s3://", "gs://"),
            "a bucket of Google Cloud has the type `custom`",
        ),
        (
            S3.replace("s3://trips/yellow/*.parquet", "trips"),
            "s3://BUCKET",
        ),
        (S3.replace("*.parquet", "*"), "add `format: parquet`"),
        (format!("{S3}    endpointUrl: minio:9000\n"), "https://host"),
        (
            "    type: azure\n    location: az://trips/x.csv\n    format: csv\n".to_owned(),
            "az://ACCOUNT.blob.core.windows.net",
        ),
    ] {
        let told = told(&server);
        assert!(told.contains(said), "{said}:\n{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

const POSTGRES: &str =
    "    type: postgres\n    host: db\n    port: 5432\n    database: shop\n    schema: sales\n";

fn table(properties: &str) -> String {
    format!("{POSTGRES}    customProperties:\n{properties}")
}

#[test]
fn a_table_is_named_by_the_schema_and_logged_in_to_by_reference() {
    use assay_model::source::VersionBy;
    let read = |server: &str| {
        let source = source(server);
        assert_eq!(source.format.kind, FormatKind::Table);
        match source.location {
            Location::Database(database) => (database, source.credential),
            _ => panic!("no table"),
        }
    };
    let (database, credential) = read(&table(
        "      - { property: credentialRef, value: env:SHOP }\n",
    ));
    assert_eq!(database.address(), "postgres://db:5432/shop/sales.trips");
    assert_eq!(credential.unwrap().to_string(), "env:SHOP");
    assert_eq!(database.version, VersionBy::Rows);
    let version = |value: &str| {
        read(&table(&format!(
            "      - {{ property: version, value: \"{value}\" }}\n"
        )))
        .0
        .version
    };
    assert_eq!(version("checksum"), VersionBy::Checksum);
    assert_eq!(
        version("watermark:at"),
        VersionBy::Watermark("at".to_owned())
    );
    let physical =
        document(POSTGRES).replace("- name: trips", "- name: trips\n    physicalName: Trips 2");
    let parsed = parse("t.yaml", &physical, Path::new("/base"));
    let address = parsed.dataset.unwrap().source.location.address();
    assert_eq!(address, "postgres://db:5432/shop/sales.Trips 2");
}

#[test]
fn a_wrong_database_is_told_with_its_remedy_and_a_secret_is_not_shown() {
    for (server, said) in [
        (
            table("      - { property: version, value: sometimes }\n"),
            "watermark:column",
        ),
        (
            table("      - { property: credentialRef, value: \"admin:hunter2\" }\n"),
            "names no secret",
        ),
        (POSTGRES.replace("5432", "70000"), "65535"),
    ] {
        let told = told(&server);
        assert!(told.contains(said) && !told.contains("hunter2"), "{told}");
    }
}

const MYSQL: &str = "    type: mysql\n    host: db\n    port: 3306\n    database: shop\n";

#[test]
fn a_table_of_mysql_has_no_schema_and_is_told_apart_by_its_values() {
    use assay_model::source::VersionBy;
    let read = |server: &str| match source(server).location {
        Location::Database(database) => database,
        _ => panic!("no table"),
    };
    let database = read(MYSQL);
    assert_eq!(database.address(), "mysql://db:3306/shop/trips");
    assert_eq!(database.version, VersionBy::Checksum);
    let with = |version: &str| {
        format!(
            "{MYSQL}    customProperties:\n      - {{ property: version, value: \"{version}\" }}\n"
        )
    };
    assert_eq!(
        read(&with("watermark:at")).version,
        VersionBy::Watermark("at".to_owned())
    );
    let told = told(&with("rows"));
    assert!(told.contains("no marks of row versions"), "{told}");
}
