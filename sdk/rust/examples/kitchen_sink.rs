//! The kitchen sink: one node that does, on demand, everything the conformance cases look at.
//!
//! Every SDK ships the same one. `inputs.do` says what; the rest of `inputs` says how.

use nodeling::{Context, Error};
use serde::ser::{Serialize, Serializer};
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    println!("kitchen sink imported"); // a node that prints before it serves must hurt nobody
    nodeling::run_fn(act)
}

/// What an action gives: mostly a value, and once something that is none.
enum Output {
    Value(Value),
    Odd(Odd),
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Output::Value(value) => value.serialize(serializer),
            Output::Odd(odd) => odd.serialize(serializer),
        }
    }
}

fn act(ctx: &Context, inputs: Value) -> Result<Output, Error> {
    Ok(Output::Value(match inputs["do"].as_str().unwrap_or_default() {
        "about" => about(ctx),
        "big" => json!("z".repeat(number(&inputs, "bytes") as usize)),
        "blob" => blob(ctx, &inputs)?,
        "crash" => crash(&inputs),
        "echo" => inputs["value"].clone(),
        "environment" => environment()?,
        "fail" => return Err(failure(&inputs)),
        "ignore_cancel" => {
            ctx.info("started");
            std::thread::sleep(millis(&inputs));
            json!("ignored")
        }
        "leak_child" => {
            let child = Command::new("sleep").arg(number(&inputs, "seconds").to_string()).spawn()?;
            json!(child.id())
        }
        "log" => log(ctx, &inputs),
        "metric" => {
            let value = inputs["value"].as_f64().ok_or_else(|| Error::new("`value` is a number"))?;
            ctx.metric(text(&inputs, "name"), value);
            Value::Null
        }
        "odd" => return odd(text(&inputs, "what")).map(Output::Odd),
        "panic" => panic!("{}", text(&inputs, "message")),
        "print" => print(&inputs)?,
        "progress" => {
            let times = number(&inputs, "times");
            for index in 1..=times {
                ctx.progress(index as f64, Some(times as f64), Some("working"));
            }
            json!(times)
        }
        "read" => read(ctx, &inputs)?,
        "read_stdin" => read_stdin()?,
        "sleep" => {
            ctx.info("started");
            ctx.cancel_token().wait(millis(&inputs));
            inputs["value"].clone()
        }
        "spawn_print" => spawn_print(&inputs)?,
        "spin" => {
            ctx.info("started");
            let end = Instant::now() + millis(&inputs);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            Value::Null
        }
        "stream" => stream(ctx, &inputs)?,
        "sum" => sum(&inputs),
        "work_dir" => {
            let folder = ctx.work_dir()?;
            std::fs::write(folder.join("made.txt"), "here")?;
            json!(folder)
        }
        "write" => write(ctx, &inputs)?,
        "write_blob" => ctx.write_blob(text(&inputs, "text").as_bytes(), "text/plain")?,
        other => return Err(Error::new(format!("the kitchen sink knows no '{other}'")).kind("KeyError")),
    }))
}

fn number(inputs: &Value, name: &str) -> u64 {
    inputs[name].as_u64().unwrap_or_default()
}

fn text<'a>(inputs: &'a Value, name: &str) -> &'a str {
    inputs[name].as_str().unwrap_or_default()
}

fn millis(inputs: &Value) -> Duration {
    Duration::from_millis(number(inputs, "ms"))
}

/// The sum of `values`, whole where it is whole.
fn sum(inputs: &Value) -> Value {
    let values = inputs["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    match values.iter().map(Value::as_i64).sum::<Option<i64>>() {
        Some(total) => json!(total),
        None => json!(values.iter().filter_map(Value::as_f64).sum::<f64>()),
    }
}

