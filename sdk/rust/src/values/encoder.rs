//! The writer: a serde serializer that checks while it writes. serde_json's own writes NaN as null,
//! integers of any size and integer keys as text, each of which another language would read differently.

use super::{pointer_of, too_deep, too_large, InvalidValue, Segment, MAX_DEPTH, MAX_INTEGER};
use serde::ser::{self, Serialize};
use std::fmt::Display;

/// The value as compact UTF-8 JSON on one line, or what in it cannot travel and where.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, InvalidValue> {
    let mut encoder = Encoder { out: Vec::with_capacity(128), path: Vec::new(), depth: 0 };
    match value.serialize(&mut encoder) {
        Ok(()) => Ok(encoder.out),
        Err(mut fault) => {
            let path: Vec<Segment> = encoder.path.iter().map(|place| encoder.segment(place)).collect();
            fault.pointer = pointer_of(&path);
            Err(fault)
        }
    }
}

/// Where a container's member stands; made into text only when a fault has to name it.
enum Place {
    Index(usize),
    Name(&'static str),
    Written(usize, usize),
}

struct Encoder {
    out: Vec<u8>,
    path: Vec<Place>,
    depth: usize,
}

fn refuse(message: impl Into<String>, kind: &'static str) -> InvalidValue {
    InvalidValue::new(String::new(), message, kind)
}

impl ser::Error for InvalidValue {
    fn custom<T: Display>(said: T) -> Self {
        refuse(said.to_string(), "type")
    }
}

impl Encoder {
    fn segment(&self, place: &Place) -> Segment {
        match *place {
            Place::Index(index) => Segment::Index(index),
            Place::Name(name) => Segment::Key(name.to_owned()),
            Place::Written(start, end) => {
                Segment::Key(serde_json::from_slice(&self.out[start..end]).unwrap_or_default())
            }
        }
    }

    fn text(&mut self, text: &str) {
        // Writing text into a vector cannot fail.
        let _ = serde_json::to_writer(&mut self.out, text);
    }

    fn integer(&mut self, number: i128) -> Result<(), InvalidValue> {
        if number.unsigned_abs() > MAX_INTEGER.unsigned_abs().into() {
            return Err(refuse(too_large(&number.to_string()), "integer"));
        }
        self.out.extend_from_slice(number.to_string().as_bytes());
        Ok(())
    }

    fn not_finite(number: f64) -> InvalidValue {
        let name = match number {
            _ if number.is_nan() => "NaN",
            _ if number > 0.0 => "Infinity",
            _ => "-Infinity",
        };
        refuse(format!("{name} is no JSON number; use null instead"), "nan")
    }

    fn open<'a>(
        &'a mut self,
        begin: &str,
        end: &'static str,
        depth: usize,
    ) -> Result<Inside<'a>, InvalidValue> {
        if self.depth + depth > MAX_DEPTH {
            return Err(refuse(too_deep(), "depth"));
        }
        self.depth += depth;
        self.out.extend_from_slice(begin.as_bytes());
        Ok(Inside { encoder: self, end, depth, count: 0 })
    }

    fn variant<'a>(
        &'a mut self,
        variant: &'static str,
        begin: &str,
        end: &'static str,
    ) -> Result<Inside<'a>, InvalidValue> {
        let mut outer = Vec::new();
        let _ = serde_json::to_writer(&mut outer, variant);
        let begin = format!("{{{}:{begin}", String::from_utf8_lossy(&outer));
        self.open(&begin, end, 2)
    }
}

/// A container being written.
struct Inside<'a> {
    encoder: &'a mut Encoder,
    end: &'static str,
    depth: usize,
    count: usize,
}

impl Inside<'_> {
    fn comma(&mut self) {
        if self.count > 0 {
            self.encoder.out.push(b',');
        }
        self.count += 1;
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), InvalidValue> {
        self.encoder.path.push(Place::Index(self.count));
        self.comma();
        value.serialize(&mut *self.encoder)?;
        self.encoder.path.pop();
        Ok(())
    }

    fn member<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), InvalidValue> {
        self.comma();
        self.encoder.text(key);
        self.encoder.out.push(b':');
        self.encoder.path.push(Place::Name(key));
        value.serialize(&mut *self.encoder)?;
        self.encoder.path.pop();
        Ok(())
    }

    fn close(self) -> Result<(), InvalidValue> {
        self.encoder.depth -= self.depth;
        self.encoder.out.extend_from_slice(self.end.as_bytes());
        Ok(())
    }
}

