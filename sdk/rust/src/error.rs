//! What a node fails with. Any error that implements [`std::error::Error`] becomes one by `?`.

use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// The codes that a node may choose; docs/reference/protocol.md says what each means to a retry.
pub mod code {
    /// The node failed for a reason of its own; the step's `retry` decides.
    pub const USER_ERROR: i64 = 4000;
    /// The inputs are not what the node takes.
    pub const INVALID_INPUT: i64 = 4001;
    /// The configuration is not what the node takes.
    pub const INVALID_CONFIG: i64 = 4002;
    /// The caller may not do this.
    pub const PERMISSION_DENIED: i64 = 4003;
    /// This process does not run that node.
    pub const UNKNOWN_NODE: i64 = 4004;
    /// A value is larger than may travel.
    pub const PAYLOAD_TOO_LARGE: i64 = 4005;
    /// The output is no JSON value.
    pub const INVALID_OUTPUT: i64 = 4006;
    /// What was asked for does not exist here.
    pub const UNSUPPORTED: i64 = 4010;
    /// It may work the next time.
    pub const TRANSIENT: i64 = 5000;
    /// It will work after a while.
    pub const RATE_LIMITED: i64 = 5001;
    /// The time was up.
    pub const DEADLINE_EXCEEDED: i64 = 5004;
    /// Something that the node needs does not answer.
    pub const DEPENDENCY_UNAVAILABLE: i64 = 5005;
    /// The call was asked to end, and ended.
    pub const CANCELLED: i64 = -32800;
}

/// A number of the protocol, or a dotted word of the author's own, as `acme.quota`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// A number.
    Number(i64),
    /// A dotted word.
    Word(String),
}

impl From<i64> for Code {
    fn from(number: i64) -> Self {
        Code::Number(number)
    }
}

impl From<&str> for Code {
    fn from(word: &str) -> Self {
        Code::Word(word.to_owned())
    }
}

/// Why a call has no output.
///
/// ```
/// use nodeling::{code, Error};
/// let error = Error::new("the quota is used up").code(code::RATE_LIMITED).retryable(true);
/// assert_eq!(error.to_string(), "the quota is used up");
/// ```
#[derive(Debug, Clone)]
pub struct Error(pub(crate) Box<Report>);

/// What an error says; in a box, so that a `Result` with one is small.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) kind: String,
    pub(crate) retryable: Option<bool>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) details: Map<String, Value>,
    pub(crate) cause: Option<Error>,
    pub(crate) traceback: Option<String>,
    pub(crate) is_own: bool, // the author chose the code, so where it was made tells nothing more
}

impl Error {
    /// A failure with code 4000, whose retry is the step's to decide.
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Error(Box::new(Report {
            code: Code::Number(code::USER_ERROR),
            message: message.into(),
            kind: "NodeError".into(),
            retryable: None,
            retry_after: None,
            details: Map::new(),
            cause: None,
            traceback: Some(place(Location::caller())),
            is_own: false,
        }))
    }

    /// Gives it a code: a number (see [`code`]), or a dotted word.
    #[must_use]
    pub fn code(mut self, code: impl Into<Code>) -> Self {
        self.0.code = code.into();
        self.0.is_own = true;
        self
    }

    /// Says what type of error it is; people read it, and `on` lists of retries do not.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.0.kind = kind.into();
        self
    }

    /// Says whether trying again may help; unset, the code's meaning and the step's `retry` decide.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = Some(retryable);
        self
    }

    /// Says how long to wait before trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds a detail that travels with the error; one that is no JSON value travels as what is wrong with it.
    #[must_use]
    pub fn detail(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        let value = match crate::values::encode(&value).and_then(|data| crate::values::decode(&data)) {
            Ok(value) => value,
            Err(fault) => Value::String(format!("(cannot travel: {fault})")),
        };
        self.0.details.insert(key.into(), value);
        self
    }

    /// Says what caused it.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Error>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn cancelled() -> Self {
        Error::new("cancelled").code(code::CANCELLED).kind("Cancelled").retryable(false)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl<E: std::error::Error> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut found = Error::new(error.to_string()).kind(short_name(std::any::type_name::<E>()));
        found.0.cause = error.source().map(|source| from_source(source, 0));
        found
    }
}

fn from_source(source: &(dyn std::error::Error + 'static), depth: usize) -> Error {
    let mut found = Error::new(source.to_string()).kind("Error");
    if depth < 8 {
        found.0.cause = source.source().map(|inner| from_source(inner, depth + 1));
    }
    found
}

fn short_name(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

fn place(location: &Location<'_>) -> String {
    format!("at {location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<i32, Error> {
        Ok(text.parse::<i32>()?)
    }

    #[test]
    fn a_question_mark_keeps_the_type_and_says_where() {
        let error = parse("x").unwrap_err();
        assert_eq!(error.0.kind, "ParseIntError");
        assert!(error.0.traceback.is_some_and(|place| place.contains("error.rs:")));
    }

    #[test]
    fn sources_become_causes() {
        let inner = std::io::Error::new(std::io::ErrorKind::NotFound, "no file");
        let outer = std::io::Error::other(inner);
        let error = Error::from(outer);
        assert_eq!(error.0.cause.map(|cause| cause.0.message), None, "a custom io error shows its inner one");
        let wrapped = Error::new("loading").cause(parse("x").unwrap_err());
        assert_eq!(wrapped.0.cause.map(|cause| cause.0.kind), Some("ParseIntError".into()));
    }

    #[test]
    fn a_detail_that_cannot_travel_says_so() {
        let error = Error::new("x").detail("rate", f64::NAN);
        assert!(error.0.details["rate"].as_str().is_some_and(|text| text.contains("NaN")));
    }
}
