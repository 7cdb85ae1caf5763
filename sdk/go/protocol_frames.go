package nodeling

import "bytes"

const (
	maxFrameBytes = 16 << 20
	skipFactor    = 4       // a longer line is not skipped any more: whoever writes it is broken
	headBytes     = 4 << 10 // what is kept of a line that is skipped, to find its id in
)

// frameReader cuts a byte stream into lines, in memory bounded by the cap on one line.
type frameReader struct {
	max  int
	held []byte // of a line that has not ended; of one over the cap, its head
	size int    // of that line so far
}

// feed takes the next bytes and gives each line that they end; a line over the cap comes as its head,
// with its size. It is false when a line is so long that nothing can be read any more.
func (r *frameReader) feed(data []byte, take func(line []byte, size int)) bool {
	for {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			r.hold(data)
			return r.size <= skipFactor*r.max
		}
		line, size := data[:end], end
		if r.size > 0 {
			r.hold(line)
			line, size = r.held, r.size
		}
		r.held, r.size = nil, 0
		data = data[end+1:]
		if size > skipFactor*r.max {
			return false
		}
		if size <= r.max+1 && bytes.HasSuffix(line, []byte("\r")) {
			line, size = line[:len(line)-1], size-1
		}
		if size > r.max {
			line = line[:min(len(line), headBytes)]
		}
		if len(bytes.TrimSpace(line)) > 0 {
			take(line, size)
		}
	}
}

func (r *frameReader) hold(piece []byte) {
	r.size += len(piece)
	if r.size > r.max+1 { // one more, which may be a carriage return
		if len(r.held) < headBytes {
			r.held = append(r.held, piece[:min(len(piece), headBytes)]...)
		}
		r.held = r.held[:min(len(r.held), headBytes)]
		return
	}
	r.held = append(r.held, piece...)
}
