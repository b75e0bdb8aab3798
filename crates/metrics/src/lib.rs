//! Mergeable metric states: exact sums, moments, sketches, with a versioned encoding.
