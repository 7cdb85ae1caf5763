//! The worker's private line to its host, kept clear of everything the node prints or reads.
//!
//! Nothing but [`Outlet::write`] reaches the host's reader. Both descriptors are closed to children.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{FromRawFd, RawFd};

const READ_BYTES: usize = 65536;
const FDS_VARIABLE: &str = "NODELING_FDS";

pub(crate) struct Channel {
    pub inlet: Inlet,
    pub outlet: Outlet,
}

/// Where frames come from.
pub(crate) struct Inlet {
    file: File,
    buffer: Vec<u8>,
}

/// Where frames go.
pub(crate) struct Outlet(File);

impl Inlet {
    /// The next bytes; none when the host is gone.
    pub fn read(&mut self) -> Option<&[u8]> {
        loop {
            match self.file.read(&mut self.buffer) {
                Ok(0) => return None,
                Ok(size) => return Some(&self.buffer[..size]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

impl Outlet {
    /// Writes whole frames; the caller holds the one lock. Without a host the process ends.
    pub fn write(&mut self, frames: &[u8]) {
        if self.0.write_all(frames).is_err() {
            super::leave(1); // nobody listens any more
        }
    }
}

impl Channel {
    /// The pipes that `NODELING_FDS` names, else stdin and stdout moved out of everybody's way.
    pub fn open() -> Result<Channel, String> {
        let (reader, writer) = match std::env::var(FDS_VARIABLE) {
            Ok(named) => {
                std::env::remove_var(FDS_VARIABLE);
                named_pipes(&named)
                    .ok_or_else(|| format!("{FDS_VARIABLE}='{named}' names no two open pipes"))?
            }
            Err(_) => moved_aside().map_err(|error| format!("stdin and stdout cannot be moved: {error}"))?,
        };
        // SAFETY: both are open, and from here on nobody else's.
        let (reader, writer) = unsafe { (File::from_raw_fd(reader), File::from_raw_fd(writer)) };
        Ok(Channel { inlet: Inlet { file: reader, buffer: vec![0; READ_BYTES] }, outlet: Outlet(writer) })
    }
}

fn named_pipes(named: &str) -> Option<(RawFd, RawFd)> {
    let (reader, writer) = named.split_once(',')?;
    let (reader, writer) = (reader.parse().ok()?, writer.parse().ok()?);
    (reader != writer && own(reader) && own(writer)).then_some((reader, writer))
}

/// Makes a descriptor close-on-exec and blocking; false when it is not open.
fn own(descriptor: RawFd) -> bool {
    // SAFETY: these calls change flags of a descriptor, and fail when there is none.
    unsafe {
        let flags = libc::fcntl(descriptor, libc::F_GETFL);
        flags >= 0
            && libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) == 0
            && libc::fcntl(descriptor, libc::F_SETFL, flags & !libc::O_NONBLOCK) == 0
    }
}

/// Points fd 0 at the null device and fd 1 at fd 2, and gives what they were.
fn moved_aside() -> std::io::Result<(RawFd, RawFd)> {
    let checked = |result: RawFd| if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) };
    // SAFETY: descriptors are copied and replaced by the kernel; no memory is shared.
    unsafe {
        let reader = checked(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3))?;
        let writer = checked(libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3))?;
        let nothing = checked(libc::open(b"/dev/null\0".as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC))?;
        checked(libc::dup2(nothing, 0))?;
        libc::close(nothing);
        checked(libc::dup2(2, 1))?;
        Ok((reader, writer))
    }
}
