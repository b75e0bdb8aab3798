//! `type: s3`, `azure`, and `custom` with a `gs://` location: objects of a bucket.
//!
//! In: a server's keys and custom properties. Out: its location in its parts. Whether it may be
//! reached is decided where it is read; here its spelling is looked at only as far as its parts
//! can be told.
//!
//! | custom property | meaning |
//! |---|---|
//! | `credentialRef` | what logs in: `env:NAME`, `file:path`, `aws-sm:name`, or `anonymous`; without it, the machine's own identity |
//! | `region` | the bucket's region |
//! | `roleArn`, `externalId` | a role to take on, limited to what lies below the location |
//! | `account` | the account of a container (Azure) |

use assay_model::dataset::Location;
use assay_model::source::{Bucket, BucketStore};

use super::properties::{self, CREDENTIAL};
use super::{ServerSource, expanded, format_of};
use crate::context::Context;
use crate::decode::{At, Map};
use crate::diagnostic::Code;

/// Whether a server of the type `custom` is a bucket.
pub(super) fn is_meant(map: &Map<'_>) -> bool {
    let location = map.get("location");
    let text = location.as_ref().and_then(At::scalar).unwrap_or_default();
    ["s3://", "gs://", "az://", "abfss://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
}

/// Decodes one; `None` after a report, `Err` with the reason when this version cannot read it.
pub(super) fn decode(
    cx: &mut Context<'_>,
    map: &Map<'_>,
    kind: &str,
) -> Option<Result<ServerSource, String>> {
    let at = map.get("location")?;
    let text = expanded(cx, &at)?;
    let mut bucket = location(cx, &at, kind, &text)?;
    if let Some(at) = map.get("endpointUrl") {
        let endpoint = expanded(cx, &at)?;
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            at.report(cx, Code::InvalidValue, "this is no address of a service")
                .hint("write https://host or http://host:port");
            return None;
        }
        bucket.endpoint = Some(endpoint);
    }
    let names: &[&'static str] = match bucket.store {
        BucketStore::S3 => &[CREDENTIAL, "region", "roleArn", "externalId"],
        BucketStore::Gcs => &[CREDENTIAL],
        BucketStore::Azure => &[CREDENTIAL, "account"],
    };
    let found = properties::decode(cx, map, names)?;
    let credential = properties::credential(cx, &found)?;
    let of = |name: &str| found.get(name).map(|(text, _)| text.clone());
    bucket.region = of("region").or_else(|| map.text("region"));
    bucket.role = of("roleArn");
    bucket.external_id = of("externalId");
    bucket.account = bucket.account.or_else(|| of("account"));
    if let Some((role, at)) = found.get("roleArn")
        && !role.starts_with("arn:")
    {
        at.report(cx, Code::InvalidValue, "this is no ARN of a role")
            .hint("write arn:aws:iam::ACCOUNT:role/NAME");
        return None;
    }
    if let (None, Some((_, at))) = (&bucket.role, found.get("externalId")) {
        at.report(
            cx,
            Code::NotUsed,
            "an external id without a role has no effect",
        )
        .hint("name the role that asks for it in `roleArn`");
    }
    if bucket.store == BucketStore::Azure && bucket.account.is_none() {
        return Some(Err(
            "the account of the container is not named: write \
             az://ACCOUNT.blob.core.windows.net/CONTAINER/path, or add the custom property `account`"
                .to_owned(),
        ));
    }
    let format = match format_of(cx, map, &bucket.path)? {
        Ok(format) => format,
        Err(reason) => return Some(Err(reason)),
    };
    Some(Ok(ServerSource {
        location: Location::Bucket(bucket),
        format,
        credential,
    }))
}

/// The parts of an address.
fn location(cx: &mut Context<'_>, at: &At<'_>, kind: &str, text: &str) -> Option<Bucket> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (first, path) = rest.split_once('/').unwrap_or((rest, ""));
    let found = match (scheme, kind) {
        ("s3", "s3" | "custom") => Some((BucketStore::S3, first, path, None)),
        ("gs", "custom") => Some((BucketStore::Gcs, first, path, None)),
        ("az" | "https" | "abfss", "azure" | "custom") => azure(scheme, first, path),
        _ => None,
    };
    let Some((store, name, path, account)) = found.filter(|(_, name, _, _)| !name.is_empty())
    else {
        let hint = match kind {
            "azure" => "write az://ACCOUNT.blob.core.windows.net/CONTAINER/path/*.parquet",
            "s3" if scheme == "gs" => "a bucket of Google Cloud has the type `custom`",
            "s3" => "write s3://BUCKET/path/*.parquet",
            _ => "write s3://BUCKET/path, gs://BUCKET/path or az://…",
        };
        at.report(
            cx,
            Code::InvalidValue,
            "this is no address of objects in a bucket",
        )
        .hint(hint);
        return None;
    };
    Some(Bucket {
        store,
        name: name.to_owned(),
        path: path.to_owned(),
        region: None,
        endpoint: None,
        account,
        role: None,
        external_id: None,
    })
}

type Parts<'t> = (BucketStore, &'t str, &'t str, Option<String>);

/// `az://ACCOUNT.blob.core.windows.net/CONTAINER/path`, `abfss://CONTAINER@ACCOUNT.dfs.…/path`, or
/// `az://CONTAINER/path` with the account told apart.
fn azure<'t>(scheme: &str, first: &'t str, path: &'t str) -> Option<Parts<'t>> {
    let account = |host: &str| host.split('.').next().unwrap_or(host).to_owned();
    if let Some((container, host)) = first.split_once('@') {
        return Some((BucketStore::Azure, container, path, Some(account(host))));
    }
    if first.contains('.') {
        let (container, path) = path.split_once('/').unwrap_or((path, ""));
        return Some((BucketStore::Azure, container, path, Some(account(first))));
    }
    (scheme == "az").then_some((BucketStore::Azure, first, path, None))
}
