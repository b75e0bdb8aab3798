//! The `servers` of a suggestion.
//!
//! In: where its data is. Out: the lines of one server in the words of the standard. What logs in is
//! written as the reference that it is.

use assay_model::dataset::{Credential, Location};
use assay_model::source::{Bucket, BucketStore, Database, VersionBy};

use super::{Place, Suggestion, line, scalar};

/// Writes the server.
pub(super) fn write(out: &mut String, suggestion: &Suggestion) {
    match &suggestion.place {
        Place::Local(path) => local(out, suggestion, path),
        Place::Remote(Location::Local { path }, _) => local(out, suggestion, path),
        Place::Remote(Location::Bucket(of), credential) => {
            bucket(out, suggestion, of, credential.as_ref());
        }
        Place::Remote(Location::Database(of), credential) => {
            database(out, of, credential.as_ref());
        }
    }
}

fn local(out: &mut String, suggestion: &Suggestion, path: &str) {
    line(out, 1, "- server: local");
    line(out, 2, "type: local");
    line(out, 2, &format!("path: {}", scalar(path)));
    line(out, 2, &format!("format: {}", suggestion.format.kind));
}

fn bucket(
    out: &mut String,
    suggestion: &Suggestion,
    bucket: &Bucket,
    credential: Option<&Credential>,
) {
    let kind = match bucket.store {
        BucketStore::S3 => "s3",
        BucketStore::Gcs => "custom",
        BucketStore::Azure => "azure",
    };
    line(out, 1, "- server: bucket");
    line(out, 2, &format!("type: {kind}"));
    // The account of a container is a property of its own below.
    let location = format!("{}://{}/{}", bucket.store, bucket.name, bucket.path);
    line(out, 2, &format!("location: {}", scalar(&location)));
    line(out, 2, &format!("format: {}", suggestion.format.kind));
    if let Some(endpoint) = &bucket.endpoint {
        line(out, 2, &format!("endpointUrl: {}", scalar(endpoint)));
    }
    properties(
        out,
        &[
            ("credentialRef", credential.map(ToString::to_string)),
            ("region", bucket.region.clone()),
            ("roleArn", bucket.role.clone()),
            ("externalId", bucket.external_id.clone()),
            ("account", bucket.account.clone()),
        ],
    );
}

fn database(out: &mut String, database: &Database, credential: Option<&Credential>) {
    line(out, 1, "- server: database");
    line(out, 2, &format!("type: {}", database.kind));
    line(out, 2, &format!("host: {}", scalar(&database.host)));
    line(out, 2, &format!("port: {}", database.port));
    line(out, 2, &format!("database: {}", scalar(&database.database)));
    if !database.schema.is_empty() {
        line(out, 2, &format!("schema: {}", scalar(&database.schema)));
    }
    let version = match &database.version {
        VersionBy::Rows => None,
        VersionBy::Checksum => Some("checksum".to_owned()),
        VersionBy::Watermark(column) => Some(format!("watermark:{column}")),
    };
    properties(
        out,
        &[
            ("credentialRef", credential.map(ToString::to_string)),
            ("version", version),
        ],
    );
}

/// Writes the custom properties that have a value.
fn properties(out: &mut String, properties: &[(&str, Option<String>)]) {
    let mut first = true;
    for (name, value) in properties {
        let Some(value) = value else {
            continue;
        };
        if std::mem::take(&mut first) {
            line(out, 2, "customProperties:");
        }
        line(out, 3, &format!("- property: {name}"));
        line(out, 4, &format!("value: {}", scalar(value)));
    }
}
