//! Knows the secrets of one call: none of them stands in any text that leaves as an error or a log line.

use crate::error::Error;
use serde_json::{Map, Value};

const MASKED: &str = "***";
const SHORTEST_LINE: usize = 8; // a shorter line of a longer secret tells nothing and stands everywhere

pub(crate) struct Mask(Vec<String>);

impl Mask {
    pub fn new(secrets: &Map<String, Value>) -> Self {
        let mut words: Vec<String> = Vec::new();
        for secret in secrets.values().filter_map(Value::as_str).filter(|secret| !secret.trim().is_empty()) {
            words.push(secret.to_owned());
            let lines: Vec<&str> = secret.lines().map(str::trim).collect();
            if lines.len() > 1 {
                words.extend(
                    lines.into_iter().filter(|line| line.chars().count() >= SHORTEST_LINE).map(str::to_owned),
                );
            }
        }
        words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        words.dedup();
        Mask(words)
    }

    pub fn text(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let mut found = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            match self.0.iter().find(|word| rest.starts_with(word.as_str())) {
                Some(word) => {
                    found.push_str(MASKED);
                    rest = &rest[word.len()..];
                }
                None => {
                    found.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            }
        }
        found
    }

    pub fn value(&self, value: Value) -> Value {
        match value {
            _ if self.0.is_empty() => value,
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(items) => Value::Object(self.members(items)),
            scalar => scalar,
        }
    }

    pub fn members(&self, items: Map<String, Value>) -> Map<String, Value> {
        items.into_iter().map(|(key, item)| (self.text(&key), self.value(item))).collect()
    }

    pub fn error(&self, error: &mut Error) {
        if self.0.is_empty() {
            return;
        }
        error.0.message = self.text(&error.0.message);
        error.0.details = self.members(std::mem::take(&mut error.0.details));
        error.0.traceback = error.0.traceback.as_deref().map(|trace| self.text(trace));
        if let Some(cause) = error.0.cause.as_mut() {
            self.error(cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_longest_first_and_by_their_lines() {
        let secrets = json!({"A": "abc", "B": "abcdef", "C": "first line\nx\nlast line", "D": "  "});
        let mask = Mask::new(secrets.as_object().expect("an object"));
        assert_eq!(mask.text("abcdef abc é"), "*** *** é");
        assert_eq!(mask.text("said last line and x"), "said *** and x");
        assert_eq!(mask.value(json!({"abc": ["abc", 1]})), json!({"***": ["***", 1]}));
    }
}
