//! Values by reference: how a blob stands in a frame, and how its file is written and read.
//!
//! `{"$blob": {path, size, media_type, encoding}}` names a file in the connection's blob folder. A file is
//! complete before its name is sent, and a name never leads out of that folder.

use crate::error::{code, Error};
use crate::values::decode;
use serde_json::{json, Map, Value};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
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
pub(crate) fn is_reference(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|members| members.len() == 1 && members.get(KEY).is_some_and(Value::is_object))
}

/// Puts bytes into the blob folder, whole or not at all; gives what stands for them.
pub(crate) fn write_blob(folder: &str, data: &[u8]) -> std::io::Result<Value> {
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
        .and_then(|mut file| file.write_all(data))
        .and_then(|()| std::fs::rename(&partial, &target));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&partial); // what went wrong first is what is told
        return Err(error);
    }
    Ok(json!({KEY: {"path": name, "size": data.len(), "media_type": "application/json", "encoding": "json"}}))
}

/// The file that a reference names, opened without following any link.
pub(crate) fn open_blob(folder: &str, reference: &Value) -> Result<File, Error> {
    let about = reference.get(KEY).ok_or_else(|| refused("this is no reference to a blob".into()))?;
    let name = about.get("path").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
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

/// A value as a node reads it: blobs of JSON in place, others as references, keys unescaped. The
/// references that stay are kept in `kept`, so that the same object is known again in an output.
pub(crate) fn resolve(value: Value, folder: Option<&str>, kept: &mut Vec<Value>) -> Result<Value, Error> {
    Ok(match value {
        reference if is_reference(&reference) => {
            if reference[KEY]["encoding"] == "json" {
                read_json(&reference, folder)?
            } else {
                kept.push(reference.clone());
                reference
            }
        }
        Value::Object(members) => {
            let mut found = Map::new();
            for (key, item) in members {
                found.insert(unescaped(key), resolve(item, folder, kept)?);
            }
            Value::Object(found)
        }
        Value::Array(items) => {
            let items: Result<_, _> = items.into_iter().map(|item| resolve(item, folder, kept)).collect();
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

/// A value for the wire: a key `$blob` of the author's own gets one more `$`; the references in `kept`
/// stay as they are.
pub(crate) fn escape(value: Value, kept: &[Value]) -> Value {
    match value {
        reference if is_reference(&reference) && kept.contains(&reference) => reference,
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, item)| (escaped(key), escape(item, kept))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| escape(item, kept)).collect()),
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

    #[test]
    fn an_own_key_is_escaped_and_a_known_reference_is_not() {
        let reference = json!({"$blob": {"path": "b", "size": 1, "encoding": "raw"}});
        let sent = json!({"a": reference, "b": {"$$blob": {"path": "mine"}}, "c": [{"$$$blob": 1}]});
        let mut kept = Vec::new();
        let seen = resolve(sent.clone(), None, &mut kept).expect("no file is read");
        assert_eq!(seen["b"], json!({"$blob": {"path": "mine"}}));
        assert_eq!(escape(seen, &kept), sent);
        assert_eq!(escape(json!({"$blob": 1}), &kept), json!({"$$blob": 1}));
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        let folder = std::env::temp_dir().join(format!("nodeling-blobs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).expect("a link");
        let path = folder.to_str().expect("a text");
        let written = write_blob(path, b"[1,2]").expect("a file");
        assert_eq!(resolve(written.clone(), Some(path), &mut Vec::new()).expect("a value"), json!([1, 2]));
        for name in ["link", "..", ".", "/etc/passwd", "a/b", "", "none", "."] {
            let wrong = json!({KEY: {"path": name, "size": 5, "encoding": "json"}});
            assert!(resolve(wrong, Some(path), &mut Vec::new()).is_err(), "{name}");
        }
        let mut short = written;
        short[KEY]["size"] = json!(4);
        assert!(resolve(short, Some(path), &mut Vec::new()).is_err());
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
    }
}
