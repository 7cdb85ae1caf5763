//! Write a nodeling node in Rust: a function from inputs to an output, which the runtime keeps warm and
//! calls as often as it likes, from several threads where the manifest allows it.
//!
//! ```no_run
//! use nodeling::{Context, Error};
//! use serde_json::{json, Value};
//!
//! fn handle(ctx: &Context, inputs: Value) -> Result<Value, Error> {
//!     let text = inputs["text"].as_str().ok_or_else(|| Error::new("there is no text"))?;
//!     ctx.info("counting");
//!     Ok(json!({"words": text.split_whitespace().count()}))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     nodeling::run_fn(handle)
//! }
//! ```
//!
//! Whatever the handler prints is a log line; the protocol has a channel of its own. A handler that fails,
//! panics or returns what is no JSON fails its call alone. [`Context`] has the rest: cancel and deadline,
//! variables, logs, progress, chunks, blobs. There is no async runtime in here, and none is in the way.

#![warn(missing_docs)]

mod cancel;
mod context;
mod error;
mod node;
mod protocol;
mod values;
mod worker;

pub use cancel::CancelToken;
pub use context::{Chunks, Context};
pub use error::{code, Code, Error};
pub use node::{run, run_fn, Node};
pub use protocol::PROTOCOL_VERSION;
pub use values::{decode, encode, InvalidValue, MAX_DEPTH, MAX_INTEGER};
