// Package wire is what package vm and the program that it runs first in a guest
// say to each other: a job, written into the guest's initial RAM disk, and
// frames, sent by the guest over a virtio port of its own. The kernel writes
// nothing there, so nothing needs to be told apart from its messages.
//
// It imports nothing but the standard library: package vm compiles it into the
// guest's program wherever it runs.
package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Names that both sides know.
const (
	// JobFile is the path of the job, as JSON, in the guest.
	JobFile = "/.job.json"
	// ModuleDir is the directory of the kernel modules to load in the guest.
	ModuleDir = "/.modules"
	// Port is the name of the virtio port.
	Port = "argtap"
)

// Job is the command that the guest runs.
type Job struct {
	// Args are the command and its arguments. Args[0] is a path in the guest.
	Args []string
	// Env are its environment variables, "NAME=value"; of equal names the last
	// one counts.
	Env []string
	// Dir is its working directory.
	Dir string
}

// Kind says what a frame carries.
type Kind uint8

// The kinds of frames.
const (
	// Hello is the first frame: the release of the guest's kernel.
	Hello Kind = 1 + iota
	// Stdout and Stderr are bytes that the command wrote.
	Stdout
	Stderr
	// Problem is why the command was not run, as text. It is the last frame.
	Problem
	// Exit is the command's exit status: 4 bytes, little-endian, 128 plus the
	// signal's number if a signal ended it, as in a shell. It is the last frame.
	Exit
)

// Ack is the byte with which the host answers the last frame: everything has
// arrived.
const Ack = '.'

// headerSize is the size of a frame's header in bytes: its kind, and the length
// of what follows in 4 bytes, little-endian.
const headerSize = 5

// MaxPayload is the largest payload of a frame in bytes.
const MaxPayload = 32 << 10

// Write writes a frame. Writes of one writer must not overlap.
func Write(w io.Writer, kind Kind, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("frame of %d bytes: at most %d are allowed", len(payload), MaxPayload)
	}
	b := make([]byte, headerSize, headerSize+len(payload))
	b[0] = byte(kind)
	binary.LittleEndian.PutUint32(b[1:], uint32(len(payload)))
	_, err := w.Write(append(b, payload...))
	return err
}

// Read reads a frame into buf, which must have room for MaxPayload bytes, and
// returns the part of it that is filled. The error is io.EOF only where no
// frame begins.
func Read(r io.Reader, buf []byte) (Kind, []byte, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("frame's header: %w", err)
		}
		return 0, nil, err
	}
	kind, n := Kind(h[0]), binary.LittleEndian.Uint32(h[1:])
	if kind < Hello || kind > Exit {
		return 0, nil, fmt.Errorf("frame of unknown kind %d", kind)
	}
	if n > MaxPayload {
		return 0, nil, fmt.Errorf("frame of kind %d: %d bytes, at most %d are allowed", kind, n, MaxPayload)
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, fmt.Errorf("frame of kind %d: %w", kind, err)
	}
	return kind, buf[:n], nil
}
