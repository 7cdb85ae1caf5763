//! The vectors that every SDK reads alike, and what serde can hand to the encoder.

use nodeling::{decode, encode};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// The text that a vector writes down whole, in pieces with their counts, or as bytes.
fn text_of(vector: &Value) -> Vec<u8> {
    if let Some(hex) = vector["hex"].as_str() {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
        return (0..hex.len()).step_by(2).map(byte).collect();
    }
    match &vector["text"] {
        Value::Array(pieces) => pieces
            .iter()
            .map(|piece| {
                piece[0].as_str().expect("a text").repeat(piece[1].as_u64().expect("a count") as usize)
            })
            .collect::<String>()
            .into_bytes(),
        text => text.as_str().expect("a text").as_bytes().to_vec(),
    }
}

#[test]
fn the_decoder_follows_the_shared_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/unit/value_vectors.json");
    let text = std::fs::read_to_string(path).expect("the vectors stand beside the SDKs");
    // The pointer to a key that is a lone surrogate cannot be read by a reader that refuses those.
    let text = text.replace(r#""pointer": "/\ud800""#, r#""pointer": "/""#);
    let vectors: Value = serde_json::from_str(&text).expect("JSON");
    let vectors = vectors["decode"].as_array().expect("a list");
    assert!(vectors.len() > 50);
    for vector in vectors {
        let name = vector["name"].as_str().expect("a name");
        match (decode(&text_of(vector)), vector.get("value")) {
            (Ok(found), Some(value)) => assert_eq!(&found, value, "{name}"),
            (Err(fault), None) => {
                assert_eq!(fault.kind, vector["kind"], "{name}");
                // Where it nests too deep is said here, and not by every SDK.
                if fault.kind != "depth" {
                    assert_eq!(
                        fault.pointer.replace(char::REPLACEMENT_CHARACTER, ""),
                        vector["pointer"],
                        "{name}"
                    );
                }
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn what_is_encoded_is_decoded_again() {
    let value = json!({"a": [1, -1.5, 1e300, null, true, "\u{0}\u{1f}\"\\\u{2028}é😀"], "": {}, "b": []});
    let data = encode(&value).expect("it can travel");
    assert_eq!(decode(&data).expect("it came back"), value);
    assert!(!data.contains(&b'\n'));
}

#[test]
fn every_shape_that_serde_has_is_written_as_serde_json_writes_it() {
    struct Shape;
    impl Serialize for Shape {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut members = serializer.serialize_struct("Shape", 3)?;
            members.serialize_field("tuple", &(1u8, -2i64, 'c', "text", 1.5f32))?;
            members.serialize_field("map", &BTreeMap::from([("k", Some(1)), ("n", None)]))?;
            members.serialize_field("result", &[Ok::<u8, ()>(1), Err(())])?;
            members.end()
        }
    }
    let written = encode(&Shape).expect("it can travel");
    assert_eq!(String::from_utf8(written), serde_json::to_string(&Shape).map_err(|_| unreachable!()));
}

#[test]
fn what_cannot_travel_is_said_with_its_place() {
    for (found, kind, pointer) in [
        (encode(&json!({"a": [0, 1_i64 << 53]})), "integer", "/a/1"),
        (encode(&u128::MAX), "integer", ""),
        (encode(&BTreeMap::from([("x/y", [f64::NAN])])), "nan", "/x~1y/0"),
        (encode(&[f32::NEG_INFINITY]), "nan", "/0"),
        (encode(&[BTreeMap::from([(7, 1)])]), "key", "/0"),
        (encode(&BTreeMap::from([(None::<String>, 1)])), "key", ""),
    ] {
        let fault = found.expect_err(pointer);
        assert_eq!((fault.kind, fault.pointer.as_str()), (kind, pointer), "{fault}");
    }
}

#[test]
fn sixty_four_levels_travel_and_sixty_five_do_not() {
    let nest = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    assert!(encode(&nest(64)).and_then(|data| decode(&data)).is_ok());
    let fault = encode(&nest(65)).expect_err("too deep");
    assert_eq!((fault.kind, fault.pointer.len()), ("depth", 128));
    let text = "[".repeat(65) + &"]".repeat(65);
    assert_eq!(decode(text.as_bytes()).expect_err("too deep").kind, "depth");
}
