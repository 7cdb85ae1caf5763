//! The node's end of a connection: frames in, requests out, and the frames that answer them.
//!
//! Every request that came in gets exactly one terminal frame. What the host gets wrong is answered or
//! ignored; it never stops the reader.

use super::errors::refusal;
use super::frames::{id_in_head, Event, MAX_FRAME_BYTES};
use super::{FEATURES, PROTOCOL_VERSION};
use serde_json::{json, Map, Value};
use std::collections::HashSet;

const SPILL_BYTES: usize = 1024 * 1024;

/// What names a call; the host chooses it, and it goes back as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Id {
    Number(i64),
    Text(String),
}

impl Id {
    fn of(value: &Value) -> Option<Id> {
        match value {
            Value::Number(number) => number.as_i64().map(Id::Number),
            Value::String(text) => Some(Id::Text(text.clone())),
            _ => None,
        }
    }

    fn json(&self) -> Value {
        match self {
            Id::Number(number) => json!(number),
            Id::Text(text) => json!(text),
        }
    }
}

/// A call to be answered.
#[derive(Debug)]
pub(crate) struct Invoke {
    pub id: Id,
    pub node: String,
    pub input: Value,
    pub config: Map<String, Value>,
    pub secrets: Map<String, Value>,
    pub context: Map<String, Value>,
    pub deadline_ms: Option<f64>,
    pub meta: Map<String, Value>,
    pub may_hold_blobs: bool,
}

/// What the host wants of the worker; its greetings are dealt with here.
#[derive(Debug)]
pub(crate) enum Request {
    Invoke(Box<Invoke>),
    Cancel(Id),
    Credit(Id, u64),
    Shutdown(Id),
}

/// What a frame came to: something to do, or something to write.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub request: Option<Request>,
    pub reply: Option<Vec<u8>>,
}

impl Received {
    fn reply(frame: Vec<u8>) -> Self {
        Received { request: None, reply: Some(frame) }
    }

    fn request(request: Request) -> Self {
        Received { request: Some(request), reply: None }
    }

    fn refuse(id: Option<&Id>, code: i64, message: &str) -> Self {
        Received::reply(error_frame(id, &refusal(code, message, None, None)))
    }
}

/// What is known of one host, and which calls have no terminal frame yet.
pub(crate) struct Session {
    pub features: HashSet<&'static str>,
    pub open: HashSet<Id>,
    pub is_draining: bool,
    pub max_frame_bytes: usize,
    pub spill_bytes: usize,
    pub blob_dir: Option<String>,
    pub log_level: String,
    about: Value,
}

impl Session {
    pub fn new(name: &str, version: &str, max_concurrency: usize) -> Self {
        let about = json!({
            "protocol": PROTOCOL_VERSION,
            "node": {"name": name, "version": version},
            "sdk": {"name": "nodeling", "version": env!("CARGO_PKG_VERSION"), "language": "rust"},
            "features": FEATURES,
            "max_concurrency": max_concurrency,
        });
        Session {
            features: HashSet::new(),
            open: HashSet::new(),
            is_draining: false,
            max_frame_bytes: MAX_FRAME_BYTES,
            spill_bytes: SPILL_BYTES,
            blob_dir: None,
            log_level: "info".into(),
            about,
        }
    }

    /// Takes what the frame reader found; `Overrun` is the worker's to deal with.
    pub fn receive(&mut self, event: Event) -> Received {
        match event {
            Event::Frame { message, may_hold_blobs, fault } => {
                self.frame(message, may_hold_blobs, fault.map(|fault| fault.to_string()))
            }
            Event::NotFrame { is_json, reason } => {
                Received::refuse(None, if is_json { -32600 } else { -32700 }, &reason)
            }
            Event::Oversize { head, size } => {
                let said = format!("a frame of {size} bytes is over the cap of {}", self.max_frame_bytes);
                let id = id_in_head(&head).as_ref().and_then(Id::of).filter(|id| !self.open.contains(id));
                Received::refuse(id.as_ref(), if id.is_some() { 4005 } else { -32600 }, &said)
            }
            Event::Overrun => Received::default(),
        }
    }

