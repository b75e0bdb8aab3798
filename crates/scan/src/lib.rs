//! Sources to metric states: discovery, batches, and the fused scan.
