//! Where the data of a dataset is, how it is written, and what logs in there.
//!
//! A location is spelt out in its parts, so that what may be reached can be decided before anything
//! is. It must never hold a secret: what logs in is named by a [`Credential`].

use serde::{Deserialize, Serialize};

/// Where the data is and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The server's name in the document.
    pub server: String,
    /// Where.
    pub location: Location,
    /// The format of the files; [`FormatKind::Table`] where it is a database.
    pub format: Format,
    /// What logs in there, by reference; absent: nothing, or what the machine is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
}

/// Where data lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// Files of this machine: an absolute path of a file or folder, or a pattern with `*`, `**`
    /// and the `{name}` parts of a template.
    Local {
        /// The path.
        path: String,
    },
    /// Objects of a bucket.
    Bucket(Bucket),
    /// A table of a database.
    Database(Database),
}

impl Location {
    /// The place as an address: a scheme and what it means there. Patterns stay as they are; never
    /// with a credential.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Local { path } => format!("file://{path}"),
            Self::Bucket(bucket) => bucket.address(),
            Self::Database(database) => database.address(),
        }
    }

    /// The path, where it is one of this machine.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        match self {
            Self::Local { path } => Some(path),
            Self::Bucket(_) | Self::Database(_) => None,
        }
    }
}

crate::words! {
    /// The kinds of object stores.
    pub enum BucketStore {
        /// Amazon S3, and what speaks its protocol.
        S3 = "s3",
        /// Google Cloud Storage.
        Gcs = "gs",
        /// Azure Blob Storage; the bucket is a container.
        Azure = "az",
    }
}

/// Objects of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// What kind of store it is in.
    pub store: BucketStore,
    /// Its name.
    pub name: String,
    /// Below it: a key, a prefix that ends at a `/` or is a whole folder's name, or a pattern as
    /// of a local path. Without a leading `/`; empty for all of the bucket.
    #[serde(default)]
    pub path: String,
    /// The region, if stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of the service, where it is not the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The account of the container (Azure).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The role that is taken on to read it (its ARN), limited to what lies below the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The external id that the role asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl Bucket {
    /// `s3://name/path`; of Azure `az://account/name/path`.
    #[must_use]
    pub fn address(&self) -> String {
        let Self {
            store, name, path, ..
        } = self;
        match self.account.as_deref() {
            Some(account) if *store == BucketStore::Azure => {
                format!("{store}://{account}/{name}/{path}")
            }
            _ => format!("{store}://{name}/{path}"),
        }
    }
}

crate::words! {
    /// The kinds of databases.
    pub enum DatabaseKind {
        /// PostgreSQL.
        Postgres = "postgres",
        /// MySQL or MariaDB.
        Mysql = "mysql",
    }
}

/// A table of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// What kind of database it is.
    pub kind: DatabaseKind,
    /// The name or address of its machine.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The schema; of MySQL, empty.
    #[serde(default)]
    pub schema: String,
    /// The table or view.
    pub table: String,
    /// How it is told that rows have changed.
    #[serde(default)]
    pub version: VersionBy,
}

impl Database {
    /// `postgres://host:port/database/schema.table`.
    #[must_use]
    pub fn address(&self) -> String {
        let Self {
            kind,
            host,
            port,
            database,
            ..
        } = self;
        let dot = if self.schema.is_empty() { "" } else { "." };
        format!(
            "{kind}://{host}:{port}/{database}/{}{dot}{}",
            self.schema, self.table
        )
    }
}

/// How it is told that the rows of a partition of a table are as they were.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionBy {
    /// By the database's own marks of row versions: any insert, update or delete is met. Needs a
    /// table, not a view.
    #[default]
    Rows,
    /// By a hash of all values, whatever their order: any change of a value is met.
    Checksum,
    /// By the count of rows and the greatest value of this column: an update that leaves both is
    /// not met, so that the partition's version is marked as not verifiable.
    Watermark(String),
}

/// A name of a secret, never the secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Credential {
    /// A variable of the environment of whoever reads the source.
    Env(String),
    /// A file on the machine that reads the source.
    File(String),
    /// A secret of AWS Secrets Manager, by its ARN or name.
    AwsSecret(String),
    /// None: the place is open to all, and nobody logs in.
    Anonymous,
}