    fn frame(
        &mut self,
        mut message: Map<String, Value>,
        may_hold_blobs: bool,
        fault: Option<String>,
    ) -> Received {
        // None: there is no id; Some(None): one that cannot be answered.
        let given = message.get("id").map(Id::of);
        let is_live = matches!(&given, Some(Some(id)) if self.open.contains(id));
        let id = given.map(|id| id.filter(|_| !is_live));
        let method = match (message.get("jsonrpc"), message.get("method")) {
            (Some(Value::String(version)), Some(Value::String(method))) if version == "2.0" => method.clone(),
            _ if message.contains_key("result") || message.contains_key("error") => {
                return Received::default()
            }
            _ => {
                let said = "a frame has \"jsonrpc\":\"2.0\" and a method";
                return Received::refuse(id.flatten().as_ref(), -32600, said);
            }
        };
        let params = match message.remove("params") {
            None => Some(Map::new()),
            Some(Value::Object(params)) => Some(params),
            Some(_) => None,
        };
        match (id, params, fault) {
            (None, Some(params), None) => self.notification(&method, &params),
            (None, _, _) => Received::default(),
            // A second answer for a live id would be one too many.
            (Some(None), _, _) if is_live => Received::default(),
            (Some(None), _, _) => {
                Received::refuse(None, -32600, "the id of a request is an integer or a text")
            }
            (Some(Some(id)), _, Some(fault)) => {
                let said = format!("the call holds what cannot travel: {fault}");
                let mut body = refusal(4001, &said, Some(false), None);
                body["data"]["retryable"] = json!(false);
                Received::reply(error_frame(Some(&id), &body))
            }
            (Some(Some(id)), None, _) => Received::refuse(Some(&id), -32602, "params is an object"),
            (Some(Some(id)), Some(params), None) => self.request(id, &method, params, may_hold_blobs),
        }
    }

    fn request(
        &mut self,
        id: Id,
        method: &str,
        params: Map<String, Value>,
        may_hold_blobs: bool,
    ) -> Received {
        match method {
            "node/invoke" => self.invoke(id, params, may_hold_blobs),
            "node/hello" => self.hello(&id, &params),
            "node/ping" => Received::reply(result_frame(&id, &json!({"inflight": self.open.len()}))),
            "node/shutdown" => {
                self.is_draining = true;
                Received::request(Request::Shutdown(id))
            }
            other => {
                let shown: String = other.chars().take(100).collect();
                Received::refuse(Some(&id), -32601, &format!("this node does not know '{shown}'"))
            }
        }
    }

    fn hello(&mut self, id: &Id, params: &Map<String, Value>) -> Received {
        let versions = params.get("protocol").and_then(Value::as_array);
        if !versions.is_some_and(|versions| versions.contains(&json!(PROTOCOL_VERSION))) {
            let given = params.get("protocol").unwrap_or(&Value::Null);
            let said = format!("this node speaks protocol {PROTOCOL_VERSION}, the host {given}");
            let body = refusal(4100, &said, None, Some(PROTOCOL_VERSION));
            return Received::reply(error_frame(Some(id), &body));
        }
        let offered = params.get("features").and_then(Value::as_array);
        let is_offered = |name: &&str| offered.is_some_and(|names| names.contains(&json!(name)));
        self.features = FEATURES.into_iter().filter(is_offered).collect();
        let limit = |name: &str| {
            let found = params.get("limits").and_then(|limits| limits.get(name)).and_then(Value::as_u64);
            found.filter(|&bytes| bytes > 0).and_then(|bytes| usize::try_from(bytes).ok())
        };
        self.max_frame_bytes = limit("max_frame_bytes").unwrap_or(self.max_frame_bytes);
        self.spill_bytes = limit("spill_bytes").unwrap_or(SPILL_BYTES);
        let text = |name: &str| params.get(name).and_then(Value::as_str).map(str::to_owned);
        self.blob_dir = text("blob_dir");
        self.log_level = text("log_level").unwrap_or_else(|| "info".into());
        Received::reply(result_frame(id, &self.about))
    }

