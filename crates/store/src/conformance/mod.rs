//! The conformance suite: what every store promises, one case per promise.
//!
//! Comes in: an empty store. Goes out: nothing, or a panic that says which promise is broken. A case
//! must never look behind the ports.
//!
//! An adapter runs all cases with [`conformance_suite!`](crate::conformance_suite).

pub mod again;
pub mod alerts;
pub mod around;
pub mod audit;
pub mod causes;
pub mod copies;
pub mod feedback;
pub mod fixtures;
pub mod fleet;
pub mod held;
pub mod leader;
pub mod many;
pub mod moves;
pub mod newest;
pub mod news;
pub mod nodes;
pub mod notices;
pub mod races;
pub mod results;
pub mod runs;
pub mod series;
pub mod size;
pub mod standing;

use crate::news::News;
use crate::notices::NoticeStore;
use crate::port::{JobStore, MetricStore};

/// All ports at once.
pub trait Store: JobStore + MetricStore + NoticeStore + News {}

impl<T: JobStore + MetricStore + NoticeStore + News> Store for T {}

/// Makes one `#[tokio::test]` per case. `$open` is an async function that gives an empty store and
/// something to be kept while the store is used: `async fn() -> (Arc<dyn Store>, Guard)`.
#[macro_export]
macro_rules! conformance_suite {
    ($open:expr) => {
        $crate::conformance_suite! { @cases $open;
            leader: epochs_grow_one_by_one,
            leader: a_stale_epoch_is_refused_and_nothing_is_written,
            leader: a_stale_epoch_cannot_load,
            leader: a_stale_epoch_cannot_register_a_node,
            leader: a_stale_epoch_cannot_mark_messages_as_sent,
            leader: a_fenced_change_leaves_the_others_standing,
            leader: an_error_leaves_nothing_of_its_commit,
            leader: a_new_leader_loads_all_that_is_unfinished,
            leader: a_plan_that_was_not_applied_is_there,
            leader: ended_runs_are_not_loaded,
            leader: lives_that_are_over_are_not_loaded,
            leader: a_scale_event_is_kept,
            leader: a_commit_of_nothing_answers_nothing,
            fleet: samples_are_kept_for_as_long_as_they_are_wanted,
            fleet: a_change_of_the_fleet_keeps_its_phases,
            fleet: a_stale_epoch_notes_nothing_of_the_fleet,
            fleet: the_steps_of_a_node_are_listed,
            runs: a_repeated_submission_answers_already,
            runs: a_run_of_an_unknown_definition_is_refused,
            runs: a_definition_is_kept_once,
            runs: the_definition_that_was_put_last_is_the_datasets,
            runs: a_plan_is_made_once,
            runs: an_empty_plan_is_a_plan,
            runs: a_plan_of_an_unknown_run_is_fenced,
            runs: a_plan_of_another_run_is_refused,
            runs: an_ended_run_never_moves,
            runs: a_run_ends_after_its_tasks,
            runs: what_judges_is_assigned_after_what_it_needs,
            runs: a_ready_task_is_ended_once,
            runs: a_task_at_work_is_not_ended_without_its_attempt,
            runs: a_retried_run_has_fresh_attempts_to_spend,
            runs: a_run_at_work_is_not_retried,
            runs: a_run_that_lost_nothing_is_not_retried,
            runs: what_runs_came_to_is_counted,
            runs: runs_are_listed_newest_first,
            runs: the_newest_run_of_each_dataset_is_found,
            runs: a_run_is_found_by_its_id,
            runs: tasks_keep_all_they_were_planned_with,
            held: a_leader_holds_what_is_at_work_and_the_first_of_what_waits,
            held: more_tasks_come_in_the_order_of_the_plan,
            held: a_word_that_is_not_true_is_found_out,
            held: a_long_plan_is_kept_in_pages,
            held: a_plan_is_written_part_by_part,
            held: a_run_with_a_part_of_its_plan_does_not_succeed,
            held: what_has_no_verdict_is_counted,
            held: the_first_of_some_that_did_not_succeed_is_told,
            nodes: registering_bumps_the_incarnation,
            nodes: registering_releases_what_earlier_lives_held,
            nodes: a_dead_life_stays_dead,
            nodes: an_older_life_cannot_be_moved,
            nodes: a_repeated_move_answers_already,
            nodes: nodes_are_listed_with_their_reasons,
            nodes: only_a_live_node_is_given_tasks,
            nodes: a_task_is_assigned_once,
            nodes: a_repeated_assignment_answers_already,
            nodes: a_task_is_not_assigned_before_its_time,
            nodes: the_attempt_must_be_the_next_one,
            nodes: starting_gives_all_that_a_node_needs,
            nodes: starting_again_gives_the_same,
            nodes: a_fenced_start_gives_nothing,
            nodes: a_completion_is_repeatable,
            nodes: a_zombie_is_fenced,
            nodes: a_token_that_was_never_given_is_fenced,
            nodes: a_completion_without_a_start_stands,
            nodes: a_result_of_another_kind_is_refused,
            nodes: a_charged_end_counts_and_a_drain_does_not,
            nodes: a_crash_is_counted,
            nodes: a_repeated_end_answers_already,
            nodes: an_attempt_does_not_end_as_a_success,
            nodes: a_cancelled_attempt_cannot_complete,
            nodes: attempts_are_listed_with_their_ends,
            copies: a_second_copy_is_given_once,
            copies: a_second_copy_is_refused_where_it_is_no_help,
            copies: a_second_copy_starts_like_the_first,
            copies: the_first_of_two_copies_wins,
            copies: the_second_of_two_copies_is_fenced,
            copies: a_copy_that_ends_leaves_the_other_at_work,
            copies: the_attempt_after_two_copies_is_the_next_one,
            copies: an_end_of_the_task_ends_both_copies,
            copies: a_new_life_gives_back_its_copy_only,
            copies: second_copies_are_loaded,
            copies: a_charge_is_taken_back_once,
            copies: other_charges_stand,
            results: states_come_back_in_the_order_of_the_tasks,
            results: a_batch_of_many_partitions_keeps_each_state,
            results: states_of_unfinished_tasks_are_not_read,
            results: a_merged_state_is_not_read_again,
            results: a_discovery_fills_the_ledger,
            results: the_ledger_follows_a_partition_through_its_life,
            results: a_missing_partition_is_judged_and_may_come_later,
            results: a_second_revision_supersedes_the_first,
            results: a_late_verdict_on_an_older_version_is_not_in_force,
            results: history_is_in_order_and_ends_before_what_is_asked,
            results: history_takes_the_newest_when_it_is_bounded,
            results: history_keeps_every_digit_and_every_bit,
            results: the_error_of_an_estimate_is_kept,
            results: verdicts_are_in_the_order_of_the_partitions,
            results: counts_that_are_not_those_of_the_results_are_refused,
            results: a_verdict_on_another_version_is_refused,
            results: results_are_found_by_run_partition_and_check,
            results: a_message_is_told_once,
            results: an_incident_is_updated_and_not_doubled,
            results: open_incidents_come_first,
            results: datasets_do_not_see_one_another,
            series: a_series_is_read_without_another,
            series: an_incident_is_of_a_series,
            series: a_look_may_correct_the_series,
            around: a_stretch_of_the_ledger_is_of_one_series,
            around: partitions_are_found_by_their_keys,
            around: what_was_judged_before_a_place_comes_together,
            around: a_partition_without_values_is_among_what_was_judged,
            around: what_lies_behind_a_place_is_told,
            around: broken_checks_are_found_by_their_partitions,
            around: one_metric_is_read_without_the_others,
            many: a_task_leaves_a_verdict_on_each_of_its_partitions,
            many: verdicts_that_are_not_those_of_the_task_are_refused_together,
            many: a_retry_judges_again_what_was_judged_together,
            standing: a_look_answers_for_what_still_stands_elsewhere,
            standing: named_partitions_are_answered_for_and_no_others,
            standing: a_failure_stands_until_its_partition_is_judged_again,
            standing: what_was_cleared_away_does_not_stand,
            standing: findings_are_read_without_what_is_good,
            standing: a_bound_on_the_results_loses_no_count,
            news: what_changes_what_is_known_of_partitions_is_told,
            news: what_is_not_committed_is_not_told,
            again: a_retry_judges_again_what_could_not_be_measured,
            again: what_was_measured_is_kept_until_the_rest_is,
            again: a_retried_run_takes_its_turn,
            again: an_earlier_definition_does_not_replace_a_later_one,
            again: an_incident_that_comes_back_is_opened_anew,
            again: an_end_is_not_told_where_the_beginning_was_not,
            notices: a_decision_is_kept_whole,
            causes: open_causes_are_counted,
            causes: what_is_told_of_a_cause_comes_in_its_order,
            alerts: an_alert_is_kept_until_it_is_old,
            notices: a_stale_epoch_tells_nobody,
            notices: a_repeated_delivery_is_the_same,
            notices: one_attempt_of_each_subscription_at_a_time,
            notices: a_claim_is_bounded,
            notices: what_a_leader_left_is_taken_up,
            notices: a_paused_subscription_waits_and_a_removed_one_ends,
            notices: the_dead_are_sent_again_and_the_old_forgotten,
            notices: strays_and_ghosts_are_found,
            notices: a_persons_word_holds_for_the_checks,
            notices: a_finished_partition_is_not_kept,
            notices: subscriptions_are_those_of_the_dataset_and_of_all,
            newest: the_newest_message_to_each_is_found,
            size: an_empty_store_has_no_rows,
            size: what_is_written_is_counted,
            feedback: an_answer_is_kept_with_all_that_was_said,
            feedback: a_repeated_answer_is_kept_once,
            feedback: an_id_is_of_one_answer,
            feedback: an_answer_is_withdrawn_once_and_stays_on_record,
            feedback: answers_of_another_dataset_are_left_alone,
            feedback: a_stale_epoch_neither_answers_nor_withdraws,
            feedback: what_is_in_force_comes_first,
            feedback: one_answer_too_many_is_refused,
            moves: moves_are_told_in_order_from_the_beginning_of_a_listener,
            moves: a_stale_epoch_tells_nothing,
            races: one_of_many_assignments_wins,
            races: one_of_many_completions_wins,
            races: a_completion_and_an_end_exclude_each_other,
            races: leaders_that_are_elected_at_once_get_different_epochs,
            races: one_of_many_plans_wins,
            races: callers_that_go_away_leave_a_working_store,
        }
    };
    (@cases $open:expr; $($module:ident: $case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (store, _keep) = $open().await;
                $crate::conformance::$module::$case(store).await;
            }
        )+
    };
}
