//! Objects of buckets: listed page by page, read pinned to the version that was listed.
//!
//! ```text
//! definition ─> policy ─> client ─┬─> pages of a listing ─> ObjectRef (name, size, time, tag)
//!                 secret, role ───┘   ranges of an object <─ If-Match: the listed tag
//! ```
//!
//! In: a bucket's definition with what may be reached. Out: the port
//! [`RemoteObjects`]. An object whose name cannot be asked for again as it is comes as an item that
//! is refused; none is ever left out, but for the empty objects that stand for folders.

mod http;
mod identity;
mod io;
mod names;
mod read;
mod store;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use assay_model::partition::ObjectRef;
use assay_model::source::{Bucket, BucketStore};
use assay_scan::error::{Place, ScanError};
use assay_scan::reach::{Listing, PinnedRead, RemoteObjects, Secret};
use jiff::Timestamp;
use object_store::ObjectMeta;
use object_store::list::{PaginatedListOptions, PaginatedListResult};
use object_store::path::Path;

use crate::policy::{Allowed, Policy};
use http::Heard;
pub(crate) use io::Task;
use io::UnderWay;
pub use io::warm;
pub(crate) use store::Who;
use trouble::{About, Tried};

/// One bucket, with the way to it.
#[derive(Debug, Clone)]
struct Bucketed {
    client: store::Client,
    /// `s3://name`.
    bucket: Arc<str>,
    /// What is to be granted for a listing and a read.
    grants: Arc<(String, String)>,
    /// The largest window of a reader.
    window: u64,
    /// Whether the user of this machine runs this.
    of_user: bool,
    /// For whom.
    task: Task,
}

impl Bucketed {
    fn address_of(&self, key: &str) -> String {
        format!("{}/{key}", self.bucket)
    }

    fn about<'a>(&'a self, address: &'a str, tried: Tried) -> About<'a> {
        About {
            address,
            bucket: &self.bucket,
            grants: (&self.grants.0, &self.grants.1),
            identity: &self.client.identity,
            of_user: self.of_user,
            tried,
        }
    }

    /// A page of the listing of all names that begin with `prefix`.
    fn page(
        &self,
        prefix: &str,
        token: Option<String>,
        most: Option<usize>,
    ) -> impl Future<Output = Result<PaginatedListResult, ScanError>> + Send + use<> {
        let heard = Heard::default();
        let options = PaginatedListOptions {
            max_keys: most,
            page_token: token,
            extensions: heard.extensions(),
            ..PaginatedListOptions::default()
        };
        let (this, prefix) = (self.clone(), prefix.to_owned());
        async move {
            let wanted = Some(prefix.as_str()).filter(|prefix| !prefix.is_empty());
            let listed = this.client.store.list_paginated(wanted, options).await;
            listed.map_err(|error| {
                let address = this.address_of(&prefix);
                trouble::meaning(&error, &heard, this.about(&address, Tried::List))
            })
        }
    }
}

/// The objects below a root.
#[derive(Debug)]
struct Objects {
    of: Bucketed,
    /// What every path is relative to: empty, or ending in a slash.
    prefix: String,
    address: String,
    pattern: Option<String>,
    single: Option<String>,
}

/// Opens a bucket's location.
///
/// # Errors
/// [`ScanError::Definition`] when the definition or the secret cannot be; the errors of a listing.
pub(crate) fn open(
    bucket: &Bucket,
    allowed: Allowed,
    who: Who<'_>,
    policy: &Policy,
    task: Task,
) -> Result<Arc<dyn RemoteObjects>, ScanError> {
    let plain = crate::policy::plain(&bucket.path);
    let parts: Vec<&str> = bucket.path.split('/').filter(|p| !p.is_empty()).collect();
    let pattern = (plain.len() < parts.len()).then(|| parts[plain.len()..].join("/"));
    let path = plain.join("/");
    let Allowed { address, endpoint } = allowed;
    let client = store::client(bucket, &path, who, endpoint, policy)
        .map_err(|what| wrong(&address, what))?;
    let of = Bucketed {
        client,
        bucket: format!("{}://{}", bucket.store, bucket.name).into(),
        grants: Arc::new(grants(bucket, &path)),
        window: read::window_within(task.memory_bytes),
        of_user: policy.is_of_user(),
        task,
    };
    let is_prefix = pattern.is_some() || path.is_empty() || bucket.path.ends_with('/');
    let single = if is_prefix {
        None
    } else {
        let first = io::run(&address, &of.task, of.page(&path, None, Some(1)))?;
        let name = |meta: &ObjectMeta| names::decode(meta.location.as_ref());
        let is_object = first.result.objects.first().and_then(name).as_deref() == Some(&path);
        is_object.then(|| {
            plain
                .last()
                .map_or_else(String::new, |name| (*name).to_owned())
        })
    };
    let folder = match &single {
        Some(name) => &path[..path.len() - name.len()],
        None => &path,
    };
    let root = match folder.trim_end_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    Ok(Arc::new(Objects {
        address: of.address_of(&root),
        of,
        prefix: root,
        pattern,
        single,
    }))
}

