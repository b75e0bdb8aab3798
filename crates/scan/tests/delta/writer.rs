//! A small writer of Delta tables: data files, commits, checkpoints, deletion vectors.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int32Builder, Int64Array, ListBuilder, MapBuilder, MapFieldNames,
    RecordBatch, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use parquet::file::properties::WriterProperties;
use roaring::RoaringTreemap;
use serde_json::{Value, json};

use crate::common;

/// A table that is being written.
pub struct Writer {
    pub root: PathBuf,
    /// The next version.
    pub next: u64,
    /// Every action so far that a checkpoint would hold, in order.
    pub state: Vec<Value>,
}

/// What a table asks of its readers.
pub fn protocol(version: i32, features: &[&str]) -> Value {
    match version {
        3 => json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": features, "writerFeatures": features}}),
        _ => json!({"protocol": {"minReaderVersion": version, "minWriterVersion": 2}}),
    }
}

/// The columns and settings of a table.
pub fn meta_data(schema: &Value, partitioned_by: &[&str], settings: &Value) -> Value {
    json!({"metaData": {"id": "0f2b7b6e-6a57-4b30-9f0c-2b1c4f8a9d11",
        "format": {"provider": "parquet", "options": {}}, "schemaString": schema.to_string(),
        "partitionColumns": partitioned_by, "configuration": settings}})
}

fn word(of: &DataType) -> String {
    match of {
        DataType::Int8 => "byte".to_owned(),
        DataType::Int16 => "short".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "long".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 => "string".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Decimal128(digits, scale) => format!("decimal({digits},{scale})"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp_ntz".to_owned(),
        other => panic!("no word for {other}"),
    }
}

/// A schema as a log has it, with the columns of files and then those of partitions.
pub fn schema_of(schema: &Schema, partitioned_by: &[(&str, &str)]) -> Value {
    let field = |name: &str, kind: String, nullable: bool| json!({"name": name, "type": kind, "nullable": nullable, "metadata": {}});
    let own = schema
        .fields()
        .iter()
        .map(|f| field(f.name(), word(f.data_type()), f.is_nullable()));
    let parts = partitioned_by
        .iter()
        .map(|(name, kind)| field(name, (*kind).to_owned(), true));
    json!({"type": "struct", "fields": own.chain(parts).collect::<Vec<_>>()})
}

/// The action that adds a file that is there.
pub fn add(root: &Path, path: &str, values: &Value) -> Value {
    let size = fs::metadata(root.join(path)).unwrap().len();
    let escaped = path.replace('%', "%25").replace(' ', "%20");
    json!({"add": {"path": escaped, "partitionValues": values, "size": size,
        "modificationTime": 1_700_000_000_000i64, "dataChange": true}})
}

/// The action that removes a file as it was added.
pub fn remove(added: &Value) -> Value {
    let add = &added["add"];
    let mut remove = json!({"path": add["path"], "deletionTimestamp": 1, "dataChange": true});
    if add["deletionVector"].is_object() {
        remove["deletionVector"] = add["deletionVector"].clone();
    }
    json!({"remove": remove})
}

/// The same file without these rows.
pub fn without(added: &Value, vector: &Value) -> Value {
    let mut added = added.clone();
    added["add"]["deletionVector"] = vector.clone();
    added
}

const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

fn pack(bytes: &[u8]) -> String {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().div_ceil(4) * 4, 0);
    let mut text = String::new();
    for four in padded.chunks(4) {
        let mut value = u32::from_be_bytes(four.try_into().unwrap());
        let mut five = [0; 5];
        for digit in five.iter_mut().rev() {
            *digit = ALPHABET[(value % 85) as usize];
            value /= 85;
        }
        text.push_str(std::str::from_utf8(&five).unwrap());
    }
    text
}

fn bitmap(rows: &[u64]) -> Vec<u8> {
    let map: RoaringTreemap = rows.iter().copied().collect();
    let mut bytes = 1_681_511_377u32.to_le_bytes().to_vec();
    map.serialize_into(&mut bytes).unwrap();
    bytes
}

/// A deletion vector that the log holds itself.
pub fn inline(rows: &[u64]) -> Value {
    let bytes = bitmap(rows);
    json!({"storageType": "i", "pathOrInlineDv": pack(&bytes), "sizeInBytes": bytes.len(),
        "cardinality": rows.len()})
}

