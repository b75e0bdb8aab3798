//! The registry in a table, spoken to by the real command with an identity of its own.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod look;

use std::collections::HashMap;

use assay_registry::conformance::document;
use assay_registry::dynamodb::create_tables;
use assay_registry::dynamodb::sdk::Client;
use assay_registry::dynamodb::sdk::config::{Credentials, SharedCredentialsProvider};
use assay_registry::dynamodb::sdk::types::AttributeValue;
use assay_test_servers::ministack;
use common::{Place, Said};

/// A folder whose settings name tables of its own.
struct World {
    place: Place,
    table: String,
    client: Client,
}

impl World {
    async fn new(table: &str) -> Self {
        let url = tokio::task::spawn_blocking(|| ministack::shared().url())
            .await
            .unwrap();
        let options = assay_aws::Options {
            region: Some(ministack::REGION.to_owned()),
            ..assay_aws::Options::default()
        };
        let config = assay_aws::config(&options).await.unwrap();
        let keys = Credentials::new("test", "test", None, None, "test");
        let keys = SharedCredentialsProvider::new(keys);
        let config = config.into_builder().endpoint_url(url);
        let config = config.credentials_provider(keys).build();
        create_tables(&config, table).await.unwrap();
        let place = Place::new();
        let region = ministack::REGION;
        place.write(
            "assay.toml",
            format!("[profile.staging.registry]\nurl = \"dynamodb://{table}?region={region}\"\n"),
        );
        Self {
            place,
            table: table.to_owned(),
            client: Client::new(&config),
        }
    }

    /// Runs `assay dataset` on the table.
    fn assay(&self, args: &[&str]) -> Said {
        self.with(args, &ministack::shared().environment())
    }

    fn with(&self, args: &[&str], environment: &[(String, String)]) -> Said {
        self.any(&[["dataset"].as_slice(), args].concat(), environment)
    }

    /// Runs any command with the table in its settings.
    fn any(&self, args: &[&str], environment: &[(String, String)]) -> Said {
        let args = [["--profile", "staging"].as_slice(), args].concat();
        let mut command = self.place.command(&args);
        command.env_remove("AWS_PROFILE").env("USER", "ana");
        command.envs(environment.iter().map(|(k, v)| (k, v)));
        Said::of(&command.output().unwrap())
    }

    fn write(&self, id: &str, owner: &str, note: &str) {
        let text = document(id, note) + &format!("team: {{ name: {owner} }}\n");
        self.place.write(&format!("{id}.yaml"), text);
    }