fn wrong(address: &str, what: String) -> ScanError {
    ScanError::Definition {
        path: address.to_owned(),
        place: Place::file(),
        what,
        remedy: "correct the server in the dataset's document, or what `credentialRef` names"
            .to_owned(),
    }
}

/// Resolves who a bucket is read as, in credentials that end soon; `None` where its secret says it.
///
/// # Errors
/// [`ScanError::Away`] when whoever hands them out does not answer.
pub(crate) async fn resolve(
    bucket: &Bucket,
    allowed: Allowed,
    who: Who<'_>,
    policy: &Policy,
) -> Result<Option<Secret>, ScanError> {
    if who.secret.is_some() && bucket.role.is_none() {
        return Ok(None);
    }
    let Allowed { address, endpoint } = allowed;
    let path = crate::policy::plain(&bucket.path).join("/");
    let provider = store::provider(bucket, &path, who, endpoint, policy);
    let provider = provider.map_err(|what| wrong(&address, what))?;
    let given = tokio::time::timeout(RESOLVED_WITHIN, provider.get()).await;
    match given {
        Ok(Ok(secret)) => Ok(Some(secret)),
        Ok(Err(error)) => Err(trouble::of_identity(&error, &address)),
        Err(_) => Err(ScanError::Away {
            path: address,
            what: format!(
                "who it is read as was not told within {} s",
                RESOLVED_WITHIN.as_secs()
            ),
        }),
    }
}

/// How long a machine may look who it is.
const RESOLVED_WITHIN: Duration = Duration::from_secs(30);

/// What an identity needs, in the words of the provider.
fn grants(bucket: &Bucket, path: &str) -> (String, String) {
    let name = &bucket.name;
    let below = match path {
        "" => "*".to_owned(),
        path => format!("{path}*"),
    };
    match bucket.store {
        BucketStore::S3 => (
            format!("s3:ListBucket on arn:aws:s3:::{name}, for the prefix {below}"),
            format!(
                "s3:GetObject on arn:aws:s3:::{name}/{below}, and kms:Decrypt on its key if it has one"
            ),
        ),
        BucketStore::Gcs => (
            format!("storage.objects.list on the bucket {name} (role Storage Object Viewer)"),
            format!("storage.objects.get on the bucket {name} (role Storage Object Viewer)"),
        ),
        BucketStore::Azure => {
            let role = format!("the role Storage Blob Data Reader on the container {name}");
            (role.clone(), role)
        }
    }
}

/// The time, as the product keeps it.
fn timestamp(time: chrono::DateTime<chrono::Utc>) -> Option<Timestamp> {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).ok()?;
    Timestamp::new(time.timestamp(), nanos).ok()
}

impl Objects {
    /// An object of a page; `None` for one that stands for a folder or is not the one.
    fn object(&self, meta: &ObjectMeta) -> Option<Result<ObjectRef, ScanError>> {
        let broken = |what: String| ScanError::Away {
            path: self.address.clone(),
            what,
        };
        let Some(key) = names::decode(meta.location.as_ref()) else {
            return Some(Err(broken(
                "a listing with an unreadable name came".to_owned(),
            )));
        };
        let Some(path) = key.strip_prefix(&self.prefix) else {
            let what = format!("a listing with {key:?}, which was not asked for, came");
            return Some(Err(broken(what)));
        };
        let is_folder = meta.size == 0 && (key.ends_with('/') || path.is_empty());
        let is_other = self.single.as_ref().is_some_and(|name| name != path);
        if is_folder || is_other {
            return None;
        }
        let refused = |why: &str| {
            Some(Err(ScanError::Refused {
                path: format!("{:?}", self.of.address_of(&key)),
                why: why.to_owned(),
            }))
        };
        if let Err(why) = askable(&key) {
            return refused(why);
        }
        let Some(modified) = timestamp(meta.last_modified) else {
            return refused("its time of change is out of range");
        };
        Some(Ok(ObjectRef {
            path: path.to_owned(),
            size: meta.size,
            modified,
            etag: meta.e_tag.clone(),
        }))
    }
}

