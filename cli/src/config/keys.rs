//! The table of settings.

use super::{Key, Kind};

/// Every setting: key, default, what it is. The keys of a file are `section.key`.
pub const KEYS: &[Key] = &[
    Key::new(
        "store.data_dir",
        Kind::Text,
        "./.assay",
        "folder of the embedded store",
    ),
    Key::new(
        "registry.dir",
        Kind::Text,
        "./datasets",
        "folder of dataset definitions",
    ),
    Key::new(
        "registry.url",
        Kind::Text,
        "",
        "definitions that are shared: dynamodb://TABLE?region=REGION; empty is the folder",
    ),
    Key::new(
        "dev.grpc_port",
        Kind::Port,
        "8081",
        "loopback port of the embedded manager",
    ),
    Key::new(
        "dev.port",
        Kind::Port,
        "8080",
        "loopback port of the embedded HTTP API",
    ),
    Key::new(
        "dev.nodes",
        Kind::Nodes,
        "",
        "data nodes, or bounds (`1..4`); empty is one per core, at most 4",
    ),
    Key::new(
        "dev.slots",
        Kind::Count,
        "1",
        "task slots of each embedded data node",
    ),
    Key::new(
        "dev.poll_s",
        Kind::Seconds,
        "10",
        "seconds between looks at the data for what is new",
    ),
    Key::new(
        "scan.memory",
        Kind::Size,
        "",
        "memory for scans (`512MiB`); empty is a quarter of the machine's, at most 1 GiB per core",
    ),
    Key::new(
        "ingest.url",
        Kind::Text,
        "",
        "Postgres that copies of partitions are stored in (`mode: ingest`): postgres://USER@HOST/DATABASE, or env:NAME or file:PATH of what holds that address with its password; empty is none",
    ),
    Key::new(
        "notify.file",
        Kind::Text,
        "",
        "file of notifications that `assay dev` tells people by (docs/notifications.md); empty is none",
    ),
    Key::new(
        "lineage.url",
        Kind::Text,
        "",
        "endpoint that `assay dev` tells runs to as OpenLineage events, by POST; empty is none",
    ),
    Key::new(
        "lineage.credential",
        Kind::Text,
        "",
        "where the endpoint's bearer token is kept: env:NAME or file:PATH",
    ),
    Key::new(
        "lineage.file",
        Kind::Text,
        "",
        "file that such events are appended to, one a line; empty is none",
    ),
    Key::new(
        "lineage.namespace",
        Kind::Text,
        "assay",
        "namespace of the jobs in such events",
    ),
    Key::new(
        "server.url",
        Kind::Text,
        "",
        "gateway whose HTTP API commands speak to (`https://assay.example`); empty is none",
    ),
    Key::new(
        "server.token",
        Kind::Reference,
        "",
        "where the token for the gateway is kept: env:NAME or file:PATH",
    ),
    Key::new(
        "server.ca",
        Kind::Text,
        "",
        "file with the authority that the gateway is signed by (PEM); empty is those that this machine trusts",
    ),
    Key::new(
        "client.server",
        Kind::Text,
        "",
        "manager to speak to, or several with commas between; empty is the one running on the data folder",
    ),
    Key::new(
        "client.tls_ca",
        Kind::Text,
        "",
        "file with the authority that managers are signed by (PEM); env:NAME is a variable that holds the text, so for the other two",
    ),
    Key::new(
        "client.tls_cert",
        Kind::Text,
        "",
        "file with the certificate that managers know you by (PEM)",
    ),
    Key::new("client.tls_key", Kind::Text, "", "file with its key (PEM)"),
    Key::new(
        "schedule.function",
        Kind::Text,
        "",
        "AWS Lambda function that `assay schedule` asks; empty looks at the definitions itself",
    ),
    Key::new(
        "client.tls_server_name",
        Kind::Text,
        "",
        "name that managers must have in their certificate; empty is the one in the address",
    ),
    Key::new(
        "client.timeout_s",
        Kind::Seconds,
        "10",
        "seconds that a call to a manager may take",
    ),
];
