//! Where dataset definitions are kept: the port and its adapters.
