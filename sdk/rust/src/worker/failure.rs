//! A handler that panics: its message and place, as the failure of its call.

use crate::error::Error;
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the place of each panic for its call, and lets it be printed as ever.
pub(crate) fn note_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let mut place = info.location().map_or_else(String::new, |location| format!("at {location}"));
        let trace = Backtrace::capture(); // only where RUST_BACKTRACE asks for it
        if trace.status() == BacktraceStatus::Captured {
            place = format!("{place}\n{trace}");
        }
        PLACE.with(|kept| *kept.borrow_mut() = Some(place));
        before(info);
    }));
}

/// What a panic comes to.
pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    let mut error = Error::new(text.unwrap_or_else(|| "the node panicked".into())).kind("Panic");
    error.0.traceback = PLACE.with(|kept| kept.borrow_mut().take());
    error
}

/// The traceback of an error whose code is not the author's own: what it was, and where it was made.
pub(crate) fn with_traceback(mut error: Error) -> Error {
    error.0.traceback = match (error.0.is_own, error.0.traceback.take()) {
        (false, Some(place)) => Some(format!("{}: {}\n    {place}", error.0.kind, error.0.message)),
        _ => None,
    };
    error
}
