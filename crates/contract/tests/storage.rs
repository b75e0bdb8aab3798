//! What `assayStorage` says, and what is not ingested.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use assay_contract::{Parsed, parse, render_plain};
use assay_model::source::{StorageMode, StoragePolicy};

const FILES: &str = "type: local, path: ./data/*.parquet, format: parquet";

fn read(server: &str, storage: &str, more: &str) -> Parsed {
    let text = format!(
        "apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
servers:
  - {{ server: here, {server} }}
schema:
  - name: orders
customProperties:
  - property: assayStorage
    value: {{ {storage} }}
{more}"
    );
    parse("orders.yaml", &text, Path::new("/base"))
}

#[test]
fn a_copy_is_kept_for_ever_or_for_so_many_days() {
    let policy = |storage: &str| {
        let parsed = read(FILES, storage, "");
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
        parsed.dataset.unwrap().storage
    };
    let ingest = |retention_days| StoragePolicy {
        mode: StorageMode::Ingest,
        retention_days,
    };
    assert_eq!(policy("mode: in-place"), StoragePolicy::default());
    assert_eq!(policy("mode: ingest"), ingest(None));
    assert_eq!(
        policy("mode: ingest, retentionDays: 400"),
        ingest(Some(400))
    );
}

#[test]
fn what_cannot_be_kept_is_told_with_what_to_write() {
    let column = "  - { property: assayPartitions, value: { column: at, granularity: daily } }\n";
    let lines = "type: local, path: ./data/*.jsonl, format: ndjson";
    for (server, storage, more, word) in [
        (
            FILES,
            "mode: in-place, retentionDays: 3",
            "",
            "leave `retentionDays` out",
        ),
        (
            FILES,
            "mode: ingest, retentionDays: 0",
            "",
            "0 is not from 1",
        ),
        (FILES, "mode: copy", "", "unknown word `copy`"),
        (FILES, "mode: ingest, days: 3", "", "days"),
        (FILES, "mode: ingest", column, "a column inside them"),
        (lines, "mode: ingest", "", "JSON lines are not ingested"),
    ] {
        let told = render_plain(&read(server, storage, more).diagnostics);
        assert!(told.contains(word), "{storage}: {told}");
    }
    let table = "type: postgres, host: db, port: 5432, database: shop, schema: sales, \
                 customProperties: [ { property: credentialRef, value: 'env:PG' } ]";
    let parsed = read(table, "mode: ingest", column);
    assert!(
        !parsed.has_errors(),
        "{}",
        render_plain(&parsed.diagnostics)
    );
}
