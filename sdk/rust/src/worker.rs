//! Runs one node for a host: one thread reads and dispatches, a thread for each call under way runs it.
//!
//! The host sets `NODELING=1`, and `NODELING_FDS=<read>,<write>` where it passes a private pipe pair; else
//! stdin and stdout are the channel and are moved out of the node's reach first. The reading thread
//! never writes and never waits for a call, so a busy call delays neither a cancel nor a ping, and the
//! channel's end is seen at once.

pub(crate) mod call;
mod channel;
mod crew;
mod failure;
mod mask;
mod options;

use crate::context::Context;
use crate::error::Error;
use crate::protocol::frames::{Event, FrameReader};
use crate::protocol::node::{result_frame, Id, Request, Session};
use call::Call;
use channel::{Channel, Outlet};
use crew::Crew;
pub(crate) use options::Options;
use serde_json::{json, Value};
use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const EX_USAGE: u8 = 64;
const EXIT_GRACE: Duration = Duration::from_secs(1); // what running handlers get, once told to end
const FLUSH_BOUND: Duration = Duration::from_millis(200); // nobody may be reading the log any more

/// A node, its types forgotten: inputs in, encoded output out.
pub(crate) type Handler = Box<dyn Fn(&Context, Value) -> Result<Vec<u8>, Error> + Send + Sync>;

/// A lock whose holder may have panicked; what it guards is whole after every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the calls of one process share.
pub(crate) struct Worker {
    pub options: Options,
    pub handler: Handler,
    pub session: Mutex<Session>,
    outlet: Mutex<Outlet>,
    calls: Mutex<HashMap<Id, Arc<Call>>>,
    ended: Condvar,
}

impl Worker {
    /// Writes an event of a call, unless the host did not offer the feature or the call has ended.
    pub fn tell(&self, feature: &str, id: &Id, frame: &[u8]) -> bool {
        let mut outlet = lock(&self.outlet);
        {
            let session = lock(&self.session);
            let is_wanted = session.features.contains(feature) && session.open.contains(id);
            if !is_wanted || frame.len() - 1 > session.max_frame_bytes {
                return false;
            }
        }
        outlet.write(frame);
        true
    }

    /// Writes a call's terminal frame, after which nothing more is said of it.
    fn finish(&self, call: &Call, frame: &[u8]) {
        call.end();
        {
            let mut outlet = lock(&self.outlet);
            lock(&self.session).open.remove(&call.id);
            outlet.write(frame);
        }
        lock(&self.calls).remove(&call.id);
        self.ended.notify_all();
    }

    /// Runs a call to its terminal frame, in this thread.
    fn run(self: &Arc<Self>, call: &Arc<Call>) {
        let frame = call.run(self);
        self.finish(call, &frame);
    }

    /// Waits until no call is under way; whether that came true in time.
    fn settle(&self, within: Option<Duration>) -> bool {
        let end = within.map(|within| Instant::now() + within);
        let mut calls = lock(&self.calls);
        while !calls.is_empty() {
            let left =
                end.map_or(Duration::from_secs(3600), |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            calls = self.ended.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn find(&self, id: &Id) -> Option<Arc<Call>> {
        lock(&self.calls).get(id).cloned()
    }
}

/// Serves until the host is gone or says that it is enough.
pub(crate) fn serve(handler: Handler) -> ExitCode {
    let started = Options::read(std::env::args().skip(1)).and_then(|options| {
        if std::env::var("NODELING").as_deref() != Ok("1") {
            return Err("this is the side of a node that a host talks to, and there is no host here".into());
        }
        Ok((options, Channel::open()?))
    });
    let (options, channel) = match started {
        Ok(started) => started,
        Err(said) => {
            eprintln!("{said}\nTo run a node by hand: nodectl test DIR, or nodectl run FILE");
            return ExitCode::from(EX_USAGE);
        }
    };
    failure::note_panics();
    let session = Session::new(&options.name, &options.version, options.concurrency);
    let worker = Arc::new(Worker {
        options,
        handler,
        session: Mutex::new(session),
        outlet: Mutex::new(channel.outlet),
        calls: Mutex::default(),
        ended: Condvar::new(),
    });
    let clerk = start_clerk();
    let crew = Crew::new(&worker);
    let mut inlet = channel.inlet;
    let mut reader = FrameReader::new(lock(&worker.session).max_frame_bytes);
    while let Some(data) = inlet.read() {
        dispatch(data, &mut reader, &worker, &crew, &clerk);
    }
    // The host is gone: every call shall end, and this process with them.
    for call in lock(&worker.calls).values() {
        call.cancel();
    }
    let is_settled = worker.settle(Some(EXIT_GRACE));
    leave(if is_settled { 0 } else { 1 })
}

/// What must not hold up the reading thread, in the order in which it was found.
type Errand = Box<dyn FnOnce() + Send>;

fn start_clerk() -> Sender<Errand> {
    let (sender, errands) = mpsc::channel::<Errand>();
    thread::spawn(move || errands.into_iter().for_each(|errand| errand()));
    sender
}

fn dispatch(
    mut data: &[u8],
    reader: &mut FrameReader,
    worker: &Arc<Worker>,
    crew: &Crew,
    clerk: &Sender<Errand>,
) {
    while !data.is_empty() {
        let (event, taken) = reader.next(data);
        data = &data[taken..];
        let Some(event) = event else { continue };
        if matches!(event, Event::Overrun) {
            leave(1); // nothing can be read any more
        }
        let received = {
            let mut session = lock(&worker.session);
            let received = session.receive(event);
            reader.max_bytes = session.max_frame_bytes;
            received
        };
        if let Some(frame) = received.reply {
            let worker = worker.clone();
            // The clerk lives as long as the process.
            let _ = clerk.send(Box::new(move || lock(&worker.outlet).write(&frame)));
        }
        if let Some(request) = received.request {
            heed(request, worker, crew, clerk);
        }
    }
}

fn heed(request: Request, worker: &Arc<Worker>, crew: &Crew, clerk: &Sender<Errand>) {
    match request {
        Request::Invoke(invoke) => {
            let call = Arc::new(Call::new(*invoke, worker));
            lock(&worker.calls).insert(call.id.clone(), call.clone());
            crew.submit(call);
        }
        Request::Cancel(id) => {
            let Some(call) = worker.find(&id) else { return };
            call.cancel();
            if crew.withdraw(&call) {
                let worker = worker.clone();
                let _ = clerk.send(Box::new(move || worker.run(&call)));
            }
        }
        Request::Credit(id, n) => {
            if let Some(call) = worker.find(&id) {
                call.grant(n);
            }
        }
        Request::Shutdown(id) => {
            let worker = worker.clone();
            thread::spawn(move || {
                worker.settle(None);
                lock(&worker.outlet).write(&result_frame(&id, &json!({})));
                leave(0); // the reading thread stands in a read that nothing but the host can end
            });
        }
    }
}

/// Ends the process without its exit handlers, which a busy handler could hold up.
pub(crate) fn leave(status: i32) -> ! {
    let (sender, flushed) = mpsc::channel();
    let flusher = thread::Builder::new().spawn(move || {
        let _ = std::io::stdout().flush(); // to a log whose reader may be gone
        let _ = sender.send(());
    });
    if flusher.is_ok() {
        let _ = flushed.recv_timeout(FLUSH_BOUND);
    }
    // SAFETY: it ends the process and touches no memory.
    unsafe { libc::_exit(status) }
}
