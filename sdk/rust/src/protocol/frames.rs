//! Lines in, frames out: the same bytes give the same events however they are cut into pieces, in
//! memory bounded by the frame cap, and a line that is no frame never hides the next one.

use crate::values::{depth_fault, read, InvalidValue, MAX_DEPTH};
use serde_json::{Map, Value};

pub(crate) const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
const SKIP_FACTOR: usize = 4; // a longer line is not skipped any more: whoever writes it is broken
const HEAD_BYTES: usize = 4 * 1024; // what is kept of a line that is skipped, to find its id in
const ENVELOPE_DEPTH: usize = 8; // the containers a frame may add around a value of the full depth

#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// A line that is a JSON object. With a fault some value in it is outside the profile.
    Frame { message: Map<String, Value>, may_hold_blobs: bool, fault: Option<InvalidValue> },
    /// A line that is no JSON (`is_json` false) or no object.
    NotFrame { is_json: bool, reason: String },
    /// A line over the cap, skipped to its end.
    Oversize { head: Vec<u8>, size: usize },
    /// A line so long that it is not worth skipping: nothing is read any more.
    Overrun,
}

/// Cuts a byte stream into frames.
pub(crate) struct FrameReader {
    pub max_bytes: usize,
    held: Vec<u8>,
    skipped: usize, // bytes of the line under way that were not kept
    is_lost: bool,
}

impl FrameReader {
    pub fn new(max_bytes: usize) -> Self {
        FrameReader { max_bytes, held: Vec::new(), skipped: 0, is_lost: false }
    }

    /// Takes bytes up to the end of the next line: what the line was, and how many bytes were taken.
    ///
    /// One line at a time, because a handshake changes the cap for the lines behind it.
    pub fn next(&mut self, data: &[u8]) -> (Option<Event>, usize) {
        if self.is_lost {
            return (None, data.len());
        }
        let end = data.iter().position(|&byte| byte == b'\n');
        let piece = &data[..end.unwrap_or(data.len())];
        let taken = end.map_or(data.len(), |at| at + 1);
        if end.is_some() && self.held.is_empty() && self.skipped == 0 && piece.len() <= self.max_bytes {
            return (read_line(piece), taken);
        }
        self.hold(piece);
        if self.size() > self.max_bytes.saturating_mul(SKIP_FACTOR) {
            self.is_lost = true;
            return (Some(Event::Overrun), data.len());
        }
        (end.and_then(|_| self.finish()), taken)
    }

    fn size(&self) -> usize {
        self.held.len() + self.skipped
    }

    fn hold(&mut self, piece: &[u8]) {
        if self.skipped > 0 {
            self.skipped += piece.len();
            return;
        }
        self.held.extend_from_slice(piece);
        // One more than the cap, which may be a carriage return.
        if self.held.len() > self.max_bytes + 1 {
            let kept = HEAD_BYTES.min(self.max_bytes);
            self.skipped = self.held.len() - kept;
            self.held.truncate(kept);
            self.held.shrink_to_fit();
        }
    }

    fn finish(&mut self) -> Option<Event> {
        let (held, skipped) = (std::mem::take(&mut self.held), std::mem::take(&mut self.skipped));
        if skipped > 0 {
            return Some(Event::Oversize { size: held.len() + skipped, head: held });
        }
        let line = held.strip_suffix(b"\r").unwrap_or(&held);
        if line.len() > self.max_bytes {
            let head = line[..HEAD_BYTES.min(self.max_bytes)].to_vec();
            return Some(Event::Oversize { size: line.len(), head });
        }
        read_line(&held)
    }
}

fn read_line(line: &[u8]) -> Option<Event> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    Some(read_frame(line))
}

/// One line, without its line feed, as a frame.
pub(crate) fn read_frame(line: &[u8]) -> Event {
    let reading = match read(line, MAX_DEPTH + ENVELOPE_DEPTH) {
        Ok(reading) => reading,
        Err(error) => return Event::NotFrame { is_json: false, reason: error.to_string() },
    };
    let Value::Object(message) = reading.value else {
        let what = if reading.value.is_array() { "an array" } else { "a bare value" };
        let reason = format!("a frame is one object, not {what}; there are no batches in this protocol");
        return Event::NotFrame { is_json: true, reason };
    };
    // The envelope adds to the depth of what it carries, so only deep frames are looked at again.
    let fault =
        reading.fault.or_else(|| (reading.depth > MAX_DEPTH).then(|| payload_fault(&message)).flatten());
    let may_hold_blobs = contains(line, b"blob") || contains(line, b"\\u00");
    Event::Frame { message, may_hold_blobs, fault }
}

fn payload_fault(message: &Map<String, Value>) -> Option<InvalidValue> {
    let params = message.get("params")?;
    let vars = params.pointer("/context/vars").and_then(Value::as_object);
    let sent = vars.into_iter().flatten().map(|(key, value)| (format!("/params/context/vars/{key}"), value));
    ["input", "config", "context"]
        .iter()
        .filter_map(|name| Some((format!("/params/{name}"), params.get(name)?)))
        .filter(|(pointer, _)| pointer != "/params/context")
        .chain(sent)
        .find_map(|(pointer, value)| {
            let fault = depth_fault(value)?;
            Some(InvalidValue { pointer: pointer + &fault.pointer, ..fault })
        })
}