/// An error: a plain one, one with `causes`, or one with a `code` of its own.
fn failure(inputs: &Value) -> Error {
    let message = inputs["message"].as_str().unwrap_or("failed");
    let mut error = match &inputs["code"] {
        Value::Null => Error::new(message).kind("RuntimeError"),
        Value::String(word) => Error::new(message).code(word.as_str()),
        code => Error::new(message).code(code.as_i64().unwrap_or_default()),
    };
    if let Some(retryable) = inputs["retryable"].as_bool() {
        error = error.retryable(retryable);
    }
    if let Some(wait) = inputs["retry_after_ms"].as_u64() {
        error = error.retry_after(Duration::from_millis(wait));
    }
    for (key, value) in inputs["details"].as_object().into_iter().flatten() {
        error = error.detail(key, value);
    }
    let causes = (1..=number(inputs, "causes")).rev().fold(None, |inner: Option<Error>, depth| {
        let cause = Error::new(format!("cause {depth}")).kind("ValueError");
        Some(match inner {
            Some(inner) => cause.cause(inner),
            None => cause,
        })
    });
    match causes {
        Some(cause) => error.cause(cause),
        None => error,
    }
}

/// Ends the process: `exit` with a status, or a `signal` by number.
fn crash(inputs: &Value) -> Value {
    // SAFETY: both calls end this process and touch no memory.
    unsafe {
        if let Some(signal) = inputs["signal"].as_i64() {
            libc::kill(libc::getpid(), signal as i32);
            libc::pause();
        }
        libc::_exit(inputs["exit"].as_i64().unwrap_or(1) as i32)
    }
}

/// Prints `text` on stdout `how`: `line`, `bare` (no newline), `native` (straight to fd 1) or `stderr`.
fn print(inputs: &Value) -> Result<Value, Error> {
    let (text, how) = (text(inputs, "text"), text(inputs, "how"));
    let times = inputs["times"].as_u64().unwrap_or(1);
    for _ in 0..times {
        match how {
            "native" => {
                let line = format!("{text}\n");
                // SAFETY: the line outlives the call, which reads no further than its length.
                unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
            }
            "stderr" => std::io::stderr().write_all(&text.chars().map(|c| c as u8).collect::<Vec<u8>>())?,
            "line" => println!("{text}"),
            _ => {
                print!("{text}");
                std::io::stdout().flush()?;
            }
        }
    }
    Ok(json!(times))
}

/// Lets a grandchild flood fd 1 with `lines` lines while a value of `bytes` is returned.
fn spawn_print(inputs: &Value) -> Result<Value, Error> {
    let script = "n=0; while [ $n -lt $0 ]; do echo \"grandchild $n xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; n=$((n+1)); done";
    let status = Command::new("sh").args(["-c", script, &number(inputs, "lines").to_string()]).status()?;
    Ok(json!({"text": "y".repeat(number(inputs, "bytes") as usize), "exit": status.code()}))
}

/// How many bytes the blob `value` holds.
fn blob(ctx: &Context, inputs: &Value) -> Result<Value, Error> {
    let mut data = Vec::new();
    ctx.open_blob(&inputs["value"])?.read_to_end(&mut data)?;
    Ok(json!({"bytes": data.len()}))
}

/// Logs `message` at `level`, `times` times.
fn log(ctx: &Context, inputs: &Value) -> Value {
    let level = inputs["level"].as_str().unwrap_or("info");
    for _ in 0..inputs["times"].as_u64().unwrap_or(1) {
        match inputs.get("data") {
            Some(data) => ctx.log_with(level, text(inputs, "message"), data),
            None => ctx.log(level, text(inputs, "message")),
        }
    }
    Value::Null
}

/// What a library that reads stdin gets.
fn read_stdin() -> Result<Value, Error> {
    let mut found = String::new();
    std::io::stdin().read_to_string(&mut found)?;
    let mut native = [0u8; 100];
    // SAFETY: the buffer is as long as it is said to be.
    let size = unsafe { libc::read(0, native.as_mut_ptr().cast(), native.len()) }.max(0) as usize;
    Ok(json!({"rust": found, "native": String::from_utf8_lossy(&native[..size])}))
}

