//! Tests that cross crates: clusters, faults, ground truth, tidiness.
