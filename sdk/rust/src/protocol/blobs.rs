//! Values by reference: how a blob stands in a frame, and how its file is written and read.
//!
//! `{"$blob": {path, size, media_type, encoding}}` names a file in the connection's blob folder. A file is
//! complete before its name is sent, and a name never leads out of that folder.

use crate::error::{code, Error};
use crate::protocol::frames::contains;
use crate::values::{decode, encode, InvalidValue};
use serde_json::{json, Map, Value};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const KEY: &str = "$blob";
const LARGEST_JSON_BLOB: u64 = 256 * 1024 * 1024; // a value is decoded whole, so there is an end to it

fn refused(message: String) -> Error {
    Error::new(message).code(code::INVALID_INPUT).kind("BlobError").retryable(false)
}

/// Whether a value has the shape of a reference.
fn is_reference(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|members| members.len() == 1 && members.get(KEY).is_some_and(Value::is_object))
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// Whether a value is a reference to a file that is in the folder: nobody guesses such a name.
fn names_file(value: &Value, folder: Option<&str>) -> bool {
    let Some(folder) = folder.filter(|_| is_reference(value)) else { return false };
    let name = value[KEY]["path"].as_str().filter(|name| is_plain(name));
    name.is_some_and(|name| Path::new(folder).join(name).symlink_metadata().is_ok())
}

/// Whether there is a reference to a file of the folder anywhere in a value.
pub(crate) fn holds_blob(value: &Value, folder: Option<&str>) -> bool {
    match value {
        reference if names_file(reference, folder) => true,
        Value::Object(members) => members.values().any(|item| holds_blob(item, folder)),
        Value::Array(items) => items.iter().any(|item| holds_blob(item, folder)),
        _ => false,
    }
}

/// Puts what is read into the blob folder, whole or not at all; gives what stands for it.
pub(crate) fn write_blob(
    folder: &str,
    data: &mut dyn Read,
    media_type: &str,
    encoding: &str,
) -> std::io::Result<Value> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("n-{:x}-{nanos:x}-{count:x}", std::process::id());
    let target = Path::new(folder).join(&name);
    let partial = target.with_extension("tmp");
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut file| std::io::copy(data, &mut file))
        .and_then(|size| std::fs::rename(&partial, &target).map(|()| size));
    match written {
        Ok(size) => {
            Ok(json!({KEY: {"path": name, "size": size, "media_type": media_type, "encoding": encoding}}))
        }
        Err(error) => {
            let _ = std::fs::remove_file(&partial); // what went wrong first is what is told
            Err(error)
        }
    }
}

fn put_json(folder: &str, mut data: &[u8]) -> std::io::Result<Value> {
    write_blob(folder, &mut data, "application/json", "json")
}

/// A value for the wire, with whatever in it is long and holds no reference in a blob.
fn put_aside(value: Value, folder: &str, limit: usize) -> Result<Value, Aside> {
    if names_file(&value, Some(folder)) {
        return Ok(value);
    }
    let data = encode(&value)?;
    if data.len() < limit {
        return Ok(escape(value, Some(folder)));
    }
    if !holds_blob(&value, Some(folder)) {
        return Ok(put_json(folder, &data)?);
    }
    Ok(match value {
        Value::Object(members) => {
            let mut found = Map::new();
            for (key, item) in members {
                found.insert(escaped(key), put_aside(item, folder, limit)?);
            }
            Value::Object(found)
        }
        Value::Array(items) => {
            let items: Result<_, _> = items.into_iter().map(|item| put_aside(item, folder, limit)).collect();
            Value::Array(items?)
        }
        scalar => scalar,
    })
}

/// Why a value does not travel: it cannot, or its file cannot be written.
pub(crate) enum Aside {
    Invalid(InvalidValue),
    Unwritten(std::io::Error),
}

impl From<InvalidValue> for Aside {
    fn from(fault: InvalidValue) -> Self {
        Aside::Invalid(fault)
    }
}

impl From<std::io::Error> for Aside {
    fn from(error: std::io::Error) -> Self {
        Aside::Unwritten(error)
    }
}

/// Encoded JSON as it travels: put into a blob when it is large, own keys `$blob` escaped.
pub(crate) fn travelling(data: Vec<u8>, folder: Option<&str>, limit: usize) -> Result<Vec<u8>, Aside> {
    let may_hold = contains(&data, b"blob\"");
    match folder {
        Some(folder) if may_hold => Ok(encode(&put_aside(decode(&data)?, folder, limit)?)?),
        Some(folder) if data.len() >= limit => Ok(put_json(folder, &data)?.to_string().into_bytes()),
        None if may_hold => Ok(encode(&escape(decode(&data)?, None))?),
        _ => Ok(data),
    }
}

/// The file that a reference names, opened without following any link.
pub(crate) fn open_blob(folder: &str, reference: &Value) -> Result<File, Error> {
    let about = reference.get(KEY).ok_or_else(|| refused("this is no reference to a blob".into()))?;
    let name = about.get("path").and_then(Value::as_str).unwrap_or_default();
    if !is_plain(name) {
        return Err(refused(format!("the blob '{name}' is not a plain name in the blob folder")));
    }
    let file = open_in(folder, name)
        .map_err(|error| refused(format!("the blob '{name}' cannot be opened: {error}")))?;
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(refused(format!("the blob '{name}' is no regular file")));
    }
    let size = about.get("size").and_then(Value::as_u64);
    if size != Some(status.len()) {
        let wanted = size.map_or("what was told".into(), |size| size.to_string());
        return Err(refused(format!("the blob '{name}' has {} bytes, not {wanted}", status.len())));
    }
    Ok(file)
}

