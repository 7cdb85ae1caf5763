//go:build unix

package nodeling

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const readBytes = 64 << 10

// channel is the process's private line to its host: nothing but write reaches the host's reader.
//
// The reader is a file that does not block its thread, so that a call which has just come in runs on the
// thread that read it; a write blocks, for the host reads on.
type channel struct {
	reader *os.File
	writer int
}

func newChannel(reader, writer int) (channel, error) {
	if err := syscall.SetNonblock(reader, true); err != nil {
		return channel{}, err
	}
	if err := syscall.SetNonblock(writer, false); err != nil {
		return channel{}, err
	}
	return channel{os.NewFile(uintptr(reader), "channel"), writer}, nil
}

// grabbed is the channel, taken before any other package of the node is initialised: what their init
// functions print must not reach the host's reader, and what they read must not be a call.
var grabbed = grab()

type grip struct {
	channel  channel
	isHosted bool
	err      error
}

func grab() grip {
	if os.Getenv("NODELING") != "1" {
		return grip{}
	}
	os.Unsetenv("NODELING") // a child of this process is nobody's node, even when it is the same program
	found, err := openChannel()
	return grip{found, true, err}
}

// openChannel takes the pipes that NODELING_FDS names, else stdin and stdout, which it moves out of
// everybody's way.
func openChannel() (channel, error) {
	named, isNamed := os.LookupEnv("NODELING_FDS")
	if !isNamed {
		return moveStandard()
	}
	os.Unsetenv("NODELING_FDS")
	first, second, _ := strings.Cut(named, ",")
	reader, err := strconv.Atoi(first)
	writer, err2 := strconv.Atoi(second)
	if err != nil || err2 != nil || !isOpen(reader) || !isOpen(writer) {
		return channel{}, fmt.Errorf("NODELING_FDS=%q names no two open pipes", named)
	}
	syscall.CloseOnExec(reader)
	syscall.CloseOnExec(writer)
	return newChannel(reader, writer)
}

func isOpen(fd int) bool {
	var status syscall.Stat_t
	return syscall.Fstat(fd, &status) == nil
}

func moveStandard() (channel, error) {
	reader, err := dupHigh(0)
	if err != nil {
		return channel{}, fmt.Errorf("stdin cannot be moved: %w", err)
	}
	writer, err := dupHigh(1)
	if err != nil {
		return channel{}, fmt.Errorf("stdout cannot be moved: %w", err)
	}
	nothing, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return channel{}, err
	}
	defer syscall.Close(nothing)
	if err := dupOver(nothing, 0); err != nil {
		return channel{}, err
	}
	if err := dupOver(2, 1); err != nil {
		return channel{}, err
	}
	return newChannel(reader, writer)
}

// dupHigh copies a descriptor to a place above the standard ones, closed to children.
func dupHigh(fd int) (int, error) {
	found, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 3)
	if errno != 0 {
		return 0, errno
	}
	return int(found), nil
}

// read gives the next bytes; none when the host is gone.
func (c channel) read(buffer []byte) []byte {
	n, err := c.reader.Read(buffer)
	if err != nil {
		return nil
	}
	return buffer[:n]
}

// write writes whole frames; false when nobody listens any more.
func (c channel) write(data []byte) bool {
	for len(data) > 0 {
		n, err := syscall.Write(c.writer, data)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return false
		}
		data = data[n:]
	}
	return true
}
