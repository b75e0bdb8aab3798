//! Real child processes and real poison: what a task does to its process stays there.
//!
//! This program is its own child: called with the hidden sub-command it serves tasks, and the tags
//! of a dataset say what it does instead of a scan. Otherwise it runs the tests below, one after
//! the other, each on a runtime of its own, and after each no process may be left.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod buckets;
#[path = "../cluster/mod.rs"]
mod cluster;
mod copies;
mod corrupt;
mod fixture;
mod hostile;
mod lanes;
mod mysql;
mod poison;
mod support;
mod whole;

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A test and its name.
macro_rules! tests {
    ($($module:ident :: $name:ident,)+) => {
        &[$((stringify!($name), || support::block_on($module::$name())),)+]
    };
}

const TESTS: &[(&str, fn())] = tests![
    poison::a_poisoned_task_is_a_crash_and_its_slot_serves_the_next_one,
    poison::an_endless_loop_is_killed_after_its_grace,
    poison::a_task_that_listens_is_stopped_and_its_child_stays,
    poison::processor_time_is_bounded_by_the_kernel_too,
    poison::a_panic_of_one_task_leaves_its_neighbour_at_work,
    poison::a_child_killed_from_outside_is_a_crash_at_once,
    poison::nonsense_is_a_crash_of_the_attempt,
    poison::what_a_library_prints_is_no_answer,
    lanes::a_warm_child_serves_task_after_task_at_little_cost,
    lanes::a_child_holds_nothing_of_its_node,
    lanes::a_suspect_runs_in_a_fresh_child_with_no_second_suspect_beside_it,
    lanes::a_program_of_another_version_is_refused,
    lanes::a_child_ends_with_the_pipe_of_its_node,
    lanes::a_look_that_crosses_the_end_of_a_task_is_no_word_about_the_next_one,
    lanes::a_caller_that_goes_away_takes_its_task_along,
    buckets::a_child_reads_a_bucket_without_a_further_thread,
    buckets::a_child_has_the_credentials_of_its_task_and_no_way_to_others,
    buckets::a_source_that_is_away_is_no_fault_of_the_task,
    mysql::a_child_reads_a_table_of_another_database_without_a_further_thread,
    copies::a_child_stores_a_copy_and_its_node_publishes_it,
    corrupt::a_parquet_file_cut_at_any_byte_fails_for_good_and_is_named,
    corrupt::a_flipped_byte_is_never_a_death_and_one_of_the_footer_never_a_wrong_value,
    hostile::a_broken_file_is_an_answer_or_an_error_that_names_it,
    whole::poison_is_quarantined_after_two_deaths_and_the_rest_of_the_run_stands,
    whole::what_loops_for_ever_is_quarantined_after_two_deaths,
    whole::a_killed_child_costs_one_attempt,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(place) = arguments
        .iter()
        .position(|a| a == assay_datanode::runner::child::SUBCOMMAND)
    {
        return fixture::child(arguments.get(place + 1).map(String::as_str));
    }
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let mut failed = Vec::new();
    for (name, test) in TESTS {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let began = Instant::now();
        let ended = std::panic::catch_unwind(|| {
            test();
            support::nobody_is_left(Duration::from_secs(5));
        });
        let word = if ended.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {word} ({:?})", began.elapsed());
        if ended.is_err() {
            failed.push(*name);
        }
    }
    println!("{} failed {failed:?}", failed.len());
    ExitCode::from(u8::from(!failed.is_empty()))
}
