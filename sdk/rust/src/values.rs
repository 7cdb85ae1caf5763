//! What may travel between nodes, and the one way in and out of bytes.
//!
//! A value is JSON as every language reads it alike: UTF-8, no NaN, no lone surrogates, integers
//! within ±(2^53 - 1), at most 64 containers deep. `decode` reads it without ever rounding an integer
//! (a plain JSON reader turns one of 65 bits into a float); `encode` writes anything that serde can
//! serialize, or says what in it cannot travel, and where.

mod decoder;
mod encoder;

use std::fmt;

pub(crate) use decoder::read;
pub use decoder::{decode, depth_fault};
pub use encoder::encode;

/// The most containers that a value may hold one in the other.
pub const MAX_DEPTH: usize = 64;
/// The largest integer that every language holds exactly; the smallest is its negative.
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Why a text is no value, or a value cannot travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValue {
    /// Where, as a JSON pointer; empty for the value itself.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// The rule that it breaks: `syntax`, `encoding`, `depth`, `integer`, `number`, `nan`,
    /// `surrogate`, `key` or `type`.
    pub kind: &'static str,
}

impl InvalidValue {
    pub(crate) fn new(pointer: String, message: impl Into<String>, kind: &'static str) -> Self {
        InvalidValue { pointer, message: message.into(), kind }
    }
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{} (at {pointer})", self.message),
        }
    }
}

impl std::error::Error for InvalidValue {}

/// One step from a container to what it holds.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    Index(usize),
    Key(String),
}

pub(crate) fn pointer_of(path: &[Segment]) -> String {
    let mut found = String::new();
    for segment in path {
        found.push('/');
        match segment {
            Segment::Index(index) => found.push_str(&index.to_string()),
            Segment::Key(key) => found.push_str(&key.replace('~', "~0").replace('/', "~1")),
        }
    }
    found
}

pub(crate) fn too_deep() -> String {
    format!("the value is more than {MAX_DEPTH} levels deep")
}

pub(crate) fn too_large(shown: &str) -> String {
    format!("the integer {shown} is beyond ±(2^53 - 1), where languages differ; send it as text")
}
