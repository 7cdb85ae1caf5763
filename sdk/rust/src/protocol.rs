//! NSP/1, the protocol between a host and a node in another process: pure, no I/O in it.
//!
//! One JSON object on each line, in a JSON-RPC 2.0 envelope; docs/reference/protocol.md has the rules.
//! `frames` cuts bytes into frames, `node` is the node's end of a connection, `errors` is what an
//! error looks like on the wire, `blobs` is how a value by reference looks and how its file is read.

pub(crate) mod blobs;
pub(crate) mod errors;
pub(crate) mod frames;
pub(crate) mod node;

/// The version of the protocol that this SDK speaks.
pub const PROTOCOL_VERSION: i64 = 1;
/// What every node written with this SDK can do.
pub const FEATURES: [&str; 8] = ["blob", "cancel", "credit", "drain", "log", "ping", "progress", "stream"];
