//! The manager's decisions: events in, commands out.
