package nodeling

import (
	"os"
	"sync"
	"time"
)

const exitGrace = time.Second // what running handlers get, once told, to clean up behind themselves

// worker is what the calls of one process share. The lock covers the connection and what is written, so
// that nothing is said of a call behind its terminal frame.
type worker struct {
	options options
	run     handler
	channel channel

	mu       sync.Mutex
	conn     *connection
	host     greeting
	calls    map[string]*Call // those that have not ended
	queue    []*Call          // of them, those that wait for a place
	running  int
	isGone   bool          // the host is; nothing is written any more
	drain    *shutdown     // what to answer with the end of the last call
	finished chan struct{} // closed when there will be no more calls and none is left
}

func newWorker(channel channel, options options, run handler) *worker {
	return &worker{
		options:  options,
		run:      run,
		channel:  channel,
		conn:     newConnection(options.name, options.version, options.concurrency),
		host:     greeting{maxFrame: maxFrameBytes, spillBytes: spillBytes, logLevel: "info"},
		calls:    map[string]*Call{},
		finished: make(chan struct{}),
	}
}

// serve reads and dispatches until the host is gone or says that it is enough; its exit status.
func (w *worker) serve() int {
	status := make(chan int, 1)
	go func() { status <- w.read() }()
	select {
	case code := <-status:
		return code
	case <-w.finished: // after node/shutdown; the reader stands in a read that only the host can end
		return 0
	}
}

func (w *worker) read() int {
	buffer := make([]byte, readBytes)
	for {
		data := w.channel.read(buffer)
		if len(data) == 0 {
			w.hungUp()
			return 0
		}
		if !w.receive(data) {
			return 1
		}
	}
}

// receive takes the next bytes from the host.
func (w *worker) receive(data []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, ok := w.conn.receive(data)
	w.write(w.conn.take())
	for _, event := range events {
		w.heed(event)
	}
	return ok
}

func (w *worker) heed(event any) {
	switch event := event.(type) {
	case greeting:
		w.host = event
	case invoke:
		call := newCall(w, event)
		w.calls[event.id] = call
		w.queue = append(w.queue, call)
		w.start()
	case cancelCall:
		w.cancel(event.id)
	case moreCredit:
		if call := w.calls[event.id]; call != nil {
			call.grant(event.n)
		}
	case shutdown:
		w.drain = &event
		w.settle()
	}
}

// start gives the calls that wait to the places that are free.
func (w *worker) start() {
	for w.running < w.options.concurrency && len(w.queue) > 0 {
		call := w.queue[0]
		w.queue = w.queue[1:]
		w.running++
		go call.run()
	}
}

func (w *worker) cancel(id string) {
	call := w.calls[id]
	if call == nil {
		return
	}
	call.cancel()
	for i, waiting := range w.queue {
		if waiting == call {
			w.queue = append(w.queue[:i:i], w.queue[i+1:]...)
			w.write(w.conn.failure(id, unstarted(cancelled())))
			delete(w.calls, id)
			w.settle()
			return
		}
	}
}

// finish writes a call's terminal frame and gives its place away.
func (w *worker) finish(call *Call, make func(conn *connection) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write(make(w.conn))
	delete(w.calls, call.id)
	w.running--
	w.start()
	w.settle()
}

// settle answers node/shutdown when nothing is left to do.
func (w *worker) settle() {
	if len(w.calls) > 0 || (w.drain == nil && !w.isGone) {
		return
	}
	if w.drain != nil {
		w.conn.reply(w.drain.id, []byte("{}"))
		w.write(w.conn.take())
		w.drain = nil
	}
	select {
	case <-w.finished:
	default:
		close(w.finished)
	}
}

// tell writes a notification of a call.
func (w *worker) tell(feature, id string, params []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write(w.conn.tell(feature, id, params))
}

func (w *worker) write(data []byte) {
	if len(data) == 0 || w.isGone {
		return
	}
	if !w.channel.write(data) {
		os.Exit(1) // nobody listens any more
	}
}

// hungUp ends what still runs: the host is gone. A handler that does not end goes with the process.
func (w *worker) hungUp() {
	w.mu.Lock()
	w.isGone = true
	for _, call := range w.queue {
		delete(w.calls, call.id)
	}
	w.queue = nil
	for _, call := range w.calls {
		call.cancel()
	}
	w.settle()
	w.mu.Unlock()
	select {
	case <-w.finished:
	case <-time.After(exitGrace):
	}
}

func cancelled() wireError { return refusal(Cancelled, "Cancelled", "cancelled") }