/// What came with the call.
fn about(ctx: &Context) -> Value {
    let deadline = ctx.deadline().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    json!({
        "config": ctx.config(),
        "secrets": ctx.secrets(),
        "run_id": ctx.run_id(),
        "step": ctx.step(),
        "attempt": ctx.attempt(),
        "idempotency_key": ctx.idempotency_key(),
        "deadline": deadline.map(|since| since.as_secs_f64()),
    })
}

/// Writes and deletes context variables.
fn write(ctx: &Context, inputs: &Value) -> Result<Value, Error> {
    for (key, value) in inputs["set"].as_object().into_iter().flatten() {
        ctx.set(key, value)?;
    }
    for key in inputs["delete"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        ctx.delete(key)?;
    }
    Ok(Value::Null)
}

/// Reads context variables and the body of the request.
fn read(ctx: &Context, inputs: &Value) -> Result<Value, Error> {
    let mut vars = Map::new();
    for key in inputs["vars"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        vars.insert(key.to_owned(), ctx.get(key)?.unwrap_or_default());
    }
    let mut found = json!({"vars": vars});
    if inputs["body"] == true {
        found["body"] = ctx.request("body")?.unwrap_or_default();
    }
    Ok(found)
}

/// Sends `n` chunks, each `{"n": i, "text": …}`, and gives `returns`.
fn stream(ctx: &Context, inputs: &Value) -> Result<Value, Error> {
    let mut chunks = ctx.chunks();
    for index in 0..number(inputs, "n") {
        chunks.send(&json!({"n": index, "text": "c".repeat(number(inputs, "bytes") as usize)}))?;
    }
    let end = chunks.end();
    Ok(inputs.get("returns").cloned().filter(|value| !value.is_null()).unwrap_or(end))
}

/// An output that cannot travel.
enum Odd {
    Float(f64),
    Deep(Vec<f64>),
    Integer(i64),
    Object,
    Bytes(Vec<u8>),
    Path(PathBuf),
    Key(BTreeMap<i32, i32>),
}

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Odd::Float(value) => value.serialize(serializer),
            Odd::Deep(values) => BTreeMap::from([("deep", values)]).serialize(serializer),
            Odd::Integer(value) => value.serialize(serializer),
            Odd::Object => Err(serde::ser::Error::custom("this type has no JSON form")),
            Odd::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Odd::Path(path) => path.serialize(serializer),
            Odd::Key(map) => map.serialize(serializer),
        }
    }
}

fn odd(what: &str) -> Result<Odd, Error> {
    Ok(match what {
        "nan" => Odd::Float(f64::NAN),
        "infinity" => Odd::Deep(vec![f64::INFINITY]),
        "integer" => Odd::Integer(1 << 53),
        "object" => Odd::Object,
        "bytes" => Odd::Bytes(b"x".to_vec()),
        // A Rust text cannot hold a surrogate; the nearest thing is a path with its three bytes.
        "surrogate" => Odd::Path(PathBuf::from(OsStr::from_bytes(b"\xed\xa0\x80"))),
        "key" => Odd::Key(BTreeMap::from([(1, 2)])),
        other => return Err(Error::new(format!("nothing odd is called '{other}'"))),
    })
}

/// The environment variables, and the descriptors that a child would inherit, standard ones aside.
fn environment() -> Result<Value, Error> {
    let mut names: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    names.sort();
    let mut inheritable = Vec::new();
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        for entry in entries {
            let descriptor: i32 = entry?.file_name().to_string_lossy().parse()?;
            // SAFETY: it reads the flags of a descriptor, and fails when there is none.
            let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
            if descriptor > 2 && flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
                inheritable.push(descriptor);
            }
        }
    }
    Ok(json!({"names": names, "inheritable": inheritable}))
}