fn open_in(folder: &str, name: &str) -> std::io::Result<File> {
    let parent = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(folder)?;
    let name = CString::new(name)?;
    // Opening a pipe for reading would wait for a writer.
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: the folder is open and the name ends in a zero byte; the new descriptor is nobody else's.
    let descriptor = unsafe { libc::openat(parent.as_raw_fd(), name.as_ptr(), flags) };
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// A value as a node reads it: blobs of JSON in place, others as references, keys unescaped.
pub(crate) fn resolve(value: Value, folder: Option<&str>) -> Result<Value, Error> {
    Ok(match value {
        reference if is_reference(&reference) => {
            if reference[KEY]["encoding"] == "json" {
                read_json(&reference, folder)?
            } else {
                reference
            }
        }
        Value::Object(members) => {
            let mut found = Map::new();
            for (key, item) in members {
                found.insert(unescaped(key), resolve(item, folder)?);
            }
            Value::Object(found)
        }
        Value::Array(items) => {
            let items: Result<_, _> = items.into_iter().map(|item| resolve(item, folder)).collect();
            Value::Array(items?)
        }
        scalar => scalar,
    })
}

fn read_json(reference: &Value, folder: Option<&str>) -> Result<Value, Error> {
    let folder = folder.ok_or_else(|| refused("there is a blob, and no blob folder was named".into()))?;
    let mut file = open_blob(folder, reference)?;
    if file.metadata()?.len() > LARGEST_JSON_BLOB {
        return Err(refused(format!(
            "the blob is over {LARGEST_JSON_BLOB} bytes; send it with encoding raw"
        )));
    }
    let mut data = Vec::new();
    file.read_to_end(&mut data)?;
    decode(&data).map_err(|fault| refused(format!("the blob is no JSON value: {fault}")))
}

/// A value for the wire: a key `$blob` of the author's own gets one more `$`, a reference stays as it is.
fn escape(value: Value, folder: Option<&str>) -> Value {
    match value {
        reference if names_file(&reference, folder) => reference,
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(key, item)| (escaped(key), escape(item, folder))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| escape(item, folder)).collect()),
        scalar => scalar,
    }
}

/// How many `$` stand before `blob`, when nothing else does.
fn dollars(key: &str) -> usize {
    key.strip_suffix("blob").filter(|rest| rest.bytes().all(|byte| byte == b'$')).map_or(0, str::len)
}

fn escaped(key: String) -> String {
    if dollars(&key) > 0 {
        format!("${key}")
    } else {
        key
    }
}

fn unescaped(mut key: String) -> String {
    if dollars(&key) > 1 {
        key.remove(0);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of one test, removed when it ends.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("nodeling-blobs-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a folder");
            Folder(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().expect("a text")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn sent(value: &Value, folder: Option<&str>, limit: usize) -> Value {
        let data = encode(value).expect("JSON");
        match travelling(data, folder, limit) {
            Ok(data) => decode(&data).expect("JSON"),
            Err(Aside::Invalid(fault)) => panic!("{fault}"),
            Err(Aside::Unwritten(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn an_own_key_is_escaped_and_a_reference_to_a_file_is_not() {
        let folder = Folder::new("keys");
        let reference =
            write_blob(folder.path(), &mut b"raw".as_slice(), "text/plain", "raw").expect("a file");
        let given = json!({"a": reference, "b": {"$$blob": {"path": "mine"}}, "c": [{"$$$blob": 1}]});
        let seen = resolve(given.clone(), None).expect("no file is read");
        assert_eq!(seen["b"], json!({"$blob": {"path": "mine"}}));
        assert_eq!(sent(&seen, Some(folder.path()), 1000), given);
        assert_eq!(
            sent(&json!({"$blob": {"path": "none"}}), Some(folder.path()), 1000),
            json!({"$$blob": {"path": "none"}})
        );
        assert_eq!(sent(&json!({"$blob": 1}), None, 1000), json!({"$$blob": 1}));
    }

    #[test]
    fn a_long_value_is_put_aside_as_it_is_and_in_parts_around_a_reference() {
        let folder = Folder::new("aside");
        let long = json!({"$blob": "x".repeat(100)});
        let whole = sent(&long, Some(folder.path()), 50);
        assert_eq!(whole[KEY]["encoding"], "json");
        assert_eq!(resolve(whole, Some(folder.path())).expect("a value"), long);
        let raw = write_blob(folder.path(), &mut b"raw".as_slice(), "text/plain", "raw").expect("a file");
        let parts = sent(&json!({"raw": raw, "long": long, "short": 1}), Some(folder.path()), 150);
        assert_eq!((&parts["raw"], &parts["short"]), (&raw, &json!(1)));
        assert!(parts["long"]["$$blob"].is_string(), "what is short enough stays in its place");
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        let folder = Folder::new("names");
        let path = folder.path();
        std::os::unix::fs::symlink("/etc/passwd", folder.0.join("link")).expect("a link");
        let written = put_json(path, b"[1,2]").expect("a file");
        assert_eq!(resolve(written.clone(), Some(path)).expect("a value"), json!([1, 2]));
        for name in ["link", "..", ".", "/etc/passwd", "a/b", "", "none"] {
            let wrong = json!({KEY: {"path": name, "size": 5, "encoding": "json"}});
            assert!(resolve(wrong, Some(path)).is_err(), "{name}");
        }
        let mut short = written;
        short[KEY]["size"] = json!(4);
        assert!(resolve(short, Some(path)).is_err());
    }
}
