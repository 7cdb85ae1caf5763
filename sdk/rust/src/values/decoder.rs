//! The reader. What breaks the profile but is JSON is noted and read on, so that a frame with a bad
//! value in it still has its id; what is no JSON ends the reading.

use super::{pointer_of, too_deep, too_large, InvalidValue, Segment, MAX_DEPTH, MAX_INTEGER};
use serde_json::{Map, Number, Value};

/// A text as read: with a `fault`, some value in it is outside the profile and stands as null.
pub(crate) struct Reading {
    pub value: Value,
    pub fault: Option<InvalidValue>,
    /// The most containers that stood one in the other.
    pub depth: usize,
}

/// The value that JSON text holds; of a key given twice the last wins.
pub fn decode(data: &[u8]) -> Result<Value, InvalidValue> {
    let reading = read(data, MAX_DEPTH)?;
    match reading.fault {
        None => Ok(reading.value),
        Some(fault) => Err(fault),
    }
}

/// What is wrong with a value that nests too deep, and where: at its first level too many.
pub fn depth_fault(value: &Value) -> Option<InvalidValue> {
    fn walk(value: &Value, left: usize, path: &mut Vec<Segment>) -> bool {
        let items: Box<dyn Iterator<Item = (Segment, &Value)> + '_> = match value {
            Value::Array(items) => {
                Box::new(items.iter().enumerate().map(|(at, item)| (Segment::Index(at), item)))
            }
            Value::Object(items) => {
                Box::new(items.iter().map(|(key, item)| (Segment::Key(key.clone()), item)))
            }
            _ => return false,
        };
        if left == 0 {
            return true;
        }
        for (segment, item) in items {
            path.push(segment);
            if walk(item, left - 1, path) {
                return true;
            }
            path.pop();
        }
        false
    }
    let mut path = Vec::new();
    walk(value, MAX_DEPTH, &mut path).then(|| InvalidValue::new(pointer_of(&path), too_deep(), "depth"))
}

/// Reads a text whose containers may stand `limit` deep; those that stand deeper are a fault.
pub(crate) fn read(data: &[u8], limit: usize) -> Result<Reading, InvalidValue> {
    let text = std::str::from_utf8(data).map_err(|error| {
        let at = error.valid_up_to();
        let message = format!("the byte 0x{:02x} at offset {at} is not UTF-8", data[at]);
        InvalidValue::new(String::new(), message, "encoding")
    })?;
    let mut reader =
        Reader { text, bytes: data, at: 0, path: Vec::new(), depth: 0, deepest: 0, limit, fault: None };
    let value = match reader.value() {
        Ok(value) => value,
        // A text that nests without end is rather too deep than unfinished.
        Err(error) => return Err(reader.fault.filter(|fault| fault.kind == "depth").unwrap_or(error)),
    };
    reader.space();
    if reader.at < data.len() {
        return Err(reader.syntax("there is more behind the value"));
    }
    Ok(Reading { value, fault: reader.fault, depth: reader.deepest })
}

/// Where a container's member stands; a key is kept as the place of its text, which is read again
/// only when a fault has to name it.
enum Place {
    Index(usize),
    Key(usize),
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    path: Vec<Place>,
    depth: usize,
    deepest: usize,
    limit: usize,
    fault: Option<InvalidValue>,
}

