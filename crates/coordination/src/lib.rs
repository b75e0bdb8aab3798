//! Leadership, node leases and load: the port and its adapters.
