package uprobe

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// hostClock reads the clock by which programs time what they see: CLOCK_MONOTONIC
// as it is outside of time namespaces, in which it may be set forward or back.
type hostClock struct {
	// offset is what the clock is ahead of the host's where this process is.
	offset time.Duration
}

// newHostClock finds out by how much the clock of this process is off.
func newHostClock() (hostClock, error) {
	own, err := os.Readlink("/proc/self/ns/time")
	if errors.Is(err, fs.ErrNotExist) {
		return hostClock{}, nil // the kernel has no time namespaces, or nothing tells
	}
	// PROC_TIME_INIT_INO of include/linux/proc_ns.h.
	const initial = "time:[4026531834]"
	if err == nil && own == initial {
		return hostClock{}, nil
	}
	fail := func(err error) (hostClock, error) {
		return hostClock{}, fmt.Errorf("the tracer is in a time namespace of its own; to know the time of calls there: %w", err)
	}
	if err != nil {
		return fail(err)
	}
	children, err := os.Readlink("/proc/self/ns/time_for_children")
	if err != nil {
		return fail(err)
	}
	if own != children {
		return fail(fmt.Errorf("%w: the kernel tells the clock of its children's namespace only: start it anew in that one", ErrNamespace))
	}
	text, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return fail(err)
	}
	offset, err := monotonicOffset(text)
	if err != nil {
		return fail(err)
	}
	return hostClock{offset}, nil
}

// monotonicOffset reads timens_offsets of /proc: lines of a clock's name, seconds, which
// may be negative, and nanoseconds.
func monotonicOffset(text []byte) (time.Duration, error) {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) != 3 || string(f[0]) != "monotonic" {
			continue
		}
		sec, err := strconv.ParseInt(string(f[1]), 10, 64)
		nsec, err2 := strconv.ParseInt(string(f[2]), 10, 64)
		if err = errors.Join(err, err2); err != nil {
			return 0, fmt.Errorf("/proc/self/timens_offsets: %w", err)
		}
		const most = int64(1<<63-1) / int64(time.Second)
		if sec <= -most || sec >= most || nsec < 0 || nsec >= int64(time.Second) {
			return 0, fmt.Errorf("/proc/self/timens_offsets: %q is out of range", line)
		}
		return time.Duration(sec)*time.Second + time.Duration(nsec), nil
	}
	return 0, errors.New("/proc/self/timens_offsets has no line for the clock monotonic")
}

// now returns the nanoseconds of the host's clock.
func (c hostClock) now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // there is no kernel without
	}
	return ts.Nano() - int64(c.offset)
}

// epoch returns the wall-clock time at which the host's clock was zero.
func (c hostClock) epoch() time.Time {
	var best time.Time
	shortest := time.Duration(1<<63 - 1)
	for range 5 {
		before := time.Now()
		now := c.now()
		if d := time.Since(before); d < shortest {
			shortest = d
			best = before.Add(d / 2).Round(0).Add(-time.Duration(now))
		}
	}
	return best
}