/// The key as a path that is asked for as it is.
fn askable(key: &str) -> Result<Path, &'static str> {
    if key.starts_with('/') || key.ends_with('/') || key.contains("//") {
        return Err("a name with an empty part between slashes cannot be asked for");
    }
    if key.split('/').any(|part| part == "." || part == "..") {
        return Err("a name with a part `.` or `..` cannot be asked for");
    }
    if key.chars().any(char::is_control) {
        return Err("a name with a control character cannot be asked for");
    }
    match Path::parse(key) {
        Ok(path) if path.as_ref() == key => Ok(path),
        _ => Err("its name cannot be asked for as it is"),
    }
}

impl RemoteObjects for Objects {
    fn root(&self) -> &str {
        &self.address
    }

    fn pattern(&self) -> Option<&str> {
        self.pattern.as_deref()
    }

    fn single(&self) -> Option<&str> {
        self.single.as_deref()
    }

    fn list(&self, prefix: &str) -> Listing<'_> {
        let below = match (&self.single, prefix.trim_end_matches('/')) {
            (Some(name), _) => name.clone(),
            (None, "") => String::new(),
            (None, folder) => format!("{folder}/"),
        };
        Box::new(Pages {
            objects: self,
            prefix: format!("{}{below}", self.prefix),
            next: Next::Token(None),
            page: Vec::new().into_iter(),
            empty: 0,
            items: 0,
        })
    }

    fn open(&self, object: &ObjectRef) -> Result<Box<dyn PinnedRead>, ScanError> {
        let key = format!("{}{}", self.prefix, object.path);
        let path = askable(&key).map_err(|why| ScanError::Refused {
            path: format!("{:?}", self.of.address_of(&key)),
            why: why.to_owned(),
        })?;
        let reader = read::Reader::new(self.of.clone(), object.clone(), path);
        Ok(Box::new(reader))
    }
}

/// What comes after the page at hand.
enum Next {
    /// The page with this token, not asked for yet.
    Token(Option<String>),
    /// The page that is under way, with its token.
    Page(String, UnderWay<Result<PaginatedListResult, ScanError>>),
    /// Nothing.
    End,
}

/// A listing, page by page: one at hand, one under way.
struct Pages<'a> {
    objects: &'a Objects,
    prefix: String,
    next: Next,
    page: std::vec::IntoIter<ObjectMeta>,
    /// Pages without an object, one after another.
    empty: u32,
    /// Objects so far.
    items: u64,
}

/// Pages without an object that may follow one another: deleted objects make some.
const EMPTY_MOST: u32 = 10_000;
/// Objects that any task may list; more, where it has so much memory for each.
const ITEMS_LEAST: u64 = 1_000_000;
const ITEM_BYTES: u64 = 64;

impl Pages<'_> {
    /// Takes the next page; `false` when there is none.
    fn turn(&mut self) -> Result<bool, ScanError> {
        let of = &self.objects.of;
        let address = &self.objects.address;
        let (token, page) = match std::mem::replace(&mut self.next, Next::End) {
            Next::End => return Ok(false),
            Next::Token(token) => (
                token.clone(),
                io::run(address, &of.task, of.page(&self.prefix, token, None))?,
            ),
            Next::Page(token, under_way) => (Some(token), under_way.wait(address, &of.task)??),
        };
        self.bounded(page.result.objects.len() as u64)?;
        if let Some(next) = page.page_token {
            if token.as_ref() == Some(&next) {
                return Err(ScanError::Away {
                    path: address.clone(),
                    what: "the listing does not go on: a page leads to itself".to_owned(),
                });
            }
            let ahead = io::begin(address, of.page(&self.prefix, Some(next.clone()), None))?;
            self.next = Next::Page(next, ahead);
        }
        self.page = page.result.objects.into_iter();
        Ok(true)
    }
}

impl Pages<'_> {
    /// Counts what came: a listing has an end.
    fn bounded(&mut self, came: u64) -> Result<(), ScanError> {
        let task = &self.objects.of.task;
        task.check(&self.objects.address)?;
        self.empty = if came == 0 { self.empty + 1 } else { 0 };
        self.items += came;
        let most = (task.memory_bytes / ITEM_BYTES).max(ITEMS_LEAST);
        let what = if self.empty > EMPTY_MOST {
            format!("{EMPTY_MOST} pages of its listing in a row are empty")
        } else if self.items > most {
            format!("more than {most} objects are listed there")
        } else {
            return Ok(());
        };
        Err(ScanError::Definition {
            path: self.objects.address.clone(),
            place: Place::file(),
            what,
            remedy: "name a narrower path, or give the node more memory".to_owned(),
        })
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<ObjectRef, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for meta in self.page.by_ref() {
                if let Some(item) = self.objects.object(&meta) {
                    return Some(item);
                }
            }
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