/// Deletion vectors in one file of their own, named by `uuid`.
pub fn in_file(root: &Path, uuid: u128, vectors: &[&[u64]]) -> Vec<Value> {
    let text = format!("{uuid:032x}");
    let name = format!(
        "deletion_vector_{}-{}-{}-{}-{}.bin",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    );
    let (mut file, mut told) = (vec![1u8], Vec::new());
    for rows in vectors {
        let bytes = bitmap(rows);
        told.push(
            json!({"storageType": "u", "pathOrInlineDv": pack(&uuid.to_be_bytes()),
            "offset": file.len(), "sizeInBytes": bytes.len(), "cardinality": rows.len()}),
        );
        file.extend((bytes.len() as u32).to_be_bytes());
        file.extend(&bytes);
        file.extend(crc32fast::hash(&bytes).to_be_bytes());
    }
    fs::write(root.join(name), file).unwrap();
    told
}

impl Writer {
    /// Begins a table with its first commit.
    pub fn create(root: &Path, protocol: Value, meta_data: Value) -> Self {
        fs::create_dir_all(root.join("_delta_log/_sidecars")).unwrap();
        let mut writer = Self {
            root: root.to_owned(),
            next: 0,
            state: Vec::new(),
        };
        writer.commit(&[protocol, meta_data]);
        writer
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("_delta_log").join(name)
    }

    /// Writes a commit.
    pub fn commit(&mut self, actions: &[Value]) {
        let lines: Vec<String> = std::iter::once(json!({"commitInfo": {"operation": "WRITE"}}))
            .chain(actions.iter().cloned())
            .map(|action| action.to_string())
            .collect();
        let name = format!("{:020}.json", self.next);
        fs::write(self.log(&name), lines.join("\n")).unwrap();
        self.next += 1;
        for action in actions {
            let same = |known: &Value| {
                let kind = |v: &Value| v.as_object().unwrap().keys().next().unwrap().clone();
                let file = |v: &Value| v["path"].clone();
                match kind(action).as_str() {
                    "remove" => {
                        let (a, b) = (&known["add"], &action["remove"]);
                        file(a) == file(b) && a["deletionVector"] == b["deletionVector"]
                    }
                    "add" => false,
                    other => kind(known) == other,
                }
            };
            self.state.retain(|known| !same(known));
            if action.get("remove").is_none() {
                self.state.push(action.clone());
            }
        }
    }

    /// Writes a data file.
    pub fn data(&self, path: &str, batches: &[RecordBatch], rows_of_group: usize) {
        let to = self.root.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(rows_of_group))
            .build();
        common::write(&to, batches, properties);
    }

    /// Writes a checkpoint of the newest version in so many parts, and takes the commits away.
    pub fn checkpoint(&self, parts: usize) {
        let version = self.next - 1;
        let each = self.state.len().div_ceil(parts).max(1);
        for (part, actions) in self.state.chunks(each).enumerate() {
            let name = match parts {
                1 => format!("{version:020}.checkpoint.parquet"),
                _ => format!(
                    "{version:020}.checkpoint.{:010}.{parts:010}.parquet",
                    part + 1
                ),
            };
            write_actions(&self.log(&name), actions);
        }
        self.forget();
    }

    /// Writes a checkpoint that leaves its files to sidecars, as JSON or as Parquet.
    pub fn checkpoint_v2(&self, json: bool) {
        let version = self.next - 1;
        let (files, mut others): (Vec<Value>, Vec<Value>) = self
            .state
            .iter()
            .cloned()
            .partition(|action| action.get("add").is_some());
        for (number, some) in files.chunks(files.len().div_ceil(2).max(1)).enumerate() {
            let name = format!("{number}.parquet");
            write_actions(&self.log(&format!("_sidecars/{name}")), some);
            others.push(json!({"sidecar": {"path": name, "sizeInBytes": 1,
                "modificationTime": 1}}));
        }
        let uuid = "80a083e8-7026-4e79-81be-64bd76c43a11";
        let base = format!("{version:020}.checkpoint.{uuid}");
        if json {
            let meta = json!({"checkpointMetadata": {"version": version}});
            let lines: Vec<String> = std::iter::once(meta)
                .chain(others)
                .map(|action| action.to_string())
                .collect();
            fs::write(self.log(&format!("{base}.json")), lines.join("\n")).unwrap();
        } else {
            write_actions(&self.log(&format!("{base}.parquet")), &others);
        }
        self.forget();
    }

    fn forget(&self) {
        for version in 0..self.next {
            let _ = fs::remove_file(self.log(&format!("{version:020}.json")));
        }
    }
}