impl std::fmt::Display for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::AwsSecret(name) => write!(f, "aws-sm:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl std::str::FromStr for Credential {
    type Err = NotACredential;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |name: &str| {
            let plain = !name.trim().is_empty() && !name.chars().any(char::is_control);
            plain.then(|| name.to_owned()).ok_or(NotACredential)
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match text.split_once(':') {
            Some(("env", name)) if name.chars().all(is_word) => Ok(Self::Env(named(name)?)),
            Some(("file", path)) => Ok(Self::File(named(path)?)),
            Some(("aws-sm", name)) => Ok(Self::AwsSecret(named(name)?)),
            None if text == "anonymous" => Ok(Self::Anonymous),
            _ => Err(NotACredential),
        }
    }
}

/// A text that is no reference to a secret. It does not quote the text, which may be the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reference to a secret: write `env:NAME`, `file:path` or `aws-sm:name`")]
pub struct NotACredential;

impl Serialize for Credential {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A secret that is held in memory only. It does not show itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Holds a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, to be handed to what logs in and to nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

crate::words! {
    /// Where a dataset's partitions are checked.
    pub enum StorageMode {
        /// Where they lie.
        InPlace = "in-place",
        /// On a copy in our own storage, taken before.
        Ingest = "ingest",
    }
}

/// Whether a copy of a dataset is kept in our own storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoragePolicy {
    /// Where its partitions are checked.
    pub mode: StorageMode,
    /// Days of data time that copies are kept for; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

impl StoragePolicy {
    /// Whether nothing is stored.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for StoragePolicy {
    fn default() -> Self {
        Self {
            mode: StorageMode::InPlace,
            retention_days: None,
        }
    }
}

crate::words! {
    /// The format of a file's records.
    pub enum FormatKind {
        /// Apache Parquet.
        Parquet = "parquet",
        /// Delimited text, RFC 4180.
        Csv = "csv",
        /// One JSON object a line.
        Ndjson = "ndjson",
        /// Apache Avro object container files.
        Avro = "avro",
        /// Arrow IPC files and streams.
        Arrow = "arrow",
        /// A Delta table: Parquet files, and a log that says which.
        Delta = "delta",
        /// Rows of a database's table.
        Table = "table",
    }
}

/// A file format with its options. Compression is told by the file's name and first bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Which format.
    pub kind: FormatKind,
    /// CSV: the field delimiter.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// CSV: the quote.
    #[serde(default = "double_quote")]
    pub quote: char,
    /// CSV: whether the first record names the columns.
    #[serde(default = "yes")]
    pub header: bool,
    /// CSV: fields that mean NULL, quoted or not; the empty field is one unless taken out.
    #[serde(default = "empty_is_null")]
    pub null_tokens: Vec<String>,
}

impl Format {
    /// The format with its default options.
    #[must_use]
    pub fn of(kind: FormatKind) -> Self {
        Self {
            kind,
            delimiter: comma(),
            quote: double_quote(),
            header: true,
            null_tokens: empty_is_null(),
        }
    }
}

const fn comma() -> char {
    ','
}
const fn double_quote() -> char {
    '"'
}
pub(crate) const fn yes() -> bool {
    true
}
fn empty_is_null() -> Vec<String> {
    vec![String::new()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_name_that_reads_back_and_never_a_secret() {
        for text in [
            "env:ORDERS_PG",
            "file:/run/secrets/pg",
            "aws-sm:prod/orders",
            "anonymous",
        ] {
            let credential: Credential = text.parse().unwrap();
            assert_eq!(credential.to_string(), text);
            let json = serde_json::to_string(&credential).unwrap();
            assert_eq!(
                serde_json::from_str::<Credential>(&json).unwrap(),
                credential
            );
        }
        for text in [
            "hunter2",
            "env:",
            "env:a b",
            "file:",
            "aws-sm:\n",
            "password:x",
            "",
        ] {
            let error = text.parse::<Credential>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_address_names_the_place_in_the_words_of_its_kind() {
        let bucket = Bucket {
            store: BucketStore::S3,
            name: "trips".to_owned(),
            path: "yellow/*.parquet".to_owned(),
            region: None,
            endpoint: None,
            account: None,
            role: None,
            external_id: None,
        };
        assert_eq!(
            Location::Bucket(bucket).address(),
            "s3://trips/yellow/*.parquet"
        );
        let table = Database {
            kind: DatabaseKind::Postgres,
            host: "db".to_owned(),
            port: 5432,
            database: "shop".to_owned(),
            schema: "public".to_owned(),
            table: "orders".to_owned(),
            version: VersionBy::default(),
        };
        let address = Location::Database(table).address();
        assert_eq!(address, "postgres://db:5432/shop/public.orders");
    }
}