    async fn keep(&self, item: &[(&str, AttributeValue)]) {
        let item = item.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
        let item: HashMap<String, AttributeValue> = item.collect();
        let call = self.client.put_item().table_name(&self.table);
        call.set_item(Some(item)).send().await.unwrap();
    }
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_lives_in_the_table_from_its_first_version_to_its_end() {
    let world = World::new("lifecycle").await;
    world.write("orders", "payments", "first");
    let apply = ["apply", "-f", "orders.yaml"];
    let dry = world
        .assay(&["apply", "-f", "orders.yaml", "--dry-run"])
        .ended(0);
    assert!(
        dry.out.contains("created") && dry.out.contains("the table lifecycle"),
        "{}",
        dry.out
    );
    assert!(
        world
            .assay(&["list"])
            .ended(0)
            .out
            .contains("No datasets in the table lifecycle")
    );
    for (note, word) in [
        ("first", "created"),
        ("first", "unchanged"),
        ("second", "changed"),
    ] {
        world.write("orders", "payments", note);
        let said = world.assay(&apply).ended(0);
        assert!(said.out.contains(word), "{}", said.out);
    }
    let list = world.assay(&["list", "-o", "json"]).ended(0).json();
    assert_eq!(list["items"][0]["file"], "dynamodb://lifecycle/orders");
    assert!(
        world
            .assay(&["get", "ord"])
            .ended(0)
            .out
            .contains("# second")
    );
    world.assay(&["retire", "orders"]).ended(0);
    let history = world.assay(&["history", "orders"]).ended(0);
    assert!(
        history.out.contains("retired") && history.out.contains("ana"),
        "{}",
        history.out
    );
    let history = world
        .assay(&["history", "orders", "-o", "json"])
        .ended(0)
        .json();
    assert_eq!(history["items"].as_array().unwrap().len(), 3);
    let first = world
        .assay(&["history", "orders", "--revision", "1"])
        .ended(0);
    assert!(first.out.contains("# first"), "{}", first.out);
    for args in [
        ["get", "nobody"].as_slice(),
        &["history", "nobody"],
        &["retire", "nobody"],
    ] {
        world.assay(args).ended(2);
    }
    // The folder of the settings without the profile was never touched.
    assert!(!world.place.path("datasets").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_or_means_something_else_is_refused() {
    let world = World::new("refusals").await;
    world.write("orders", "payments", "");
    world.assay(&["apply", "-f", "orders.yaml"]).ended(0);
    world.write("orders", "growth", "");
    let said = world.assay(&["apply", "-f", "orders.yaml"]).ended(2);
    assert!(said.err.contains("belongs to `payments`"), "{}", said.err);
    world
        .assay(&["apply", "-f", "orders.yaml", "--take-over"])
        .ended(0);

    let list = AttributeValue::L(vec![s("file:///elsewhere/")]);
    world
        .keep(&[("id", s("#owner/growth")), ("allow", list)])
        .await;
    world.write("clicks", "growth", "");
    let said = world.assay(&["apply", "-f", "clicks.yaml"]).ended(2);
    assert!(said.err.contains("file:///elsewhere/"), "{}", said.err);

    let relative = document("clicks", "").replace("/data/", "./");
    world.place.write("clicks.yaml", relative);
    let said = world.assay(&["apply", "-f", "clicks.yaml"]);
    assert!(
        said.err.contains("write its path in full"),
        "{}",
        said.all()
    );
    assert_ne!(said.code, 0);
    assert_eq!(
        world.assay(&["list", "-o", "json"]).ended(0).json()["summary"]["datasets"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_nonsense_is_shown_with_what_is_wrong_and_mended_by_applying() {
    let world = World::new("nonsense").await;
    world.write("good", "payments", "");
    world.assay(&["apply", "-f", "good.yaml"]).ended(0);
    world
        .keep(&[("id", s("orders")), ("document", s("by hand"))])
        .await;
    let said = world.assay(&["list"]).ended(0);
    assert!(said.out.contains("good"), "{}", said.out);
    assert!(
        said.out.contains("dynamodb://nonsense/orders  invalid"),
        "{}",
        said.out
    );
    assert!(said.out.contains("has to be B"), "{}", said.out);
    let said = world.assay(&["get", "orders"]);
    assert!(
        said.code != 0 && said.err.contains("has to be B"),
        "{}",
        said.all()
    );
    world.write("orders", "payments", "");
    let said = world.assay(&["apply", "-f", "orders.yaml"]).ended(0);
    assert!(said.out.contains("changed"), "{}", said.out);
    world.assay(&["get", "orders"]).ended(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_nobody_or_asks_in_the_wrong_place_is_told_what_to_do() {
    let world = World::new("identity").await;
    let without = |names: &[&str]| {
        let all = ministack::shared().environment().into_iter();
        all.filter(|(name, _)| !names.contains(&name.as_str()))
            .collect::<Vec<_>>()
    };
    let nobody = without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    let said = world.with(&["get", "orders"], &nobody);
    assert!(
        said.code != 0 && said.err.contains("aws sso login"),
        "{}",
        said.all()
    );
    let file = "[profile.staging.registry]\nurl = \"dynamodb://nowhere\"\n";
    world.place.write("assay.toml", file);
    let said = world.assay(&["get", "orders"]);
    assert!(
        said.err
            .contains("the name and the region of the table nowhere"),
        "{}",
        said.all()
    );
    let said = world
        .with(&["get", "orders"], &without(&["AWS_REGION"]))
        .ended(2);
    assert!(said.err.contains("no AWS region is known"), "{}", said.err);
}