impl Reader<'_> {
    fn syntax(&self, said: &str) -> InvalidValue {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = self.at - before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1) + 1;
        let message = format!("not JSON: {said} at line {line} column {column}");
        InvalidValue::new(String::new(), message, "syntax")
    }

    fn note(&mut self, message: String, kind: &'static str) {
        if self.fault.is_none() {
            let pointer = self.pointer();
            self.fault = Some(InvalidValue::new(pointer, message, kind));
        }
    }

    fn pointer(&self) -> String {
        let segments: Vec<Segment> = self.path.iter().map(|place| self.segment(place)).collect();
        pointer_of(&segments)
    }

    fn segment(&self, place: &Place) -> Segment {
        match *place {
            Place::Index(index) => Segment::Index(index),
            Place::Key(at) => {
                let mut again =
                    Reader { text: self.text, bytes: self.bytes, at, path: Vec::new(), fault: None, ..*self };
                Segment::Key(again.string().unwrap_or_default())
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, InvalidValue> {
        self.space();
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'{' | b'[') => self.container(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'N') => self.no_number("NaN"),
            Some(b'I') => self.no_number("Infinity"),
            Some(_) => Err(self.syntax("a value is expected")),
            None => Err(self.syntax("it ends where a value is expected")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, InvalidValue> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax("a value is expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// A word that other readers take for a number.
    fn no_number(&mut self, word: &str) -> Result<Value, InvalidValue> {
        let value = self.word(word, Value::Null)?;
        self.note(format!("{word} is no JSON number; use null instead"), "nan");
        Ok(value)
    }

    // --- Containers -----------------------------------------------------------------------------

    fn container(&mut self) -> Result<Value, InvalidValue> {
        if self.depth == self.limit {
            self.note(too_deep(), "depth");
            self.deepest = self.limit + 1;
            return self.skip();
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let is_object = self.peek() == Some(b'{');
        self.at += 1;
        let found = if is_object { self.object() } else { self.array() };
        self.depth -= 1;
        found
    }

    fn array(&mut self) -> Result<Value, InvalidValue> {
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.path.push(Place::Index(items.len()));
            items.push(self.value()?);
            self.path.pop();
            if !self.goes_on(b']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    fn object(&mut self) -> Result<Value, InvalidValue> {
        let mut items = Map::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(items));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.syntax("a key in quotes is expected"));
            }
            self.path.push(Place::Key(self.at));
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.syntax("a colon is expected"));
            }
            self.at += 1;
            let value = self.value()?;
            self.path.pop();
            items.insert(key, value);
            if !self.goes_on(b'}')? {
                return Ok(Value::Object(items));
            }
        }
    }

    /// Behind a member: whether another one comes.
    fn goes_on(&mut self, end: u8) -> Result<bool, InvalidValue> {
        self.space();
        let found = self.peek();
        if found != Some(b',') && found != Some(end) {
            return Err(self.syntax("a comma or the container's end is expected"));
        }
        self.at += 1;
        Ok(found == Some(b','))
    }

    /// Passes over a container that stands too deep to be read, by its brackets alone.
    fn skip(&mut self) -> Result<Value, InvalidValue> {
        let mut open = 0usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                b'"' => {
                    self.string()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Ok(Value::Null);
            }
        }
        Err(self.syntax("it ends inside a container"))
    }

    // --- Scalars --------------------------------------------------------------------------------

    fn string(&mut self) -> Result<String, InvalidValue> {
        self.at += 1;
        let mut found = String::new();
        let mut start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    found.push_str(&self.text[start..self.at]);
                    self.at += 1;
                    return Ok(found);
                }
                Some(b'\\') => {
                    found.push_str(&self.text[start..self.at]);
                    let character = self.escape()?;
                    found.push(character);
                    start = self.at;
                }
                Some(0..=0x1f) => return Err(self.syntax("a raw control character stands in a text")),
                Some(_) => self.at += 1,
                None => return Err(self.syntax("it ends inside a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, InvalidValue> {
        let letter = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => {
                self.at -= 2;
                return Err(self.syntax("a backslash is followed by what it cannot escape"));
            }
        })
    }

    fn unicode(&mut self) -> Result<char, InvalidValue> {
        let first = self.four_digits()?;
        if !(0xd800..0xe000).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if first < 0xdc00 && self.bytes[self.at..].starts_with(b"\\u") {
            let here = self.at;
            self.at += 2;
            let second = self.four_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = here;
        }
        self.note(
            format!("the text holds the lone surrogate U+{first:04X}, which is no character"),
            "surrogate",
        );
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn four_digits(&mut self) -> Result<u32, InvalidValue> {
        let digits = self.bytes.get(self.at..self.at + 4).unwrap_or_default();
        if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.syntax("four hexadecimal digits are expected"));
        }
        let code = u32::from_str_radix(&self.text[self.at..self.at + 4], 16);
        self.at += 4;
        code.map_err(|_| self.syntax("four hexadecimal digits are expected"))
    }

    fn digits(&mut self) -> Result<(), InvalidValue> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.syntax("a digit is expected"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, InvalidValue> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            if self.bytes.get(start + 1) == Some(&b'I') {
                return self.no_number("-Infinity");
            }
            self.at += 1;
        }
        let whole = self.at;
        self.digits()?;
        if self.bytes[whole] == b'0' && self.at > whole + 1 {
            self.at = whole + 1;
            return Err(self.syntax("a number does not begin with a zero"));
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        Ok(if is_integer { self.integer(text) } else { self.float(text) })
    }

    fn integer(&mut self, text: &str) -> Value {
        match text.parse::<i64>() {
            Ok(number) if (-MAX_INTEGER..=MAX_INTEGER).contains(&number) => Value::from(number),
            _ => {
                let digits = text.trim_start_matches('-').len();
                let shown = if text.len() <= 24 { text.into() } else { format!("of {digits} digits") };
                self.note(too_large(&shown), "integer");
                Value::Null
            }
        }
    }

    fn float(&mut self, text: &str) -> Value {
        let number = text.parse::<f64>().unwrap_or(f64::INFINITY);
        match Number::from_f64(number) {
            Some(number) => Value::Number(number),
            None => {
                let shown = if text.len() <= 24 { text.into() } else { format!("{}...", &text[..21]) };
                self.note(format!("the number {shown} is too large"), "number");
                Value::Null
            }
        }
    }
}
