//! Places by their spelling and by the list, and addresses that nobody reaches.

use std::net::IpAddr;

use super::*;

fn bucket(path: &str) -> Bucket {
    Bucket {
        store: BucketStore::S3,
        name: "trips".to_owned(),
        path: path.to_owned(),
        region: None,
        endpoint: None,
        account: None,
        role: None,
        external_id: None,
    }
}

fn policy(allowed: &[&str]) -> Policy {
    let allowed = Some(allowed.iter().map(|p| (*p).to_owned()).collect());
    Policy::new(&Access {
        allowed,
        ..Access::default()
    })
    .unwrap()
}

fn of_user() -> Policy {
    Policy::new(&Access::default()).unwrap()
}

fn orders(host: &str, database: &str) -> Location {
    Location::Database(Database {
        kind: DatabaseKind::Postgres,
        host: host.to_owned(),
        port: 5432,
        database: database.to_owned(),
        schema: "public".to_owned(),
        table: "orders".to_owned(),
        version: assay_model::source::VersionBy::default(),
    })
}

#[test]
fn a_list_gives_leave_by_whole_parts() {
    let policy = policy(&["s3://trips/yellow/", "s3://other", "postgres://db/shop"]);
    let may = |path: &str| policy.check(&Location::Bucket(bucket(path))).is_ok();
    for path in [
        "yellow",
        "yellow/",
        "yellow/2024/*.parquet",
        "yellow/{date}",
    ] {
        assert!(may(path), "{path}");
    }
    for path in ["", "yellow2", "yello*", "{x}/yellow", "green/yellow/"] {
        assert!(!may(path), "{path}");
    }
    assert!(policy.check(&orders("DB", "shop")).is_ok());
    for (host, database) in [("db", "shop2"), ("db2", "shop"), ("db.", "shop")] {
        assert!(
            policy.check(&orders(host, database)).is_err(),
            "{host} {database}"
        );
    }
    let none = policy_of_nothing();
    let told = none.check(&Location::Bucket(bucket("x"))).unwrap_err();
    assert_eq!(
        told.to_string(),
        "s3://trips/x: refused: this node may read only files: no place beyond them is in its \
         list; have the node's operator add the place to `[sources] allow`"
    );
    let local = Location::Local {
        path: "/data/x".to_owned(),
    };
    assert!(none.check(&local).is_ok());
}

#[test]
fn a_table_of_mysql_is_listed_with_its_database_and_is_none_of_postgres() {
    let of = |table: &str, kind| {
        Location::Database(Database {
            kind,
            host: "db".to_owned(),
            port: 3306,
            database: "shop".to_owned(),
            schema: String::new(),
            table: table.to_owned(),
            version: assay_model::source::VersionBy::Checksum,
        })
    };
    let (mysql, postgres) = (DatabaseKind::Mysql, DatabaseKind::Postgres);
    let may = |places: &[&str], table, kind| policy(places).check(&of(table, kind)).is_ok();
    for place in [
        "mysql://db",
        "mysql://DB:3306/shop",
        "mysql://db/shop/orders",
    ] {
        assert!(may(&[place], "orders", mysql), "{place}");
        assert!(!may(&[place], "orders", postgres), "{place}");
    }
    assert!(!may(&["mysql://db/shop/orders"], "orders2", mysql));
    assert!(!may(&["mysql://db:3307/shop"], "orders", mysql));
    assert!(!may(&["postgres://db:3306/shop"], "orders", mysql));
}

fn policy_of_nothing() -> Policy {
    policy(&[])
}

#[test]
fn an_endpoint_of_its_own_is_taken_only_where_the_list_names_it_for_that_bucket() {
    let at = |endpoint: Option<&str>, name: &str| {
        let mut wanted = bucket("yellow/");
        wanted.name = name.to_owned();
        wanted.endpoint = endpoint.map(str::to_owned);
        Location::Bucket(wanted)
    };
    let own = Some("http://127.0.0.1:9000");
    let location = at(own, "trips");
    let without = policy(&["s3://trips/"]);
    assert!(without.check(&location).is_err());
    assert!(without.address("127.0.0.1", 9000).is_err());
    let with = policy(&["s3://trips/ at http://127.0.0.1:9000/", "s3://public/"]);
    let allowed = with.check(&location).unwrap();
    assert_eq!(
        allowed.endpoint.unwrap().to_string(),
        "http://127.0.0.1:9000"
    );
    // Neither the other's bucket here, nor this one elsewhere.
    for (endpoint, name, may) in [
        (own, "public", false),
        (None, "trips", false),
        (Some("https://127.0.0.1:9000"), "trips", false),
        (Some("http://127.0.0.1:9001"), "trips", false),
        (None, "public", true),
    ] {
        assert_eq!(
            with.check(&at(endpoint, name)).is_ok(),
            may,
            "{endpoint:?} {name}"
        );
    }
    assert!(with.address("127.0.0.1", 9000).is_ok());
    assert!(with.address("127.0.0.1", 9001).is_err());
    assert!(of_user().check(&location).is_ok());
    let told = Policy::is_place("https://127.0.0.1:9000").unwrap_err();
    assert!(told.contains("together with the bucket"), "{told}");
}