    fn invoke(&mut self, id: Id, mut params: Map<String, Value>, may_hold_blobs: bool) -> Received {
        if self.is_draining {
            let body = refusal(5002, "this process takes no more calls", Some(false), None);
            return Received::reply(error_frame(Some(&id), &body));
        }
        let mut wrong = None;
        let mut object = |name: &'static str| match params.remove(name) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(found)) => found,
            Some(_) => {
                wrong = wrong.or(Some(name));
                Map::new()
            }
        };
        let (config, secrets) = (object("config"), object("secrets"));
        let (context, meta) = (object("context"), object("_meta"));
        let node = match params.remove("node") {
            None => String::new(),
            Some(Value::String(node)) => node,
            Some(_) => {
                wrong = wrong.or(Some("node"));
                String::new()
            }
        };
        if let Some(name) = wrong {
            return Received::refuse(Some(&id), -32602, &format!("{name} has the wrong type"));
        }
        self.open.insert(id.clone());
        let deadline_ms = params.get("deadline").and_then(Value::as_f64);
        let input = params.remove("input").unwrap_or_default();
        Received::request(Request::Invoke(Box::new(Invoke {
            id,
            node,
            input,
            config,
            secrets,
            context,
            deadline_ms,
            meta,
            may_hold_blobs,
        })))
    }

    fn notification(&self, method: &str, params: &Map<String, Value>) -> Received {
        let Some(id) = params.get("id").and_then(Id::of).filter(|id| self.open.contains(id)) else {
            return Received::default();
        };
        match (method, params.get("n").and_then(Value::as_u64)) {
            ("node/cancel", _) => Received::request(Request::Cancel(id)),
            ("node/credit", Some(n)) if n > 0 => Received::request(Request::Credit(id, n)),
            _ => Received::default(),
        }
    }
}

// --- What goes out ------------------------------------------------------------------------------

/// The parts of a result that are JSON already, and those that are figures.
#[derive(Default)]
pub(crate) struct Ending<'a> {
    pub output: &'a [u8],
    pub written: Vec<(&'a str, &'a [u8])>,
    pub deleted: Vec<&'a str>,
    pub chunks: u64,
    pub metrics: Map<String, Value>,
}

/// The terminal frame of a call that succeeded; over the cap it becomes the error 4005.
pub(crate) fn ending_frame(id: &Id, ending: &Ending<'_>, cap: usize) -> Vec<u8> {
    let mut frame =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"output\":", id.json()).into_bytes();
    frame.extend_from_slice(ending.output);
    for (at, (key, value)) in ending.written.iter().enumerate() {
        frame.extend_from_slice(if at == 0 { b",\"vars\":{" } else { b"," });
        frame.extend_from_slice(json!(key).to_string().as_bytes());
        frame.push(b':');
        frame.extend_from_slice(value);
    }
    if !ending.written.is_empty() {
        frame.push(b'}');
    }
    if !ending.deleted.is_empty() {
        frame.extend_from_slice(format!(",\"deleted\":{}", json!(ending.deleted)).as_bytes());
    }
    if ending.chunks > 0 {
        frame.extend_from_slice(format!(",\"chunks\":{}", ending.chunks).as_bytes());
    }
    if !ending.metrics.is_empty() {
        let metrics = Value::Object(ending.metrics.clone()).to_string();
        frame.extend_from_slice(format!(",\"metrics\":{metrics}").as_bytes());
    }
    frame.extend_from_slice(b"}}\n");
    if frame.len() - 1 <= cap {
        return frame;
    }
    let said = format!("the answer is a frame of {} bytes, over the cap of {cap}", frame.len() - 1);
    let mut body = refusal(4005, &said, None, None);
    body["data"]["retryable"] = json!(false);
    error_frame(Some(id), &body)
}

/// The terminal frame of a call that failed; details that make it too long stay behind.
pub(crate) fn failure_frame(id: &Id, body: &Value, cap: usize) -> Vec<u8> {
    let frame = error_frame(Some(id), body);
    if frame.len() - 1 <= cap {
        return frame;
    }
    let said = format!("the error is a frame of {} bytes, over the cap of {cap}", frame.len() - 1);
    error_frame(Some(id), &refusal(4005, &said, None, None))
}

fn error_frame(id: Option<&Id>, body: &Value) -> Vec<u8> {
    let id = id.map_or(Value::Null, Id::json);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{body}}}\n").into_bytes()
}

pub(crate) fn result_frame(id: &Id, result: &Value) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}\n", id.json()).into_bytes()
}

