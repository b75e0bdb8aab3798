//! The names of partitions as people write them.
//!
//! Comes in: a name, perhaps as its folder is called (`dt=2026-11-20`). Goes out: the partition's key
//! (`2026-11-20`). It must never change a name that may be a key as it stands.

use assay_model::dataset::{Dataset, Layout, Location};

/// The key of the partition of `dataset` that is named.
///
/// A key of one part is spelt as its value alone; its folder and its column have the part's name
/// before it. A name of another part is left as it is, so that whoever looks it up refuses it.
pub fn partition_key(dataset: &Dataset, named: &str) -> String {
    let unchanged = || named.to_owned();
    let Some((name, value)) = named.split_once('=') else {
        return unchanged();
    };
    if name.is_empty() || value.is_empty() || value.contains(['=', '/']) {
        return unchanged();
    }
    let partitions = &dataset.partitions;
    let is_the_part = match (partitions.keys.as_slice(), &partitions.layout) {
        (_, Layout::Single) => false,
        (_, Layout::Column { column, .. }) => column == name,
        ([only], _) => only.name == name,
        ([], Layout::Template(text)) => {
            text.matches('{').count() == 1 && text.contains(&format!("{{{name}}}"))
        }
        ([], Layout::Hive | Layout::Auto) => has_folders(dataset, name),
        _ => false,
    };
    if is_the_part {
        value.to_owned()
    } else {
        unchanged()
    }
}

/// Whether folders of the dataset are called `name=…`.
fn has_folders(dataset: &Dataset, name: &str) -> bool {
    let begins = format!("{name}=");
    let path = match &dataset.source.location {
        Location::Local { path } => path,
        // Not worth a listing: a part that is declared, or stands in the location, is known, and
        // of a bucket that is read as its folders show, a name before `=` can be nothing else.
        Location::Bucket(_) => return true,
        Location::Database(_) => return false,
    };
    if path.contains(&format!("/{begins}")) {
        return true;
    }
    let above = path.find('*').map_or(path.as_str(), |star| &path[..star]);
    let Ok(folders) = std::fs::read_dir(above) else {
        return false;
    };
    folders
        .filter_map(Result::ok)
        .any(|folder| folder.file_name().to_string_lossy().starts_with(&begins))
}
