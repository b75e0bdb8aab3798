//! Names in the environment that nobody reads.
//!
//! Comes in: the names that a program knows, and the environment. Goes out: those names that look
//! like ours, are not known, and are close to one that is. It must never take a name for a mistake
//! that is not close to one of the program's own: other programs of the cluster, and those who test
//! them, have names of their own.

use clap::Command;

/// What all names begin with.
const PREFIX: &str = "ASSAY_";

/// The names of the environment that `command` reads.
#[must_use]
pub fn known(command: &Command) -> Vec<String> {
    let names = command.get_arguments().filter_map(clap::Arg::get_env);
    let own = names.map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(known))
        .collect()
}

/// A line for each name among `present` that is probably a misspelt one of `known`.
pub fn misspelt(known: &[String], present: impl Iterator<Item = String>) -> Vec<String> {
    let strange = present.filter(|name| name.starts_with(PREFIX) && !known.contains(name));
    let mut lines: Vec<String> = strange
        .filter_map(|name| {
            let near = nearest(known, &name)?;
            Some(format!(
                "the environment has {name}, which nobody reads: did you mean {near}?"
            ))
        })
        .collect();
    lines.sort();
    lines
}

/// The names of this process's environment.
pub fn present() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

fn nearest<'a>(known: &'a [String], name: &str) -> Option<&'a str> {
    let body = name.strip_prefix(PREFIX)?;
    // One slip in a short word, two in a long one: more makes another word.
    let slips = if body.len() < 8 { 1 } else { 2 };
    let near = known.iter().filter_map(|known| {
        let distance = strsim::osa_distance(known.strip_prefix(PREFIX)?, body);
        (distance <= slips).then_some((distance, known.as_str()))
    });
    near.min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(known: &[&str], present: &[&str]) -> Vec<String> {
        let owned = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        misspelt(&owned(known), owned(present).into_iter())
    }

    #[test]
    fn a_misspelt_name_is_told_with_the_one_that_was_meant() {
        let known = ["ASSAY_MANAGER_NAME", "ASSAY_MANAGER_LISTEN", "ASSAY_ETCD"];
        let told = lines(
            &known,
            &["ASSAY_MANGER_NAME", "ASSAY_ECTD", "ASSAY_ETCD", "HOME"],
        );
        assert_eq!(
            told,
            [
                "the environment has ASSAY_ECTD, which nobody reads: did you mean ASSAY_ETCD?",
                "the environment has ASSAY_MANGER_NAME, which nobody reads: did you mean ASSAY_MANAGER_NAME?",
            ]
        );
    }

    #[test]
    fn a_name_of_somebody_else_is_left_alone() {
        let known = ["ASSAY_LOG", "ASSAY_ETCD", "ASSAY_NODE_ID", "ASSAY_MANAGERS"];
        let others = [
            "ASSAY_LEAD",
            "ASSAY_SHARED",
            "ASSAY_PIN",
            "ASSAY_BENCH_NODE",
            "ASSAY_DRILL_SEED",
            "ASSAY_NODES_MIN",
            "ASSAY_MANAGER_NAME",
        ];
        assert_eq!(lines(&known, &others), Vec::<String>::new());
    }
}