/// `node/progress` or `node/log` of a call.
pub(crate) fn notification(method: &str, id: &Id, mut params: Map<String, Value>) -> Vec<u8> {
    params.insert("id".into(), id.json());
    let params = Value::Object(params);
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{params}}}\n").into_bytes()
}

/// A part of a call's output, as bytes that are JSON already.
pub(crate) fn chunk_frame(id: &Id, seq: u64, data: &[u8]) -> Vec<u8> {
    let head = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"node/chunk\",\"params\":{{\"id\":{},", id.json());
    [head.as_bytes(), format!("\"seq\":{seq},\"data\":").as_bytes(), data, b"}}\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::super::frames::read_frame;
    use super::*;

    fn session() -> Session {
        Session::new("n", "1", 4)
    }

    fn said(received: &Received) -> Value {
        let frame = received.reply.as_deref().expect("a reply");
        assert!(frame.ends_with(b"\n") && !frame[..frame.len() - 1].contains(&b'\n'));
        serde_json::from_slice(frame).expect("JSON")
    }

    fn call(session: &mut Session, text: &str) -> Received {
        session.receive(read_frame(text.as_bytes()))
    }

    const INVOKE: &str = r#"{"jsonrpc":"2.0","id":7,"method":"node/invoke","params":{"node":"n","input":1}}"#;

    #[test]
    fn a_call_is_open_until_it_ends_and_a_live_id_gets_no_second_answer() {
        let mut session = session();
        assert!(matches!(call(&mut session, INVOKE).request, Some(Request::Invoke(_))));
        let again = call(&mut session, INVOKE);
        assert!(again.request.is_none() && again.reply.is_none());
        session.open.remove(&Id::Number(7));
        assert!(call(&mut session, INVOKE).request.is_some());
    }

    #[test]
    fn only_live_calls_are_cancelled() {
        let mut session = session();
        let cancel = r#"{"jsonrpc":"2.0","method":"node/cancel","params":{"id":7}}"#;
        assert!(call(&mut session, cancel).request.is_none());
        call(&mut session, INVOKE);
        assert!(matches!(call(&mut session, cancel).request, Some(Request::Cancel(Id::Number(7)))));
    }

    #[test]
    fn what_is_wrong_is_answered_with_its_code() {
        for (text, code) in [
            (r#"{"id":1,"method":"node/invoke"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"node/ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"node/dance"}"#, -32601),
            (r#"{"jsonrpc":"2.0","id":1,"method":"node/invoke","params":[]}"#, -32602),
            (r#"{"jsonrpc":"2.0","id":1,"method":"node/invoke","params":{"config":3}}"#, -32602),
            (r#"{"jsonrpc":"2.0","id":1,"method":"node/hello","params":{"protocol":[true,2]}}"#, 4100),
            (r#"{"jsonrpc":"2.0","id":1,"method":"node/invoke","params":{"input":9007199254740993}}"#, 4001),
        ] {
            assert_eq!(said(&call(&mut session(), text))["error"]["code"], code, "{text}");
        }
    }

    #[test]
    fn features_are_what_both_sides_have() {
        let mut session = session();
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"node/hello",
            "params":{"protocol":[1,99],"features":["log","x-more"],"limits":{"spill_bytes":5}}}"#;
        assert_eq!(said(&call(&mut session, &hello.replace('\n', " ")))["result"]["protocol"], 1);
        assert_eq!(session.features, HashSet::from(["log"]));
        assert_eq!(session.spill_bytes, 5);
    }

    #[test]
    fn an_ending_holds_what_there_is_and_fails_over_the_cap() {
        let id = Id::Text("a\"b".into());
        let ending =
            Ending { output: b"[1]", written: vec![("k", b"2")], deleted: vec!["d"], ..Ending::default() };
        let frame: Value = serde_json::from_slice(&ending_frame(&id, &ending, 1000)).expect("JSON");
        assert_eq!(frame["result"], json!({"output": [1], "vars": {"k": 2}, "deleted": ["d"]}));
        assert_eq!(frame["id"], "a\"b");
        let frame: Value = serde_json::from_slice(&ending_frame(&id, &ending, 20)).expect("JSON");
        assert_eq!(frame["error"]["code"], 4005);
    }
}
