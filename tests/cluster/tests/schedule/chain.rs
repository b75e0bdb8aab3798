//! The whole chain, once: Terraform makes table, function and schedule; the schedule fires, the
//! function asks a real manager, and metrics are in Postgres.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Plan, binaries};
use assay_test_servers::ministack::{self, REGION};
use serde_json::json;

use crate::world::{self, World};

/// Where the provider lies below a mirror.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws";
/// The schedule fires each minute.
const FIRES: Duration = Duration::from_secs(180);
/// The root at a stand-in for AWS: it stays as it is, and this lies beside it.
const BESIDE: &str = "terraform {
  backend \"local\" {}
}
provider \"aws\" {
  s3_use_path_style       = true
  skip_metadata_api_check = true
  max_retries             = 3
}
";
/// What runs this where the provider can be had.
const REPEAT: &str = "TF_MIRROR=<mirror> cargo test -p assay-cluster-tests --test schedule chain";

#[tokio::test(flavor = "multi_thread")]
async fn terraform_applies_the_schedule_fires_and_metrics_are_in_postgres() {
    let Some(mirror) = mirror() else {
        eprintln!(
            "NOT RUN: the Terraform provider hashicorp/aws 5.100 is on no mirror of this machine \
             (a folder holding {PROVIDER}).\n  With one: {REPEAT}"
        );
        return;
    };
    let drill = Drill::begin("scheduled_chain").await;
    let data = data::generate(drill.folder(), "orders", Shape::SMALL);
    let plan = Plan {
        managers: 1,
        nodes: 1,
        ..Plan::default()
    };
    let cluster = Cluster::start(&drill, plan).await;
    let root = Root::copied(drill.folder(), &mirror);
    root.describe(&cluster.client.managers[0]);
    drill.note("terraform apply");
    blocking(|| root.run(&["init", "-input=false", "-no-color", "-lockfile=readonly"]));
    blocking(|| root.run(&["apply", "-auto-approve", "-input=false", "-no-color"]));
    drill.note("applied");
    let world = World::over(
        world::config().await,
        "assay-chain-datasets",
        drill.folder(),
    );
    world.define("orders", &data.folder, "retries: 2").await;
    let run =
        "SELECT run_word(id) FROM run WHERE dataset_id = 'orders' AND trigger_word = 'backfill'";
    let run = cluster.until("run of the schedule", FIRES, run).await;
    drill.note("the schedule has fired");
    let state = cluster.ended(&run, FIRES).await;
    assert_eq!(state, "succeeded", "{}", cluster.tails());
    let rows: u64 = data
        .truth
        .iter()
        .map(|truth| truth.metrics[0].2.parse::<u64>().unwrap())
        .sum();
    let counted = "SELECT sum(m.value::numeric)::text FROM metric m \
                   JOIN metric_series c ON c.id = m.series_id \
                   WHERE c.metric = 'rowCount' AND c.filter = ''";
    let counted = cluster.until("metrics", FIRES, counted).await;
    assert_eq!(counted, rows.to_string());
    blocking(|| root.run(&["destroy", "-auto-approve", "-input=false", "-no-color"]));
}

/// The folder of a provider mirror: `TF_MIRROR`, or one that lies on the machine.
fn mirror() -> Option<PathBuf> {
    let named = std::env::var_os("TF_MIRROR").map(PathBuf::from);
    let usual = ["/opt/tf-plugins", "/usr/share/terraform/plugins"].map(PathBuf::from);
    let mut places = named.into_iter().chain(usual);
    places.find(|place| place.join(PROVIDER).is_dir())
}

/// A copy of the root that has the registry and the scheduler alone.
struct Root {
    folder: PathBuf,
    settings: PathBuf,
    environment: Vec<(String, String)>,
}

impl Root {
    fn copied(drill: &Path, mirror: &Path) -> Self {
        let infra = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra");
        copy(&infra.join("modules"), &drill.join("infra/modules"));
        let folder = drill.join("infra/examples/scheduler-only");
        copy(&infra.join("examples/scheduler-only"), &folder);
        std::fs::write(folder.join("beside_override.tf"), BESIDE).unwrap();
        let settings = drill.join("terraform.rc");
        let text = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    \
             path = \"{}\"\n    include = [\"{PROVIDER}\"]\n  }}\n  direct {{\n    \
             exclude = [\"{PROVIDER}\"]\n  }}\n}}\n",
            mirror.display()
        );
        std::fs::write(&settings, text).unwrap();
        Self {
            folder,
            settings,
            environment: blocking(|| ministack::shared().environment()),
        }
    }

    /// Says what the function is, and where its manager is.
    fn describe(&self, manager: &str) {
        let stand_in: serde_json::Map<String, serde_json::Value> = self
            .environment
            .iter()
            // The region and the keys are the sandbox's own.
            .filter(|(name, _)| name == "AWS_ENDPOINT_URL")
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let variables = json!({
            "name": "assay-chain",
            "region": REGION,
            "table_name": "assay-chain-datasets",
            "lambda_zip": self.zip(),
            "lambda_environment": { "ASSAY_MANAGERS": manager },
            "lambda_extra_env": stand_in,
        });
        let path = self.folder.join("drill.auto.tfvars.json");
        std::fs::write(path, variables.to_string()).unwrap();
    }

    /// The zip that is uploaded: the one that was built for it, or one of the program under test.
    fn zip(&self) -> PathBuf {
        if let Some(built) = std::env::var_os("ASSAY_LAMBDA_ZIP") {
            return PathBuf::from(built);
        }
        let program = self.folder.join("bootstrap");
        std::fs::copy(binaries::path_of("bootstrap"), &program).unwrap();
        // What only a debugger reads is left out, where that can be done.
        let _ = Command::new("strip").arg(&program).status();
        let zip = self.folder.join("scheduler.zip");
        let packed = Command::new("python3")
            .args(["-m", "zipfile", "-c"])
            .args([&zip, &program])
            .status();
        assert!(packed.expect("python3 is installed").success());
        zip
    }

    fn run(&self, arguments: &[&str]) {
        let inherited = ["PATH", "HOME", "TMPDIR"];
        let inherited = inherited.map(|name| (name, std::env::var_os(name).unwrap_or_default()));
        let done = Command::new("terraform")
            .current_dir(&self.folder)
            .args(arguments)
            .env_clear()
            .envs(inherited)
            .envs(
                self.environment
                    .iter()
                    .map(|(n, v)| (n.as_str(), v.as_str())),
            )
            .env("TF_CLI_CONFIG_FILE", &self.settings)
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .stdin(Stdio::null())
            .output();
        let done = done.unwrap_or_else(|why| {
            panic!("terraform is needed beside its provider: {why}\n  {REPEAT}")
        });
        assert!(
            done.status.success(),
            "terraform {arguments:?}:\n{}\n{}\n{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr),
            ministack::shared().log()
        );
    }
}

/// Copies a folder, without what terraform has left in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name == ".terraform" {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}
