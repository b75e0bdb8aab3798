//! The data that `assay dataset init` is given, as its argument names it.
//!
//! Comes in: a path of this machine, or an address such as `s3://bucket/prefix`,
//! `postgres://host:port/database/schema.table` or `mysql://host:port/database/table`. Goes out: a
//! source that can be looked at, and the place as the definition is to name it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use assay_contract::Place;
use assay_model::dataset::{Credential, Format, FormatKind, Location, Source};
use assay_model::source::{Bucket, BucketStore, Database, DatabaseKind, VersionBy};

use super::init::{clean, relative};
use crate::client::coded;
use crate::exit::{Exit, OrExit};

/// Where the data is.
pub enum Data {
    /// On this machine: an absolute path, and whether it is a folder.
    Local(PathBuf, bool),
    /// In a bucket.
    Bucket(Bucket),
    /// In a table.
    Table(Database),
}

impl Data {
    /// Reads the argument.
    pub fn of(named: &Path) -> Result<Self> {
        let text = named.to_string_lossy();
        let Some((scheme, rest)) = text.split_once("://") else {
            if !named.exists() {
                let why = format!("there is no file or folder {text}");
                return Err(coded(Exit::Usage, why));
            }
            return Ok(Self::Local(
                clean(&std::path::absolute(named)?),
                named.is_dir(),
            ));
        };
        let kind = match scheme {
            "postgres" | "postgresql" => Some(DatabaseKind::Postgres),
            "mysql" | "mariadb" => Some(DatabaseKind::Mysql),
            _ => None,
        };
        if let Some(kind) = kind {
            return table(kind, rest).map(Self::Table);
        }
        if matches!(scheme, "az" | "abfss") {
            return container(scheme, rest).map(Self::Bucket);
        }
        let Some(store) = BucketStore::ALL.iter().find(|s| s.as_str() == scheme) else {
            let why = format!(
                "{text}: this version looks at files, folders, buckets (s3://, gs://, az://) and tables (postgres://, mysql://)"
            );
            return Err(coded(Exit::Usage, why));
        };
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self::Bucket(Bucket {
            store: *store,
            name: name.to_owned(),
            path: path.to_owned(),
            region: None,
            endpoint: None,
            account: None,
            role: None,
            external_id: None,
        }))
    }

    /// What a name can be made of.
    pub fn name(&self) -> &Path {
        match self {
            Self::Local(path, _) => path,
            Self::Bucket(bucket) => {
                let is_plain = |part: &&str| !part.is_empty() && !part.contains(['*', '{', '?']);
                let last = bucket.path.split('/').rfind(is_plain);
                Path::new(last.unwrap_or(&bucket.name))
            }
            Self::Table(database) => Path::new(&database.table),
        }
    }

    /// The source, logged in to by `credential`.
    pub fn source(&self, credential: Option<&str>) -> Result<Source> {
        let credential: Option<Credential> = credential
            .map(str::parse)
            .transpose()
            .or_exit(Exit::Usage)?;
        Ok(Source {
            server: "data".to_owned(),
            location: match self {
                Self::Local(path, _) => Location::Local {
                    path: path.display().to_string(),
                },
                Self::Bucket(bucket) => Location::Bucket(bucket.clone()),
                Self::Table(database) => Location::Database(database.clone()),
            },
            // Told by the data.
            format: Format::of(FormatKind::Parquet),
            credential,
        })
    }

    /// The place as it is written into a definition in the folder `base`.
    pub fn place(&self, base: Option<&Path>, source: Source) -> Place {
        match self {
            Self::Local(path, folder) => {
                let seen = base.and_then(|base| relative(path, &clean(base)));
                let mut text = seen.unwrap_or_else(|| path.display().to_string());
                if *folder && !text.ends_with('/') {
                    text.push('/');
                }
                Place::Local(text)
            }
            Self::Bucket(_) | Self::Table(_) => Place::Remote(source.location, source.credential),
        }
    }
}