fn texts(of: &[Value], key: &str) -> ArrayRef {
    let text = |v: &Value| v[key].as_str().map(str::to_owned);
    Arc::new(of.iter().map(text).collect::<StringArray>())
}

fn longs(of: &[Value], key: &str) -> ArrayRef {
    Arc::new(of.iter().map(|v| v[key].as_i64()).collect::<Int64Array>())
}

fn ints(of: &[Value], key: &str) -> ArrayRef {
    let int = |v: &Value| v[key].as_i64().map(|v| v as i32);
    Arc::new(of.iter().map(int).collect::<Int32Array>())
}

fn map(of: &[Value], key: &str) -> ArrayRef {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for value in of {
        let entries = value[key].as_object();
        for (key, value) in entries.into_iter().flatten() {
            builder.keys().append_value(key);
            builder.values().append_option(value.as_str());
        }
        builder.append(entries.is_some()).unwrap();
    }
    Arc::new(builder.finish())
}

fn list(of: &[Value], key: &str) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for value in of {
        let items = value[key].as_array();
        for item in items.into_iter().flatten() {
            builder.values().append_option(item.as_str());
        }
        builder.append(items.is_some());
    }
    Arc::new(builder.finish())
}

fn structure(of: &[Value], columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let nulls: NullBuffer = of.iter().map(Value::is_object).collect();
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let fields: Fields = columns.iter().map(field).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Arc::new(StructArray::new(fields, arrays, Some(nulls)))
}

/// Writes actions as a checkpoint has them.
fn write_actions(to: &Path, actions: &[Value]) {
    let of = |kind: &str| -> Vec<Value> { actions.iter().map(|a| a[kind].clone()).collect() };
    let add = of("add");
    let vectors: Vec<Value> = add.iter().map(|a| a["deletionVector"].clone()).collect();
    let vector = structure(
        &vectors,
        vec![
            ("storageType", texts(&vectors, "storageType")),
            ("pathOrInlineDv", texts(&vectors, "pathOrInlineDv")),
            ("offset", ints(&vectors, "offset")),
            ("sizeInBytes", ints(&vectors, "sizeInBytes")),
            ("cardinality", longs(&vectors, "cardinality")),
        ],
    );
    let added = structure(
        &add,
        vec![
            ("path", texts(&add, "path")),
            ("partitionValues", map(&add, "partitionValues")),
            ("size", longs(&add, "size")),
            ("modificationTime", longs(&add, "modificationTime")),
            ("stats", texts(&add, "stats")),
            ("deletionVector", vector),
        ],
    );
    let protocol = of("protocol");
    let protocol = structure(
        &protocol,
        vec![
            ("minReaderVersion", ints(&protocol, "minReaderVersion")),
            ("minWriterVersion", ints(&protocol, "minWriterVersion")),
            ("readerFeatures", list(&protocol, "readerFeatures")),
        ],
    );
    let meta = of("metaData");
    let formats: Vec<Value> = meta.iter().map(|m| m["format"].clone()).collect();
    let format = structure(&formats, vec![("provider", texts(&formats, "provider"))]);
    let meta = structure(
        &meta,
        vec![
            ("id", texts(&meta, "id")),
            ("format", format),
            ("schemaString", texts(&meta, "schemaString")),
            ("partitionColumns", list(&meta, "partitionColumns")),
            ("configuration", map(&meta, "configuration")),
        ],
    );
    let sidecar = of("sidecar");
    let sidecar = structure(&sidecar, vec![("path", texts(&sidecar, "path"))]);
    let mut unused = Int32Builder::new();
    unused.append_nulls(actions.len());
    let txn: Vec<Value> = of("txn");
    let txn = structure(&txn, vec![("version", Arc::new(unused.finish()))]);
    let columns = [
        ("txn", txn),
        ("add", added),
        ("protocol", protocol),
        ("metaData", meta),
        ("sidecar", sidecar),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    common::write(to, &[batch.unwrap()], WriterProperties::default());
}
