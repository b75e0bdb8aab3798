//! etcd in a temporary folder.
