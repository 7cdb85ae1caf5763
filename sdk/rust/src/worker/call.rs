//! One call of a node, from its request to its terminal frame.
//!
//! The terminal frame is made exactly once, whatever the node did, and what a call says on its way
//! (progress, logs, chunks) is said before.

use super::failure::{of_panic, with_traceback};
use super::mask::Mask;
use super::{lock, Worker};
use crate::cancel::CancelToken;
use crate::context::Context;
use crate::error::{code, Code, Error};
use crate::protocol::blobs::{holds_blob, resolve, travelling, write_blob, Aside};
use crate::protocol::errors::body;
use crate::protocol::frames::contains;
use crate::protocol::node::{chunk_frame, ending_frame, failure_frame, notification, Ending, Id, Invoke};
use crate::values::{decode, encode, InvalidValue};
use serde::Serialize;
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PROGRESS_PAUSE: Duration = Duration::from_millis(100); // at most ten a second for each call
const LOGS_A_SECOND: u32 = 1000;
const LEVELS: [&str; 4] = ["debug", "info", "warning", "error"];

/// What a call has said so far, and what it still may.
struct Telling {
    progress: Option<Map<String, Value>>,
    progress_due: Instant,
    log_window: Instant,
    logs: u32,
    dropped: u64,
}

#[derive(Default)]
struct Credit {
    granted: Option<u64>, // None: as many as there are
    sent: u64,
}

/// What a call did to the context.
#[derive(Default)]
struct Written {
    values: BTreeMap<String, Vec<u8>>,
    deleted: Vec<String>,
}

pub(crate) struct Call {
    pub id: Id,
    pub cancel: CancelToken,
    pub config: Map<String, Value>,
    pub secrets: Map<String, Value>,
    pub context: Map<String, Value>,
    pub deadline: Option<SystemTime>,
    pub streams: bool,
    pub delta: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
    metrics: Mutex<Map<String, Value>>,
    pub blob_dir: Option<String>,
    pub folder: Mutex<Option<PathBuf>>,
    node: String,
    input: Mutex<Option<Value>>,
    may_hold_blobs: bool,
    wants_progress: bool,
    level: usize,
    takes_blobs: bool,
    spill_bytes: usize,
    mask: Mask,
    telling: Mutex<Telling>,
    credit: Mutex<Credit>,
    credited: Condvar,
}

fn level_of(name: &str) -> usize {
    LEVELS.iter().position(|level| *level == name).unwrap_or(1)
}

impl Call {
    pub fn new(invoke: Invoke, worker: &Worker) -> Self {
        let session = lock(&worker.session);
        let stream = invoke.meta.get("stream").filter(|stream| stream.is_object() || **stream == true);
        let credit = stream.and_then(|stream| stream.get("credit")).and_then(Value::as_u64);
        let level = invoke.meta.get("log_level").and_then(Value::as_str).unwrap_or(&session.log_level);
        let after = |millis: f64| Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default();
        let deadline = invoke.deadline_ms.and_then(|millis| UNIX_EPOCH.checked_add(after(millis)));
        let now = Instant::now();
        Call {
            id: invoke.id,
            cancel: CancelToken::default(),
            config: invoke.config,
            mask: Mask::new(&invoke.secrets),
            secrets: invoke.secrets,
            context: invoke.context,
            deadline,
            streams: session.features.contains("stream") && stream.is_some(),
            delta: Mutex::default(),
            metrics: Mutex::default(),
            blob_dir: session.blob_dir.clone(),
            folder: Mutex::default(),
            node: invoke.node,
            input: Mutex::new(Some(invoke.input)),
            may_hold_blobs: invoke.may_hold_blobs,
            wants_progress: invoke.meta.get("progress").is_some_and(|asked| *asked == true),
            level: level_of(level),
            takes_blobs: session.features.contains("blob"),
            spill_bytes: session.spill_bytes,
            telling: Mutex::new(Telling {
                progress: None,
                progress_due: now,
                log_window: now,
                logs: 0,
                dropped: 0,
            }),
            credit: Mutex::new(Credit {
                granted: credit.filter(|_| session.features.contains("credit")),
                sent: 0,
            }),
            credited: Condvar::new(),
        }
    }

    // --- Before and after the node --------------------------------------------------------------

