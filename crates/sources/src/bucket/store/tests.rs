//! Which store an address names, and what logs in there.

use super::*;
use assay_scan::reach::Access;

fn bucket(store: BucketStore) -> Bucket {
    Bucket {
        store,
        name: "trips".to_owned(),
        path: String::new(),
        region: None,
        endpoint: None,
        account: (store == BucketStore::Azure).then(|| "lake".to_owned()),
        role: None,
        external_id: None,
    }
}

fn of(bucket: &Bucket, secret: &str) -> Result<Client, String> {
    let policy = Policy::new(&Access::default()).map_err(|error| error.to_string())?;
    let who = Who {
        secret: Some(&Secret::new(secret)),
        identity: &Identity::Nobody,
        external_id: None,
    };
    client(bucket, "", who, None, &policy)
}

#[test]
fn a_task_asks_as_whom_it_was_given_and_looks_for_nobody_itself() {
    use BucketStore::{Azure, Gcs, S3};
    let policy = Policy::new(&Access::default()).unwrap();
    let asked = |bucket: &Bucket, identity: &Identity, secret: Option<&Secret>| {
        let who = Who {
            secret,
            identity,
            external_id: None,
        };
        client(bucket, "", who, None, &policy).map(|made| made.identity)
    };
    let key = r#"{"access_key_id":"ASIA","secret_access_key":"s","session_token":"t"}"#;
    for (store, given) in [
        (S3, key),
        (Gcs, r#"{"bearer":"t"}"#),
        (Azure, r#"{"bearer":"t"}"#),
    ] {
        let own = bucket(store);
        let told = asked(&own, &Identity::Nobody, None).unwrap_err();
        assert!(
            told.contains("no identity of the machine"),
            "{store}: {told}"
        );
        let given = Identity::Given(Secret::new(given));
        assert_eq!(
            asked(&own, &given, None).unwrap(),
            "this machine's own identity"
        );
        let bad = Identity::Given(Secret::new("canary"));
        let told = asked(&own, &bad, None).unwrap_err();
        assert!(!told.contains("canary"), "{told}");
    }
    let mut with_role = bucket(S3);
    with_role.role = Some("arn:aws:iam::123456789012:role/x".to_owned());
    let secret = Secret::new("AKIA:secret");
    assert!(asked(&with_role, &Identity::Nobody, Some(&secret)).is_err());
    let given = Identity::Given(Secret::new(key));
    let called = asked(&with_role, &given, Some(&secret)).unwrap();
    assert_eq!(called, "the role arn:aws:iam::123456789012:role/x");
}

#[test]
fn each_kind_of_store_takes_its_own_secrets_and_shows_none() {
    use BucketStore::{Azure, Gcs, S3};
    for (store, secret, who) in [
        (S3, "AKIA:secret", "the given key"),
        (S3, "anonymous", "an anonymous caller"),
        (Gcs, "anonymous", "an anonymous caller"),
        (Azure, "anonymous", "an anonymous caller"),
        (Azure, "a2V5", "the given key of the account"),
        (
            Azure,
            "?sv=2024-01-01&sig=abc",
            "the given shared access signature",
        ),
        (
            Azure,
            r#"{"tenant_id":"t","client_id":"c","client_secret":"s"}"#,
            "the given application",
        ),
    ] {
        let made = of(&bucket(store), secret).unwrap_or_else(|e| panic!("{store}: {e}"));
        assert_eq!(made.identity, who);
    }
    for (store, secret) in [
        (S3, "canary"),
        (Gcs, "canary"),
        (Gcs, r#"{"private_key":"canary"}"#),
        (Azure, "canary!!"),
        (Azure, r#"{"client_secret":"canary"}"#),
    ] {
        let told = of(&bucket(store), secret).expect_err("no secret");
        assert!(!told.contains("canary"), "{told}");
    }
}

#[test]
fn what_a_kind_of_store_does_not_have_is_told() {
    let mut nameless = bucket(BucketStore::Azure);
    nameless.account = None;
    assert!(of(&nameless, "a2V5").is_err());
    let mut role = bucket(BucketStore::Gcs);
    role.role = Some("arn:aws:iam::123456789012:role/x".to_owned());
    assert!(of(&role, "anonymous").is_err());
}
