//! What a node sees of the run it is part of, and what it may tell on its way.

use crate::cancel::CancelToken;
use crate::error::Error;
use crate::protocol::blobs::open_blob;
use crate::values::{decode, encode};
use crate::worker::call::{invalid_output, Call};
use crate::worker::{lock, Worker};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One call's view of its run, and its way to write to it. It may be shared between threads.
pub struct Context {
    call: Arc<Call>,
    worker: Arc<Worker>,
}

impl Context {
    pub(crate) fn new(call: Arc<Call>, worker: Arc<Worker>) -> Self {
        Context { call, worker }
    }

    fn word(&self, name: &str) -> &str {
        self.call.context.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    // --- Which call this is ---------------------------------------------------------------------

    /// The run's id.
    pub fn run_id(&self) -> &str {
        self.word("run_id")
    }

    /// The step's path in its run.
    pub fn step(&self) -> &str {
        self.word("step")
    }

    /// Which try this is, from 1 on.
    pub fn attempt(&self) -> u64 {
        self.call.context.get("attempt").and_then(Value::as_u64).unwrap_or(1)
    }

    /// The same over retries and recoveries of this step, and different for any other.
    pub fn idempotency_key(&self) -> &str {
        self.word("idempotency_key")
    }

    /// The configuration that travelled with the call.
    pub fn config(&self) -> &Map<String, Value> {
        &self.call.config
    }

    /// A secret that the manifest names.
    pub fn secret(&self, name: &str) -> Option<&str> {
        self.call.secrets.get(name).and_then(Value::as_str)
    }

    /// The names and values of every secret of the call.
    pub fn secrets(&self) -> &Map<String, Value> {
        &self.call.secrets
    }

    // --- Time -----------------------------------------------------------------------------------

    /// When the call ends at the latest.
    pub fn deadline(&self) -> Option<SystemTime> {
        self.call.deadline
    }

    /// How long until then; zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        Some(self.call.deadline?.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Whether this call should end soon; long work looks here now and then.
    pub fn is_cancelled(&self) -> bool {
        self.call.cancel.is_cancelled()
    }

    /// The same as something to hand to other threads, and to wait on.
    pub fn cancel_token(&self) -> CancelToken {
        self.call.cancel.clone()
    }

    /// Fails when the call should end: `ctx.check()?` between two pieces of work.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() {
            return Err(Error::cancelled());
        }
        Ok(())
    }

    // --- The context's variables ----------------------------------------------------------------

    /// A variable that steps before this one wrote, or this one; None when nobody did.
    ///
    /// Fails when it was not sent, because the manifest's `reads` does not name it.
    pub fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        match lock(&self.call.delta).get(key) {
            Some(Some(data)) => return Ok(Some(decode(data)?)),
            Some(None) => return Ok(None),
            None => {}
        }
        let sent = self.call.context.get("vars").and_then(|vars| vars.get(key));
        if sent.is_none() {
            self.declared(&[&format!("vars.{key}"), "vars.*"])?;
        }
        Ok(sent.cloned())
    }

    /// Writes a variable; later steps see it when this call succeeds.
    pub fn set(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        let data = encode(&value).map_err(invalid_output)?;
        lock(&self.call.delta).insert(non_empty(key)?, Some(data));
        Ok(())
    }

    /// Removes a variable for later steps.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        lock(&self.call.delta).insert(non_empty(key)?, None);
        Ok(())
    }

    /// A part of what started the run: `body`, `headers`, `query`, `params`, `method`, `path`.
    pub fn request(&self, part: &str) -> Result<Option<Value>, Error> {
        let sent = self.call.context.get("request").and_then(|request| request.get(part));
        if sent.is_none() {
            self.declared(&[&format!("request.{part}"), "request.*", "request"])?;
        }
        Ok(sent.cloned())
    }

    /// In `on_error` and `always` steps: `{code, step, message, others}` of what failed.
    pub fn error(&self) -> Option<&Value> {
        self.call.context.get("error").filter(|error| !error.is_null())
    }

    /// The previous step's result, `{data, success, error, contentType}`, where the manifest's `reads` names it.
    pub fn response(&self) -> Result<Option<&Value>, Error> {
        let sent = self.call.context.get("response");
        if sent.is_none() {
            self.declared(&["response", "response.*"])?;
        }
        Ok(sent)
    }

    fn declared(&self, words: &[&str]) -> Result<(), Error> {
        if self.worker.options.reads.iter().any(|read| words.contains(&read.as_str())) {
            return Ok(());
        }
        let said = format!(
            "this node does not declare that it reads '{0}'; add \"{0}\" to `reads` in its config.json",
            words[0]
        );
        Err(Error::new(said).code("context.not_sent").kind("NodelingError"))
    }

    // --- What the call tells --------------------------------------------------------------------

    /// Logs one line; `level` is `debug`, `info`, `warning` or `error`.
    pub fn log(&self, level: &str, message: &str) {
        self.call.log(&self.worker, level, message, None);
    }

    /// Logs one line with data beside it.
    pub fn log_with(&self, level: &str, message: &str, data: impl Serialize) {
        let data = match encode(&data).and_then(|data| decode(&data)) {
            Ok(data) => data,
            Err(fault) => Value::String(format!("(cannot travel: {fault})")),
        };
        self.call.log(&self.worker, level, message, Some(data));
    }

    /// Logs a line.
    pub fn info(&self, message: &str) {
        self.log("info", message);
    }

    /// Logs something that deserves a look.
    pub fn warning(&self, message: &str) {
        self.log("warning", message);
    }

    /// Tells how far this call has come: at most ten times a second, the last time always.
    pub fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        self.call.progress(&self.worker, done, total, message);
    }

    /// Records a figure; it stands in the step's `metrics`. One that is not finite is counted as dropped.
    pub fn metric(&self, name: &str, value: f64) {
        self.call.metric(name, value);
    }

    /// A stream of parts of the output, to be given back by [`Chunks::end`].
    ///
    /// ```
    /// # use nodeling::{Context, Error};
    /// # use serde_json::Value;
    /// fn lines(ctx: &Context, text: String) -> Result<Value, Error> {
    ///     let mut chunks = ctx.chunks();
    ///     for line in text.lines() {
    ///         chunks.send(line)?;
    ///     }
    ///     Ok(chunks.end())
    /// }
    /// ```
    pub fn chunks(&self) -> Chunks<'_> {
        Chunks { context: self, kept: Vec::new(), count: 0 }
    }

    // --- Files ----------------------------------------------------------------------------------

    /// The bytes of a value that came by reference.
    pub fn open_blob(&self, reference: &Value) -> Result<File, Error> {
        match self.call.blob_dir.as_deref() {
            Some(folder) => open_blob(folder, reference),
            None => Err(Error::new("this call was given no blobs").code("context.no_blobs")),
        }
    }

    /// Puts bytes, or what a file holds from here on, aside; gives the handle to return in their place.
    ///
    /// They stay bytes: no node takes them for JSON, and [`Context::open_blob`] reads them.
    pub fn write_blob(&self, mut from: impl Read, media_type: &str) -> Result<Value, Error> {
        self.call.write_blob(&mut from, media_type)
    }

    /// A private folder for this call, made on first use and removed when the call ends.
    pub fn work_dir(&self) -> Result<PathBuf, Error> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        let given = self.word("work_dir");
        if !given.is_empty() {
            builder.recursive(true).create(given)?;
            return Ok(PathBuf::from(given));
        }
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut folder = lock(&self.call.folder);
        if let Some(folder) = folder.as_ref() {
            return Ok(folder.clone());
        }
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let made = std::env::temp_dir().join(format!("call-{}-{nanos:x}-{count}", std::process::id()));
        builder.create(&made)?;
        Ok(folder.insert(made).clone())
    }
}

fn non_empty(key: &str) -> Result<String, Error> {
    if key.is_empty() {
        return Err(Error::new("a context key is a non-empty text").code("context.key"));
    }
    Ok(key.to_owned())
}

/// Parts of an output: sent as they are made where the host asks for that, else kept.
pub struct Chunks<'a> {
    context: &'a Context,
    kept: Vec<Value>,
    count: u64,
}

impl Chunks<'_> {
    /// Sends one part; waits while the host has granted no more. Fails when the call shall end.
    pub fn send<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let call = &self.context.call;
        self.context.check()?;
        if call.streams {
            call.chunk(&self.context.worker, value)?;
        } else {
            self.kept.push(decode(&encode(value).map_err(invalid_output)?)?);
        }
        self.count += 1;
        Ok(())
    }

    /// The output: null where the parts were sent, else the list of them.
    pub fn end(self) -> Value {
        if self.context.call.streams && self.count > 0 {
            return Value::Null;
        }
        Value::Array(self.kept)
    }
}
