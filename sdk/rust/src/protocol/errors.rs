//! The errors of NSP/1: how one looks on the wire.
//!
//! An error that leaves a node fits its limits (traceback, causes) and never carries a code of the
//! 9000s, which only a host may make.

use crate::error::{Code, Error};
use serde_json::{json, Map, Value};

const LONGEST_TRACEBACK: usize = 32 * 1024; // bytes
const MAX_CAUSES: usize = 5;
const LONGEST_MESSAGE: usize = 64 * 1024; // characters

/// The `error` member of a frame.
pub(crate) fn body(error: &Error, started: Option<bool>) -> Value {
    let mut data = Map::new();
    let mut details = error.0.details.clone();
    data.insert("type".into(), json!(error.0.kind));
    let number = match &error.0.code {
        Code::Word(word) => {
            data.insert("code".into(), json!(word));
            4000
        }
        Code::Number(code) if (9000..=9999).contains(code) => {
            details.insert("code".into(), json!(code));
            4000
        }
        Code::Number(code) => *code,
    };
    if let Some(retryable) = error.0.retryable {
        data.insert("retryable".into(), json!(retryable));
    }
    if let Some(wait) = error.0.retry_after {
        data.insert("retry_after_ms".into(), json!(wait.as_millis() as u64));
    }
    if let Some(started) = started {
        data.insert("started".into(), json!(started));
    }
    if !details.is_empty() {
        data.insert("details".into(), Value::Object(details));
    }
    if let Some(trace) = error.0.traceback.as_deref().filter(|trace| !trace.is_empty()) {
        data.insert("traceback".into(), json!(last_bytes(trace)));
    }
    if let Some(cause) = error.0.cause.as_ref() {
        data.insert("cause".into(), cause_value(cause, MAX_CAUSES));
    }
    let message: String = error.0.message.chars().take(LONGEST_MESSAGE).collect();
    json!({"code": number, "message": message, "data": data})
}

/// An error that the protocol itself makes.
pub(crate) fn refusal(code: i64, message: &str, started: Option<bool>, supported: Option<i64>) -> Value {
    let mut found = body(&Error::new(message).code(code).kind("ProtocolError"), started);
    if let Some(version) = supported {
        found["data"]["supported"] = json!([version]);
    }
    found
}

fn cause_value(cause: &Error, depth: usize) -> Value {
    let mut found = json!({"type": cause.0.kind, "message": cause.0.message});
    if let Some(inner) = cause.0.cause.as_ref().filter(|_| depth > 1) {
        found["cause"] = cause_value(inner, depth - 1);
    }
    found
}

fn last_bytes(text: &str) -> &str {
    let mut start = text.len().saturating_sub(LONGEST_TRACEBACK);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_9000s_never_leaves() {
        let found = body(&Error::new("x").code(9003), None);
        assert_eq!(found["code"], 4000);
        assert_eq!(found["data"]["details"]["code"], 9003);
    }

    #[test]
    fn a_dotted_code_stands_beside_4000() {
        let found = body(&Error::new("x").code("acme.quota"), None);
        assert_eq!(found["code"], 4000);
        assert_eq!(found["data"]["code"], "acme.quota");
    }

    #[test]
    fn causes_are_five_deep_and_tracebacks_32_kib() {
        let mut error = Error::new("inmost");
        for depth in 0..9 {
            error = Error::new(format!("cause {depth}")).cause(error);
        }
        error.0.traceback = Some("é".repeat(30_000));
        let found = body(&error, None);
        let mut depth = 0;
        let mut at = &found["data"];
        while !at["cause"].is_null() {
            at = &at["cause"];
            depth += 1;
        }
        assert_eq!(depth, 5);
        assert!(found["data"]["traceback"].as_str().map_or(0, str::len) <= LONGEST_TRACEBACK);
    }
}
