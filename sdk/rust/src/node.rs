//! What a node is: something that takes inputs and gives an output.

use crate::context::Context;
use crate::error::{code, Error};
use crate::values::encode;
use crate::worker::{call::invalid_output, serve};
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Value;
use std::process::ExitCode;

/// A node. It is made once in a process and called many times, from several threads when its manifest
/// says so (`runtime.concurrency`), so what it keeps is shared.
///
/// ```
/// use nodeling::{Context, Error, Node};
/// use serde_json::{json, Value};
///
/// struct Repeat { times: usize }
///
/// impl Node for Repeat {
///     type Inputs = String;
///     type Output = Value;
///
///     fn handle(&self, ctx: &Context, text: String) -> Result<Value, Error> {
///         ctx.info("repeating");
///         Ok(json!({"text": text.repeat(self.times)}))
///     }
/// }
/// ```
pub trait Node: Send + Sync + 'static {
    /// What it takes: `serde_json::Value`, or any type that serde can read.
    type Inputs: DeserializeOwned;
    /// What it gives.
    type Output: Serialize;

    /// Does the work of one call.
    fn handle(&self, ctx: &Context, inputs: Self::Inputs) -> Result<Self::Output, Error>;
}

/// Serves a node to the host that started this process, until it is told to end: the whole of `main`.
pub fn run<N: Node>(node: N) -> ExitCode {
    run_fn(move |ctx, inputs| node.handle(ctx, inputs))
}

/// The same for a function or a closure.
///
/// ```no_run
/// use serde_json::{json, Value};
///
/// fn main() -> std::process::ExitCode {
///     nodeling::run_fn(|_ctx, text: String| Ok(json!({"length": text.chars().count()})))
/// }
/// ```
pub fn run_fn<F, I, O>(function: F) -> ExitCode
where
    F: Fn(&Context, I) -> Result<O, Error> + Send + Sync + 'static,
    I: DeserializeOwned,
    O: Serialize,
{
    serve(Box::new(move |ctx, inputs| {
        let inputs = typed(inputs)?;
        encode(&function(ctx, inputs)?).map_err(invalid_output)
    }))
}

fn typed<I: DeserializeOwned>(inputs: Value) -> Result<I, Error> {
    serde_json::from_value(inputs).map_err(|error| {
        let said = format!("the inputs are not what this node takes: {error}");
        Error::new(said).code(code::INVALID_INPUT).kind("InvalidInput").retryable(false)
    })
}
