package uprobe

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
)

// The bits of a mutex's state (internal/sync/mutex.go; the same since Go 1.9).
const (
	mutexLocked      = 1
	mutexWaiterShift = 3
)

// mutexState returns the state of a sync.Mutex.
func mutexState(v Value) (locked bool, waiters int64, ok bool) {
	if f, ok := v.parts("mu"); ok { // since Go 1.24
		v = f[0]
	}
	f, ok := v.parts("state", "sema")
	if !ok {
		return false, 0, false
	}
	s, ok := f[0].Int()
	return s&mutexLocked != 0, s >> mutexWaiterShift, ok && s >= 0 && f[0].Kind() == abi.Int32
}

func knownMutex(v Value, _ mode) (any, bool) {
	locked, waiters, ok := mutexState(v)
	return textOnly{state("sync.Mutex", lockText(locked), count(waiters, "waiting"))}, ok
}

func lockText(locked bool) string {
	if locked {
		return "locked"
	}
	return "unlocked"
}

// count returns "" for none.
func count(n int64, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n, " ", what)
}

func state(typ string, parts ...string) string {
	var said []string
	for _, p := range parts {
		if p != "" {
			said = append(said, p)
		}
	}
	return typ + "(" + strings.Join(said, ", ") + ")"
}

// atomicInt returns an integer that is one, or since some release an atomic one.
func atomicInt(v Value) (int64, bool) {
	if v.Kind() == abi.Struct {
		f, ok := v.parts("v")
		if !ok {
			return 0, false
		}
		v = f[0]
	}
	if u, ok := v.Uint(); ok {
		return int64(u), true
	}
	return v.Int()
}

// rwmutexMaxReaders is subtracted from the number of readers while a writer
// holds the lock or waits for it (sync/rwmutex.go).
const rwmutexMaxReaders = 1 << 30

func knownRWMutex(v Value, _ mode) (any, bool) {
	f, ok := v.parts("w", "writerSem", "readerSem", "readerCount", "readerWait")
	if !ok {
		return nil, false
	}
	readers, ok1 := atomicInt(f[3])
	wait, ok2 := atomicInt(f[4])
	if !ok1 || !ok2 || readers < -rwmutexMaxReaders || readers > rwmutexMaxReaders {
		return nil, false
	}
	switch {
	case readers > 0:
		return textOnly{state("sync.RWMutex", count(readers, "reading"))}, true
	case readers == 0:
		return textOnly{state("sync.RWMutex", "unlocked")}, true
	case wait > 0:
		return textOnly{state("sync.RWMutex", count(wait, "reading"), "a writer waiting")}, true
	case readers == -rwmutexMaxReaders && wait == 0:
		return textOnly{state("sync.RWMutex", "locked")}, true
	}
	// A writer, and readers of which nothing tells whether they wait for it or
	// it for them.
	return nil, false
}

func knownOnce(v Value, _ mode) (any, bool) {
	f, ok := v.parts("done", "m")
	if !ok {
		return nil, false
	}
	var done int64
	if f[0].Kind() == abi.Struct && f[0].Type().Name == "sync/atomic.Bool" { // since Go 1.25
		b, isBool := atomicBool(f[0])
		done, ok = int64(btoi(b)), isBool
	} else {
		done, ok = atomicInt(f[0])
	}
	locked, _, ok2 := mutexState(f[1])
	if !ok || !ok2 {
		return nil, false
	}
	text := "not done"
	switch {
	case done == 1:
		text = "done"
	case done != 0:
		return nil, false
	case locked:
		text = "running"
	}
	return textOnly{state("sync.Once", text)}, true
}

// The state of a WaitGroup (sync/waitgroup.go): the counter in the upper half,
// the waiters in the lower one, whose highest bit says since Go 1.25 that it
// belongs to a bubble of testing/synctest.
const waitGroupWaiters = 1<<31 - 1

func knownWaitGroup(v Value, _ mode) (any, bool) {
	var s uint64
	if f, ok := v.parts("state", "sema"); ok { // since Go 1.20
		u, ok := atomicInt(f[0])
		if !ok {
			return nil, false
		}
		s = uint64(u)
	} else if f, ok := v.parts("state1", "state2"); ok && !v.small { // Go 1.18, 1.19
		if s, ok = f[0].Uint(); !ok {
			return nil, false
		}
	} else if f, ok := v.parts("state1"); ok && f[0].Kind() == abi.Array && f[0].Len() == 3 {
		// Which of the words are the state depends on the address. None is, if
		// nothing is counted.
		for i := range 3 {
			if w, ok := f[0].Index(i).Uint(); !ok || w != 0 {
				return nil, false
			}
		}
	} else {
		return nil, false
	}
	counter := int64(int32(s >> 32))
	return textOnly{state("sync.WaitGroup", fmt.Sprint(counter), count(int64(s&waitGroupWaiters), "waiting"))}, counter >= 0
}

// knownAtomic shows what an atomic value holds.
func knownAtomic(v Value, m mode) (any, bool) {
	f, ok := v.parts("v")
	if !ok || f[0].reason() != abi.Present {
		return nil, false
	}
	return f[0], true
}

func knownAtomicBool(v Value, _ mode) (any, bool) {
	b, ok := atomicBool(v)
	return b, ok
}

func atomicBool(v Value) (value, ok bool) {
	f, ok := v.parts("v")
	if !ok {
		return false, false
	}
	u, ok := f[0].Uint()
	return u == 1, ok && u <= 1
}