    /// Runs the node and makes the terminal frame.
    pub fn run(self: &Arc<Self>, worker: &Arc<Worker>) -> Vec<u8> {
        let refusal = self.refusal(&worker.options.name);
        let is_started = refusal.is_none();
        let answered = match refusal {
            Some(error) => Err(error),
            None => self.drive(worker).and_then(|output| self.ending(worker, output)),
        };
        let mut error = match answered {
            Ok(frame) if !self.cancel.is_cancelled() => return frame,
            Err(error) if !self.cancel.is_cancelled() => with_traceback(error),
            _ => Error::cancelled(),
        };
        self.mask.error(&mut error);
        self.flush_progress(worker);
        let is_cancelled = error.0.code == Code::Number(code::CANCELLED);
        if is_cancelled {
            error.0.traceback = None; // where it was made is the SDK's own business
        }
        // An error of a call that ran says nothing of it: whoever ran had started.
        let started = (!is_started || is_cancelled).then_some(is_started);
        let cap = lock(&worker.session).max_frame_bytes;
        failure_frame(&self.id, &body(&error, started), cap)
    }

    /// Why the call ends before the node sees it.
    fn refusal(&self, name: &str) -> Option<Error> {
        if self.cancel.is_cancelled() {
            return Some(Error::cancelled());
        }
        if self.deadline.is_some_and(|deadline| deadline <= SystemTime::now()) {
            let said = "the deadline had passed before the call began";
            return Some(Error::new(said).code(code::DEADLINE_EXCEEDED));
        }
        if !name.is_empty() && !self.node.is_empty() && self.node != name {
            let asked: String = self.node.chars().take(200).collect();
            return Some(
                Error::new(format!("this process runs '{name}', not '{asked}'")).code(code::UNKNOWN_NODE),
            );
        }
        None
    }

    fn drive(self: &Arc<Self>, worker: &Arc<Worker>) -> Result<Vec<u8>, Error> {
        let mut input = lock(&self.input).take().unwrap_or_default();
        if self.may_hold_blobs {
            input = resolve(input, self.blob_dir.as_deref())?;
        }
        let context = Context::new(self.clone(), worker.clone());
        match catch_unwind(AssertUnwindSafe(|| (worker.handler)(&context, input))) {
            Ok(answer) => answer,
            Err(payload) => Err(of_panic(payload.as_ref())),
        }
    }

    fn ending(&self, worker: &Worker, output: Vec<u8>) -> Result<Vec<u8>, Error> {
        let output = self.travelling(output)?;
        let written = self.written()?;
        self.flush_progress(worker);
        let mut metrics = std::mem::take(&mut *lock(&self.metrics));
        let dropped = lock(&self.telling).dropped;
        if dropped > 0 {
            metrics.insert("dropped".into(), json!(dropped));
        }
        let ending = Ending {
            output: &output,
            written: written.values.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect(),
            deleted: written.deleted.iter().map(String::as_str).collect(),
            chunks: lock(&self.credit).sent,
            metrics,
        };
        Ok(ending_frame(&self.id, &ending, lock(&worker.session).max_frame_bytes))
    }

