//! The audit log of the Postgres adapter: every promise of the suite, what the role of a gateway may
//! and may not, and that an alteration is found.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pg;

use std::sync::Arc;

use assay_store::audit::{Audit, Chain, verify};
use assay_store::conformance::audit::{fill, record};
use assay_store::{AuditStage, PostgresOptions, PostgresStore};
use assay_test_servers::postgres::shared;

async fn open() -> (Arc<dyn Audit>, ()) {
    (Arc::new(pg::store().await), ())
}

assay_store::audit_suite!(open);

#[tokio::test]
async fn the_role_of_a_gateway_appends_and_reads_and_nothing_else() {
    let url = pg::database().await;
    let role = format!("gateway_{}", std::process::id());
    shared().sql(&url, &format!("CREATE ROLE {role} LOGIN"));
    // A role that is not there yet does not keep a manager from its work.
    for of in ["nobody_of_that_name", &role] {
        let mut options = PostgresOptions::new(&url);
        options.gateway_role = Some(of.to_owned());
        PostgresStore::connect(options).await.unwrap();
    }
    let (scheme, rest) = url.split_once("://").unwrap();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let mut options = PostgresOptions::new(format!("{scheme}://{role}@{place}"));
    options.migrate = false;
    let gateway = PostgresStore::connect(options).await.unwrap();
    fill(&gateway, 3).await;
    assert!(matches!(
        verify(&gateway, None).await.unwrap(),
        Chain::Whole(head) if head.seq == 3
    ));
    for statement in [
        "UPDATE audit_log SET who = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log SELECT * FROM audit_log",
        "UPDATE audit_head SET seq = 0",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "DROP TABLE audit_log",
        "CREATE OR REPLACE FUNCTION audit_word(word text) RETURNS text LANGUAGE sql AS $$ SELECT word $$",
        "SELECT let_gateway_in('postgres')",
        "SELECT settle_notices(0, '{}')",
        "DELETE FROM run",
        "UPDATE leader_epoch SET epoch = 0",
    ] {
        // In the words of the server: it may not.
        let attempt = format!(
            "SET ROLE {role}; DO $try$ BEGIN EXECUTE $q${statement}$q$; RAISE 'it was done'; \
             EXCEPTION WHEN insufficient_privilege THEN NULL; END $try$"
        );
        shared().sql(&url, &attempt);
    }
    let may = shared().sql(
        &url,
        &format!(
            "SELECT string_agg(proname, ' ') FROM pg_proc WHERE prosecdef \
             AND pronamespace = 'public'::regnamespace \
             AND has_function_privilege('{role}', oid, 'EXECUTE')"
        ),
    );
    assert_eq!(may.trim(), "append_audit");
    shared().sql(&url, &format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn nobody_appends_who_was_not_told_so() {
    let url = pg::database().await;
    let role = format!("stranger_{}", std::process::id());
    shared().sql(
        &url,
        &format!(
            "CREATE ROLE {role}; SET ROLE {role}; DO $try$ BEGIN \
             PERFORM append_audit(gen_random_uuid(), 'done', 'me', '', 'x', '', ''); \
             RAISE 'it was done'; EXCEPTION WHEN insufficient_privilege THEN NULL; END $try$; \
             RESET ROLE; DROP ROLE {role}"
        ),
    );
    assert_eq!(pg::connect(&url).await.head().await.unwrap().seq, 0);
}

#[tokio::test]
async fn an_alteration_is_found_where_it_is() {
    for (seq, statement) in [
        (2, "UPDATE audit_log SET who = 'tok_9' WHERE seq = 2"),
        (
            2,
            "UPDATE audit_log SET at = at + interval '1 microsecond' WHERE seq = 2",
        ),
        (2, "DELETE FROM audit_log WHERE seq = 2"),
        (3, "DELETE FROM audit_log WHERE seq = 3"),
    ] {
        let url = pg::database().await;
        let store = pg::connect(&url).await;
        fill(&store, 3).await;
        let forged = format!("ALTER TABLE audit_log DISABLE TRIGGER ALL; {statement}");
        shared().sql(&url, &forged);
        let found = verify(&store, None).await.unwrap();
        let place = match found {
            Chain::Broken { seq, .. } => seq,
            Chain::Whole(_) => 0,
        };
        assert_eq!(place, seq, "{statement}");
    }
}

#[tokio::test]
async fn the_log_refuses_changes_also_to_its_owner() {
    let url = pg::database().await;
    let store = pg::connect(&url).await;
    store.append(&record(1, AuditStage::Asked)).await.unwrap();
    for statement in [
        "DELETE FROM audit_log",
        "UPDATE audit_log SET who = 'x'",
        "TRUNCATE audit_log",
    ] {
        let refused = format!(
            "DO $$ BEGIN {statement}; RAISE 'done'; EXCEPTION WHEN raise_exception THEN \
             IF sqlerrm NOT LIKE '%append-only%' THEN RAISE 'not refused'; END IF; END $$"
        );
        shared().sql(&url, &refused);
    }
    assert_eq!(store.head().await.unwrap().seq, 1);
}
