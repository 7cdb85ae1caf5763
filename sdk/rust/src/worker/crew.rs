//! As many threads as calls are under way, at most as many as the node's concurrency.

use super::call::Call;
use super::{lock, Worker};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Arc<Call>>,
    idle: usize,
    threads: usize,
}

struct Shared {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

pub(crate) struct Crew {
    worker: Arc<Worker>,
    shared: Arc<Shared>,
}

impl Crew {
    pub fn new(worker: &Arc<Worker>) -> Self {
        let shared = Arc::new(Shared { jobs: Mutex::default(), changed: Condvar::new() });
        Crew { worker: worker.clone(), shared }
    }

    /// Lets a call run as soon as a thread is free.
    pub fn submit(&self, call: Arc<Call>) {
        let mut jobs = lock(&self.shared.jobs);
        jobs.waiting.push_back(call);
        if jobs.waiting.len() > jobs.idle && jobs.threads < self.worker.options.concurrency {
            jobs.threads += 1;
            let (worker, shared) = (self.worker.clone(), self.shared.clone());
            let name = format!("call-{}", jobs.threads);
            if thread::Builder::new().name(name).spawn(move || work(&worker, &shared)).is_err() {
                jobs.threads -= 1; // the call waits for a thread that there is
                if jobs.threads == 0 {
                    eprintln!("no thread can be started, so no call can be served");
                    super::leave(1);
                }
            }
        }
        drop(jobs);
        self.shared.changed.notify_one();
    }

    /// Takes back a call that no thread has begun; false when one has.
    pub fn withdraw(&self, call: &Arc<Call>) -> bool {
        let mut jobs = lock(&self.shared.jobs);
        let before = jobs.waiting.len();
        jobs.waiting.retain(|waiting| !Arc::ptr_eq(waiting, call));
        jobs.waiting.len() < before
    }
}

fn work(worker: &Arc<Worker>, shared: &Shared) {
    loop {
        let call = {
            let mut jobs = lock(&shared.jobs);
            jobs.idle += 1;
            let call = loop {
                if let Some(call) = jobs.waiting.pop_front() {
                    break call;
                }
                jobs = shared.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            };
            jobs.idle -= 1;
            call
        };
        worker.run(&call);
    }
}