    /// Removes what the call left lying about.
    pub fn end(&self) {
        if let Some(folder) = lock(&self.folder).take() {
            // A file that a child still writes may be left; the host removes the folder above.
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    /// Encoded JSON as it travels.
    fn travelling(&self, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        let size = data.len();
        travelling(data, self.folder_of_blobs(), self.spill_bytes).map_err(|why| match why {
            Aside::Invalid(fault) => invalid_output(fault),
            Aside::Unwritten(error) => {
                let said = format!("a value of {size} bytes cannot be put aside: {error}");
                Error::new(said).code(code::PAYLOAD_TOO_LARGE).retryable(false)
            }
        })
    }

    /// Where blobs are written: nowhere when the host takes none.
    fn folder_of_blobs(&self) -> Option<&str> {
        self.blob_dir.as_deref().filter(|_| self.takes_blobs)
    }

    /// Puts bytes aside for the output.
    pub fn write_blob(&self, from: &mut dyn Read, media_type: &str) -> Result<Value, Error> {
        match self.folder_of_blobs() {
            Some(folder) => Ok(write_blob(folder, from, media_type, "raw")?),
            None => Err(Error::new("this call has no place for blobs").code("context.no_blobs")),
        }
    }

    /// What a call wrote to the context; blobs cannot stand in it.
    fn written(&self) -> Result<Written, Error> {
        let mut found = Written::default();
        for (key, value) in std::mem::take(&mut *lock(&self.delta)) {
            let Some(data) = value else {
                found.deleted.push(key);
                continue;
            };
            if contains(&data, b"blob\"") && holds_blob(&decode(&data)?, self.blob_dir.as_deref()) {
                let said =
                    format!("a blob cannot stand in the context variable '{key}'; return it in the output");
                return Err(Error::new(said).code("context.blob").kind("NodelingError"));
            }
            found.values.insert(key, data);
        }
        Ok(found)
    }

    // --- While it runs --------------------------------------------------------------------------

    /// The host asks the call to end.
    pub fn cancel(&self) {
        self.cancel.cancel();
        let _held = lock(&self.credit); // or a chunk could go to sleep between its look and this call
        self.credited.notify_all();
    }

    /// The host lets `n` more chunks come.
    pub fn grant(&self, n: u64) {
        let mut credit = lock(&self.credit);
        credit.granted = credit.granted.map(|granted| granted.saturating_add(n));
        self.credited.notify_all();
    }

    /// Sends one part of the output; waits first until the host grants it.
    pub fn chunk<T: Serialize + ?Sized>(&self, worker: &Worker, value: &T) -> Result<(), Error> {
        let data = self.travelling(encode(value).map_err(invalid_output)?)?;
        let mut credit = lock(&self.credit);
        while credit.granted.is_some_and(|granted| credit.sent >= granted) && !self.cancel.is_cancelled() {
            credit = self.credited.wait(credit).unwrap_or_else(PoisonError::into_inner);
        }
        if self.cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        let seq = credit.sent;
        credit.sent += 1;
        // The lock is held no longer, so that the reading thread can grant while this one writes. Chunks come
        // from one `Chunks` at a time, so none overtakes another.
        drop(credit);
        if worker.tell("stream", &self.id, &chunk_frame(&self.id, seq, &data)) {
            return Ok(());
        }
        lock(&self.credit).sent = seq;
        let said = format!("a chunk of {} bytes is over the cap", data.len());
        Err(Error::new(said).code(code::PAYLOAD_TOO_LARGE).retryable(false))
    }

    pub fn log(&self, worker: &Worker, level: &str, message: &str, data: Option<Value>) {
        if level_of(level) < self.level {
            return;
        }
        {
            let mut telling = lock(&self.telling);
            if telling.log_window.elapsed() >= Duration::from_secs(1) {
                telling.log_window = Instant::now();
                telling.logs = 0;
            }
            telling.logs += 1;
            if telling.logs > LOGS_A_SECOND {
                telling.dropped += 1;
                return;
            }
        }
        let mut params = Map::new();
        params.insert("level".into(), json!(level));
        params.insert("message".into(), json!(self.mask.text(message)));
        if let Some(data) = data {
            params.insert("data".into(), self.mask.value(data));
        }
        if !worker.tell("log", &self.id, &notification("node/log", &self.id, params)) {
            self.count_drop(worker, "log");
        }
    }

    pub fn progress(&self, worker: &Worker, done: f64, total: Option<f64>, message: Option<&str>) {
        if !self.wants_progress {
            return;
        }
        if !done.is_finite() || total.is_some_and(|total| !total.is_finite()) {
            lock(&self.telling).dropped += 1;
            return;
        }
        let mut params = Map::new();
        params.insert("progress".into(), number(done));
        if let Some(total) = total {
            params.insert("total".into(), number(total));
        }
        if let Some(message) = message {
            params.insert("message".into(), json!(self.mask.text(message)));
        }
        let is_due = {
            let mut telling = lock(&self.telling);
            telling.progress = Some(params);
            telling.progress_due <= Instant::now()
        };
        if is_due {
            self.flush_progress(worker);
        }
    }

    pub fn metric(&self, name: &str, value: f64) {
        if value.is_finite() {
            lock(&self.metrics).insert(name.to_owned(), number(value));
        } else {
            lock(&self.telling).dropped += 1;
        }
    }

    fn flush_progress(&self, worker: &Worker) {
        let params = {
            let mut telling = lock(&self.telling);
            telling.progress_due = Instant::now() + PROGRESS_PAUSE;
            telling.progress.take()
        };
        let Some(params) = params else { return };
        if !worker.tell("progress", &self.id, &notification("node/progress", &self.id, params)) {
            self.count_drop(worker, "progress");
        }
    }

    /// Counts what did not fit; what the host never asked for is no loss.
    fn count_drop(&self, worker: &Worker, feature: &str) {
        if lock(&worker.session).features.contains(feature) {
            lock(&self.telling).dropped += 1;
        }
    }
}

/// A finite figure as JSON, whole where it is whole.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() <= crate::values::MAX_INTEGER as f64 {
        return json!(value as i64);
    }
    json!(value)
}

pub(crate) fn invalid_output(fault: InvalidValue) -> Error {
    let said = format!("the output is no JSON value: {fault}");
    Error::new(said).code(code::INVALID_OUTPUT).kind("InvalidOutput").retryable(false)
}