impl<'a> ser::Serializer for &'a mut Encoder {
    type Ok = ();
    type Error = InvalidValue;
    type SerializeSeq = Inside<'a>;
    type SerializeTuple = Inside<'a>;
    type SerializeTupleStruct = Inside<'a>;
    type SerializeTupleVariant = Inside<'a>;
    type SerializeMap = Inside<'a>;
    type SerializeStruct = Inside<'a>;
    type SerializeStructVariant = Inside<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), InvalidValue> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }
    fn serialize_i8(self, value: i8) -> Result<(), InvalidValue> {
        self.integer(value.into())
    }
    fn serialize_i16(self, value: i16) -> Result<(), InvalidValue> {
        self.integer(value.into())
    }
    fn serialize_i32(self, value: i32) -> Result<(), InvalidValue> {
        self.integer(value.into())
    }
    fn serialize_i64(self, value: i64) -> Result<(), InvalidValue> {
        self.integer(value.into())
    }
    fn serialize_i128(self, value: i128) -> Result<(), InvalidValue> {
        self.integer(value)
    }
    fn serialize_u8(self, value: u8) -> Result<(), InvalidValue> {
        self.integer(value.into())
    }
    fn serialize_u16(self, value: u16) -> Result<(), InvalidValue> {
        self.integer(value.into())
    }
    fn serialize_u32(self, value: u32) -> Result<(), InvalidValue> {
        self.integer(value.into())
    }
    fn serialize_u64(self, value: u64) -> Result<(), InvalidValue> {
        self.integer(value.into())
    }
    fn serialize_u128(self, value: u128) -> Result<(), InvalidValue> {
        match i128::try_from(value) {
            Ok(number) => self.integer(number),
            Err(_) => Err(refuse(too_large(&value.to_string()), "integer")),
        }
    }
    fn serialize_f32(self, value: f32) -> Result<(), InvalidValue> {
        if !value.is_finite() {
            return Err(Encoder::not_finite(f64::from(value)));
        }
        let _ = serde_json::to_writer(&mut self.out, &value);
        Ok(())
    }
    fn serialize_f64(self, value: f64) -> Result<(), InvalidValue> {
        if !value.is_finite() {
            return Err(Encoder::not_finite(value));
        }
        let _ = serde_json::to_writer(&mut self.out, &value);
        Ok(())
    }
    fn serialize_char(self, value: char) -> Result<(), InvalidValue> {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }
    fn serialize_str(self, value: &str) -> Result<(), InvalidValue> {
        self.text(value);
        Ok(())
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<(), InvalidValue> {
        Err(refuse("bytes are no JSON value; decode them to text, or encode them as base64", "type"))
    }
    fn serialize_none(self) -> Result<(), InvalidValue> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), InvalidValue> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), InvalidValue> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), InvalidValue> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), InvalidValue> {
        self.text(variant);
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), InvalidValue> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), InvalidValue> {
        let mut inside = self.open("{", "}", 1)?;
        inside.member(variant, value)?;
        inside.close()
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Inside<'a>, InvalidValue> {
        self.open("[", "]", 1)
    }
    fn serialize_tuple(self, _: usize) -> Result<Inside<'a>, InvalidValue> {
        self.open("[", "]", 1)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Inside<'a>, InvalidValue> {
        self.open("[", "]", 1)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Inside<'a>, InvalidValue> {
        self.variant(variant, "[", "]}")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Inside<'a>, InvalidValue> {
        self.open("{", "}", 1)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Inside<'a>, InvalidValue> {
        self.open("{", "}", 1)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Inside<'a>, InvalidValue> {
        self.variant(variant, "{", "}}")
    }
}

impl ser::SerializeMap for Inside<'_> {
    type Ok = ();
    type Error = InvalidValue;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), InvalidValue> {
        self.comma();
        let start = self.encoder.out.len();
        key.serialize(&mut *self.encoder)?;
        let written = &self.encoder.out[start..];
        if written.first() != Some(&b'"') {
            let shown = String::from_utf8_lossy(&written[..written.len().min(60)]).into_owned();
            return Err(refuse(format!("the key {shown} is no text, and keys must be"), "key"));
        }
        self.encoder.path.push(Place::Written(start, self.encoder.out.len()));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), InvalidValue> {
        self.encoder.out.push(b':');
        value.serialize(&mut *self.encoder)?;
        self.encoder.path.pop();
        Ok(())
    }

    fn end(self) -> Result<(), InvalidValue> {
        self.close()
    }
}

/// The other kinds of container are all one of two: a list of items, or members with known names.
macro_rules! list {
    ($kind:ident, $method:ident) => {
        impl ser::$kind for Inside<'_> {
            type Ok = ();
            type Error = InvalidValue;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), InvalidValue> {
                self.item(value)
            }
            fn end(self) -> Result<(), InvalidValue> {
                self.close()
            }
        }
    };
}

macro_rules! members {
    ($kind:ident) => {
        impl ser::$kind for Inside<'_> {
            type Ok = ();
            type Error = InvalidValue;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), InvalidValue> {
                self.member(key, value)
            }
            fn end(self) -> Result<(), InvalidValue> {
                self.close()
            }
        }
    };
}

list!(SerializeSeq, serialize_element);
list!(SerializeTuple, serialize_element);
list!(SerializeTupleStruct, serialize_field);
list!(SerializeTupleVariant, serialize_field);
members!(SerializeStruct);
members!(SerializeStructVariant);
