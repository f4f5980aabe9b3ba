package dwarfargs

import (
	"errors"
	"fmt"
)

// Sentinels of this package, to be tested for with errors.Is.
var (
	// ErrNoDWARF: the file has no debug information.
	ErrNoDWARF = errors.New("no DWARF debug information")
	// ErrNoEntry: the debug information describes no function that begins at
	// the address, or no type of that name.
	ErrNoEntry = errors.New("no such entry in the DWARF debug information")
	// ErrClosed: [Data.Close] was called.
	ErrClosed = errors.New("dwarfargs: closed")
)

// Causes of a DecodeError.
var (
	errTruncated = errors.New("truncated")
	errTooDeep   = errors.New("nested too deep")
	errTooBig    = errors.New("larger than can be")
	errNoSection = errors.New("section missing")
	errBadRef    = errors.New("reference to outside of the section's units")
)

// DecodeError says where the debug information is malformed, or uses what this
// package does not know.
type DecodeError struct {
	Section string
	Offset  int64 // bytes from the start of the (inflated) section
	Err     error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("section %s: offset %#x: %v", e.Section, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

func decodeErr(section string, off int, err error) error {
	var de *DecodeError
	if errors.As(err, &de) {
		return err
	}
	return &DecodeError{Section: section, Offset: int64(off), Err: err}
}
