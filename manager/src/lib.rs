//! Drives the manager's core: store, node streams, clients.
