//go:build unix && !linux

package nodeling

import "syscall"

// dupOver puts a copy of one descriptor in place of another.
func dupOver(from, to int) error { return syscall.Dup2(from, to) }