pub(crate) fn contains(data: &[u8], word: &[u8]) -> bool {
    let Some((&first, _)) = word.split_first() else { return true };
    let mut from = 0;
    while let Some(at) = data[from..].iter().position(|&byte| byte == first) {
        from += at;
        if data[from..].starts_with(word) {
            return true;
        }
        from += 1;
    }
    false
}

/// The id that stands whole in the beginning of a frame, for the answer to one that was skipped.
pub(crate) fn id_in_head(head: &[u8]) -> Option<Value> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
    };
    let mut rest = text.trim_start().strip_prefix('{')?;
    loop {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let name = values.next()?.ok()?;
        rest = rest[values.byte_offset()..].trim_start().strip_prefix(':')?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let value = values.next()?.ok()?;
        // Behind a value stands a comma or the end; a number that is cut off reads as a shorter one.
        rest = rest[values.byte_offset()..].trim_start();
        let ends = rest.starts_with([',', '}']);
        if name == "id" {
            return ends.then_some(value);
        }
        rest = rest.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(reader: &mut FrameReader, mut data: &[u8]) -> Vec<Event> {
        let mut found = Vec::new();
        while !data.is_empty() {
            let (event, taken) = reader.next(data);
            found.extend(event);
            data = &data[taken..];
        }
        found
    }

    const STREAM: &[u8] = "{\"a\":1}\r\n\n  \n{\"b\":\"\u{2028}é😀\"}\nnonsense\n[1]\n{\"id\":7,\"x\":\"0123456789abcdef0123456789abcdef\"}\n{\"c\":3}\n{\"tail".as_bytes();

    #[test]
    fn the_same_bytes_give_the_same_events_however_they_are_cut() {
        let whole = all(&mut FrameReader::new(40), STREAM);
        assert_eq!(whole.len(), 6);
        for size in 1..STREAM.len() {
            let mut reader = FrameReader::new(40);
            let cut: Vec<Event> = STREAM.chunks(size).flat_map(|piece| all(&mut reader, piece)).collect();
            assert_eq!(cut, whole, "in pieces of {size}");
        }
    }

    #[test]
    fn a_skipped_line_keeps_a_head_and_the_next_one_is_read() {
        let mut reader = FrameReader::new(10);
        let line = [b"{\"id\":5,\"x\":\"".as_slice(), &[b'x'; 20], b"\"}\n{}\n"].concat();
        let events = all(&mut reader, &line);
        assert!(matches!(&events[0], Event::Oversize { size: 35, head } if head.len() == 10));
        assert!(matches!(&events[1], Event::Frame { message, .. } if message.is_empty()));
    }

    #[test]
    fn a_line_without_end_is_given_up_in_bounded_memory() {
        let mut reader = FrameReader::new(1000);
        let events: Vec<Event> = (0..100).flat_map(|_| all(&mut reader, &[b'x'; 100])).collect();
        assert_eq!(events, [Event::Overrun]);
        assert!(reader.held.capacity() <= 2000);
    }

    #[test]
    fn the_id_is_found_only_when_it_stands_whole() {
        assert_eq!(id_in_head(b" {\"jsonrpc\":\"2.0\", \"id\" : 12 ,\"par"), Some(Value::from(12)));
        assert_eq!(id_in_head(b"{\"id\":\"a\",\"x\":[1"), Some(Value::from("a")));
        assert_eq!(id_in_head(b"{\"id\":12"), None);
        assert_eq!(id_in_head(b"{\"params\":{\"id\":12"), None);
        assert_eq!(id_in_head(b"[1,2"), None);
    }

    #[test]
    fn a_frame_with_a_bad_value_keeps_its_id() {
        let deep = format!("{{\"id\":3,\"params\":{{\"input\":{}1{}}}}}", "[".repeat(65), "]".repeat(65));
        for (line, kind) in [
            (deep.as_str(), "depth"),
            ("{\"params\":{\"input\":9007199254740992},\"id\":3}", "integer"),
            ("{\"params\":{\"input\":\"\\ud800\"},\"id\":3}", "surrogate"),
        ] {
            let Event::Frame { message, fault, .. } = read_frame(line.as_bytes()) else { panic!("{line}") };
            assert_eq!(message["id"], 3);
            let fault = fault.expect(line);
            assert_eq!(fault.kind, kind);
            assert!(fault.pointer.starts_with("/params/input"), "{}", fault.pointer);
        }
    }

    #[test]
    fn a_payload_of_the_full_depth_fits_into_its_envelope() {
        let line = format!("{{\"params\":{{\"input\":{}{}}}}}", "[".repeat(64), "]".repeat(64));
        assert!(matches!(read_frame(line.as_bytes()), Event::Frame { fault: None, .. }));
    }
}