#[test]
fn addresses_that_hand_out_credentials_are_never_reached() {
    for host in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "169.254.43518",
        "0xa9.0xfe.0xa9.0xfe",
        "169.254.169.0xfe",
        "[169.254.169.254",
        "localhost%00.com",
        "127.1",
        "0x7f.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "",
        "a b",
        "user@host",
        "host/path",
        "host?x",
        "host#x",
    ] {
        for policy in [of_user(), policy(&[&format!("postgres://db/{}", "x")])] {
            let got = policy.address(host, 80);
            assert!(got.is_err(), "{host}: {got:?}");
        }
    }
}

#[test]
fn loopback_and_private_addresses_are_the_users_or_the_operators_to_name() {
    let listed = policy(&[
        "postgres://127.0.0.1:5432/shop",
        "postgres://localhost/shop",
    ]);
    for (host, port, may) in [
        ("127.0.0.1", 5432, true),
        ("localhost", 5432, true),
        ("127.0.0.1", 5433, false),
        ("127.0.0.2", 5432, false),
        ("::1", 5432, false),
        ("10.0.0.1", 5432, false),
        ("172.16.0.1", 5432, false),
        ("192.168.1.1", 5432, false),
        ("100.64.0.1", 5432, false),
        ("fc00::1", 5432, false),
        ("::ffff:10.0.0.1", 5432, false),
        ("8.8.8.8", 443, true),
    ] {
        assert_eq!(listed.address(host, port).is_ok(), may, "{host}");
        assert!(of_user().address(host, port).is_ok(), "{host}");
    }
    let provider: IpAddr = "10.1.2.3".parse().unwrap();
    let s3 = "trips.s3.eu-west-1.amazonaws.com";
    assert!(listed.judge(s3, 443, provider).is_ok());
    assert!(
        listed
            .judge("amazonaws.com.evil.org", 443, provider)
            .is_err()
    );
    let loopback: IpAddr = "127.0.0.1".parse().unwrap();
    assert!(listed.judge(s3, 443, loopback).is_err());
}

#[test]
fn a_list_with_what_is_no_place_is_refused_as_a_whole() {
    for place in [
        "trips",
        "s3://",
        "s3://TRIPS/",
        "s3://trips/../",
        "s3://trips/a*",
        "s3://trips/%2e%2e/",
        "ftp://x/",
        "http://user@host/",
        "https://host/path",
        "https://host",
        "s3://trips/ at host",
        "s3://trips/ at http://user@host",
        "s3://trips/ at ",
        "http://0x7f.1/",
        "postgres://:5432/",
        "postgres://h:99999/",
        "postgres://h/a/b/c",
        "file://data",
        "file:///data/../etc",
    ] {
        let access = Access {
            allowed: Some(vec![place.to_owned()]),
            ..Access::default()
        };
        assert!(Policy::new(&access).is_err(), "{place}");
        assert!(Policy::is_place(place).is_err(), "{place}");
    }
}

#[test]
fn a_container_is_allowed_by_its_account_and_never_by_its_name_alone() {
    let policy = |places: &[&str]| {
        let access = Access {
            allowed: Some(places.iter().map(|p| (*p).to_owned()).collect()),
            ..Access::default()
        };
        Policy::new(&access).unwrap()
    };
    let container = |account: Option<&str>| {
        Location::Bucket(Bucket {
            store: BucketStore::Azure,
            name: "data".to_owned(),
            path: "in/".to_owned(),
            region: None,
            endpoint: None,
            account: account.map(str::to_owned),
            role: None,
            external_id: None,
        })
    };
    let lake = policy(&["az://lake/data/"]);
    assert!(lake.check(&container(Some("lake"))).is_ok());
    assert!(lake.check(&container(Some("finance"))).is_err());
    assert!(lake.check(&container(None)).is_err());
    assert!(
        policy(&["az://data/"])
            .check(&container(Some("finance")))
            .is_err()
    );
    assert!(
        policy(&["az://finance/"])
            .check(&container(Some("finance")))
            .is_ok()
    );
}
