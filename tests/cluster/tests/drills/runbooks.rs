//! The runbooks, command by command: those that need no account are run against a real cluster, in
//! the order of their page, and those that do name commands that there are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Plan, binaries};

use crate::drill;
use crate::usual::RUN;

/// The pages, in the order in which somebody would come to need them.
const PAGES: [&str; 8] = [
    "README.md",
    "deploy.md",
    "upgrade.md",
    "scale.md",
    "backup-restore.md",
    "lose-a-zone.md",
    "rotate-certificates.md",
    "failed-region.md",
];
/// What a block that was not run begins with.
const ACCOUNT: &str = "# needs an AWS account";
/// How long the cluster may take to be whole again after a block.
const READY: Duration = Duration::from_secs(60);

/// One block of commands.
struct Block {
    page: &'static str,
    line: usize,
    /// Whether it is run here.
    is_run: bool,
    text: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations")
}

/// The blocks of a page that are in a shell's words.
fn blocks(page: &'static str) -> Vec<Block> {
    let text = std::fs::read_to_string(folder().join(page)).unwrap();
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(info) => {
                open = true;
                found.push(Block {
                    page,
                    line: at + 1,
                    is_run: info == "sh test",
                    text: String::new(),
                });
            }
            None if open => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "{page}: a block has no end");
    found
}

fn shell(cluster: &Cluster, postgres: &Path, text: &str) -> Command {
    let files = cluster.files.of("drill");
    let assay = binaries::path_of("assay");
    let paths = [
        assay.parent().unwrap(),
        postgres,
        Path::new("/usr/bin"),
        Path::new("/bin"),
    ];
    let named = cluster.managers[0].setting("ASSAY_STORE_URL").unwrap();
    let database = named.rsplit('/').next().unwrap();
    let url = cluster.servers.postgres().url_of(database);
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", text])
        .current_dir(cluster.drill.folder())
        .env_clear()
        .env("PATH", std::env::join_paths(paths).unwrap())
        .env("HOME", cluster.drill.folder())
        .env("DATABASE", url)
        .env("NODE", "node-2")
        .env("NAME", "assay-staging")
        .env("NO_COLOR", "1")
        .env("ASSAY_SERVER", cluster.client.managers.join(","))
        .env("ASSAY_TLS_CA", files.ca)
        .env("ASSAY_TLS_CERT", files.cert)
        .env("ASSAY_TLS_KEY", files.key);
    command
}

/// Starts what has left, as a supervisor does, and waits until all is well.
async fn whole(cluster: &mut Cluster) {
    for i in 0..cluster.nodes.len() {
        // One that was told to leave does so within its grace.
        let left = cluster.nodes[i].ends_within(Duration::from_secs(1));
        if left {
            cluster.start_node(i);
        }
    }
    cluster.ready(READY).await;
}

drill!(
    every_command_of_the_runbooks_that_needs_no_account_works,
    async |name| {
        let drill: Arc<Drill> = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::USUAL);
        let plan = Plan {
            secured: true,
            nodes: 2,
            ..Plan::default()
        };
        let mut cluster = Cluster::start(&drill, plan).await;
        let run = cluster.submit(&data, "first").await;
        assert_eq!(
            cluster.ended(&run, RUN).await,
            "succeeded",
            "{}",
            cluster.tails()
        );
        let postgres = assay_test_servers::postgres::programs();
        let mut ran = 0;
        for block in PAGES
            .into_iter()
            .flat_map(blocks)
            .filter(|block| block.is_run)
        {
            let (page, line) = (block.page, block.line);
            let mut command = shell(&cluster, &postgres, &block.text);
            let said = blocking(|| command.output()).unwrap();
            let out = String::from_utf8_lossy(&said.stdout);
            let err = String::from_utf8_lossy(&said.stderr);
            drill.note(format!("{page}:{line}\n{}{out}{err}", block.text));
            assert!(
                said.status.success(),
                "{page}:{line}: {}\n{}{out}{err}\n{}",
                said.status,
                block.text,
                cluster.tails()
            );
            ran += 1;
            whole(&mut cluster).await;
        }
        assert!(ran >= 15, "only {ran} blocks are run");
    }
);

#[test]
fn the_commands_that_need_an_account_name_commands_of_ours_that_there_are() {
    let mut looked = 0;
    for block in PAGES
        .into_iter()
        .flat_map(blocks)
        .filter(|block| !block.is_run)
    {
        let (page, line) = (block.page, block.line);
        assert!(
            block.text.starts_with(ACCOUNT),
            "{page}:{line}: neither run nor marked"
        );
        let joined = block.text.replace("\\\n", " ");
        for command in joined.lines().filter(|line| line.starts_with("assay ")) {
            let words = command.split_whitespace().skip(1);
            let words = words.map(|word| word.trim_matches(['"', '\'']));
            let mut asked = Command::new(binaries::path_of("assay"));
            let said = asked.args(words).arg("--help").output().unwrap();
            let err = String::from_utf8_lossy(&said.stderr);
            assert!(said.status.success(), "{page}:{line}: {command}\n{err}");
            looked += 1;
        }
    }
    assert!(looked > 0, "no block has a command of ours");
}
