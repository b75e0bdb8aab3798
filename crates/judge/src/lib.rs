//! Limits learned from history and the evaluation of checks against them.
