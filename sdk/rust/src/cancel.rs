//! Whether a call shall end: asked, awaited, and shared between threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tells long work that its call shall end. Clones are the same token.
///
/// The host cancels when a person, a deadline or a sibling's failure ends the call; what the handler returns
/// afterwards does not count any more.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_cancelled: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl CancelToken {
    /// Whether the call should end soon.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Acquire)
    }

    /// Sleeps for so long, or until the call shall end; whether it shall.
    pub fn wait(&self, at_most: Duration) -> bool {
        let end = Instant::now().checked_add(at_most);
        let mut held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_cancelled() {
            let left =
                end.map_or(Duration::from_secs(3600), |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            held = self.0.changed.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(crate) fn cancel(&self) {
        let _held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.is_cancelled.store(true, Ordering::Release);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_thread_is_woken_by_the_cancel() {
        let token = CancelToken::default();
        assert!(!token.wait(Duration::from_millis(1)));
        let other = token.clone();
        let waiting = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        token.cancel();
        assert!(waiting.join().expect("it does not panic"));
    }
}
