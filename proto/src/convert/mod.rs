//! Wire ↔ model. Towards the wire nothing can fail; towards the model everything is checked.

mod bounds;
mod cluster;
mod feedback;
mod ids;
mod metric;
mod node;
mod notice;
mod run;

#[cfg(test)]
mod tests;

pub use bounds::{
    WireError, finite, list, name, opt_text, opt_time, present, text, time, time_of, word,
};
pub use cluster::definition;
pub use feedback::{backtest, backtest_of, feedback, feedback_id, feedback_of};
pub use ids::{dataset_id, run_id, token, token_of};
pub use metric::{
    check_result, counts, counts_of, incident, incident_of, key, key_of, ledger_entry,
    ledger_entry_of, limits, limits_of, partition, partition_of, result_of, value, value_of,
};
pub use node::{NodeSays, failure, hello_of, load_of, node_says};
pub use notice::{
    cause_event_of, cause_of, delivery_of, new_subscription, notice_id, subscription_of,
};
pub use run::{run, run_of, selection, selection_of};