/// A container of Azure, with the account that its name says nothing without.
fn container(scheme: &str, rest: &str) -> Result<Bucket> {
    let wrong = || {
        let why = "the address names no container of an account; write \
                   az://ACCOUNT.blob.core.windows.net/CONTAINER/path or \
                   abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/path";
        coded(Exit::Usage, why.to_owned())
    };
    let (first, below) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, name, path) = match (scheme, first.split_once('@')) {
        ("abfss", Some((name, host))) => (host, name, below),
        ("az", None) => {
            let (name, path) = below.split_once('/').unwrap_or((below, ""));
            (first, name, path)
        }
        _ => return Err(wrong()),
    };
    let (account, _) = host.split_once('.').ok_or_else(wrong)?;
    if account.is_empty() || name.is_empty() {
        return Err(wrong());
    }
    Ok(Bucket {
        store: BucketStore::Azure,
        name: name.to_owned(),
        path: path.to_owned(),
        region: None,
        endpoint: None,
        account: Some(account.to_owned()),
        role: None,
        external_id: None,
    })
}

/// A table, as `host:port/database/schema.table` names it, or `host:port/database/table` one of
/// MySQL. What logs in is never a part of it.
fn table(kind: DatabaseKind, text: &str) -> Result<Database> {
    let is_mysql = kind == DatabaseKind::Mysql;
    let wrong = |what: &str| {
        let form = if is_mysql {
            "mysql://host:port/database/table"
        } else {
            "postgres://host:port/database/schema.table"
        };
        let why = format!("{what}; write {form}, and name what logs in by --credential env:NAME");
        coded(Exit::Usage, why)
    };
    if text.contains(['@', '?']) {
        return Err(wrong(
            "an address of a table holds neither user nor options",
        ));
    }
    let parts: Vec<&str> = text.split('/').collect();
    let [machine, database, table] = parts.as_slice() else {
        return Err(wrong("the address names no table"));
    };
    let (host, port) = match machine.rsplit_once(':') {
        Some((host, port)) => (
            host,
            port.parse().map_err(|_| wrong("the port is no number"))?,
        ),
        None if is_mysql => (*machine, 3306),
        None => (*machine, 5432),
    };
    let (schema, table) = match table.split_once('.') {
        _ if is_mysql => ("", *table),
        Some(pair) => pair,
        None => ("public", *table),
    };
    let is_empty = |part: &&str| part.is_empty();
    if [host, database, table].iter().any(is_empty) || schema.is_empty() && !is_mysql {
        return Err(wrong("a part of the address is empty"));
    }
    Ok(Database {
        kind,
        host: host.to_owned(),
        port,
        database: (*database).to_owned(),
        schema: schema.to_owned(),
        table: table.to_owned(),
        version: if is_mysql {
            VersionBy::Checksum
        } else {
            VersionBy::Rows
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_named_with_its_account() {
        let of = |text: &str| match Data::of(Path::new(text)) {
            Ok(Data::Bucket(bucket)) => Ok(bucket.address()),
            Ok(_) => panic!("no bucket"),
            Err(error) => Err(error.to_string()),
        };
        for text in [
            "az://lake.blob.core.windows.net/trips/yellow/",
            "abfss://trips@lake.dfs.core.windows.net/yellow/",
        ] {
            assert_eq!(of(text).unwrap(), "az://lake/trips/yellow/");
        }
        assert_eq!(of("gs://trips/yellow/").unwrap(), "gs://trips/yellow/");
        for text in ["az://trips/yellow/", "az://", "az://a.b", "abfss://trips/x"] {
            let told = of(text).unwrap_err();
            assert!(
                told.contains("az://ACCOUNT.blob.core.windows.net"),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn a_table_is_named_by_its_address_without_what_logs_in() {
        let of = |text: &str| match Data::of(Path::new(text)).unwrap() {
            Data::Table(database) => database.address(),
            _ => panic!("no table"),
        };
        let whole = "postgres://db:5433/shop/sales.orders";
        assert_eq!(of(whole), whole);
        assert_eq!(
            of("postgresql://db/shop/orders"),
            "postgres://db:5432/shop/public.orders"
        );
        assert_eq!(
            of("mariadb://db/shop/or.ders"),
            "mysql://db:3306/shop/or.ders"
        );
        for text in [
            "mysql://a:hunter2@db/shop/t",
            "mysql://db/shop",
            "postgres://a:hunter2@db/shop/t",
            "postgres://db",
            "postgres://db/shop/",
            "postgres://db:x/shop/t",
        ] {
            let told = Data::of(Path::new(text))
                .err()
                .map(|error| error.to_string());
            assert!(told.is_some_and(|told| !told.contains("hunter2")), "{text}");
        }
    }
}
