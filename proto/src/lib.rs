//! The wire contracts and their translation to the model.
//!
//! Comes in: messages of clients, nodes and managers, hostile until proven otherwise. Goes out:
//! values of the model, or a [`WireError`] that names the field and the rule it breaks. It must
//! never panic on a message, accept an unbounded text or list, or let a number that is not finite
//! into a decision.
//!
//! [`v1`] holds the generated messages, clients and servers; [`convert`] the translation;
//! [`limits`] the bounds and deadlines that both ends use; [`link`] how a channel is opened.

pub mod convert;
pub mod limits;
pub mod link;

/// The generated contract, version 1.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    clippy::uninlined_format_args
)]
pub mod v1 {
    tonic::include_proto!("assay.v1");
}

/// The descriptors of the contract, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/assay_v1.bin"));

pub use convert::WireError;
