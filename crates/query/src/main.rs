//! The program that answers the owner's SQL, as a child of whoever runs tasks.
//!
//! It takes tasks on its standard input and answers on its standard output, under the limits that
//! its node sets. It writes no file. It connects to the sources that its query names, where they are
//! beyond this machine, and holds their secrets for as long as it lives, which is one query.

use std::process::ExitCode;

use assay_datanode::runner::child::SUBCOMMAND;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(SUBCOMMAND) => assay_query::serve::serve(),
        Some("--version") => {
            println!("assay-query {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!(
                "assay-query answers the SQL of dataset files. It is started by assay and \
                 assay-datanode, which look for it beside themselves; there is nothing to call."
            );
            ExitCode::from(2)
        }
    }
}
