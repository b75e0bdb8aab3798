//! How the server stands, as it says itself.
//!
//! Comes in: a question of an operator. Goes out: its version, the schema, and how far its copies
//! are behind. It must never hold anything up: it is asked on the connections of readers.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{PostgresStore, errors};
use crate::error::StoreError;
use crate::port::{Health, Replica};

/// A standby says nothing of copies, and a role that may not see other sessions sees no lag.
const REPLICAS: &str = "SELECT coalesce(application_name, '') AS name, coalesce(state, '') AS state, \
     CASE WHEN pg_is_in_recovery() THEN NULL \
          ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint END AS lag_bytes, \
     (extract(epoch FROM replay_lag) * 1000)::bigint AS lag_ms \
     FROM pg_stat_replication ORDER BY 1 LIMIT 20";

impl PostgresStore {
    pub(super) async fn ask_health(&self) -> Result<Health, StoreError> {
        let place = &self.inner.place;
        let failed = |error| errors::of_read(place, error);
        let readers = &self.inner.readers;
        let query = "SELECT current_setting('server_version'), \
             (SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success), \
             (SELECT reason || ', since ' || to_char(since AT TIME ZONE 'UTC', \
                     'YYYY-MM-DD HH24:MI:SS') || 'Z' FROM outbox_hold)";
        let (server, schema, outbox_held): (String, i64, Option<String>) = sqlx::query_as(query)
            .fetch_one(readers)
            .await
            .map_err(failed)?;
        let rows = sqlx::query(REPLICAS).fetch_all(readers).await;
        let replicas: Result<Vec<Replica>, _> = rows.map_err(failed)?.iter().map(replica).collect();
        Ok(Health {
            place: place.clone(),
            server: format!("PostgreSQL {server}"),
            schema: u64::try_from(schema).unwrap_or_default(),
            replicas: replicas.map_err(failed)?,
            outbox_held,
        })
    }
}

fn replica(row: &PgRow) -> Result<Replica, sqlx::Error> {
    let unsigned = |n: Option<i64>| n.map(|n| u64::try_from(n).unwrap_or_default());
    Ok(Replica {
        name: row.try_get("name")?,
        state: row.try_get("state")?,
        lag_bytes: unsigned(row.try_get("lag_bytes")?),
        lag_ms: unsigned(row.try_get("lag_ms")?),
    })
}
