package uprobe

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/symbols"
)

// processInterval is how often processes are looked at.
const processInterval = 200 * time.Millisecond

// processes follows the processes that run the file. It belongs to the reader.
type processes struct {
	tell  func(ProcessEvent)
	files []*os.File         // the target's
	site  symbols.FileOffset // one that is probed
	same  map[fileID]bool    // see sameAsTarget
	known map[uint32]*seenProcess
	last  *seenProcess // whose record came last
	next  time.Time
	ticks int
	// fds and polled are what pollEnded uses.
	fds    []unix.PollFd
	polled []uint32
}

// seenProcess is a process that has appeared.
type seenProcess struct {
	pid   uint32
	event ProcessEvent // as it appeared
	calls uint64
	pidfd int         // -1 if it could not be opened
	exe   os.FileInfo // what it ran when it appeared, nil if that is not known
	dying bool        // it has ended, but there may be records of it
	// untold: it was found, but there may be a record of its start.
	untold bool
}

func newProcesses(tell func(ProcessEvent), tg *target, site symbols.FileOffset) *processes {
	p := &processes{
		tell: tell, known: make(map[uint32]*seenProcess), files: []*os.File{tg.file}, site: site, same: make(map[fileID]bool),
	}
	for _, c := range tg.tracees {
		p.files = append(p.files, c.file)
	}
	return p
}

// attachStart attaches the probe that sees processes start.
func (k *kernel) attachStart(at []attachPoint, b *executable) error {
	if k.opts.processes == nil {
		return nil
	}
	entry, err := b.file.EntryPoint()
	if err != nil {
		k.opts.log.Info("processes are found by their first calls", "why", err)
		return nil
	}
	off, err := b.file.FileOffset(entry)
	if err != nil {
		return err
	}
	o := k.genOptions(nil)
	ins, err := probegen.Start(o)
	if err != nil {
		return err
	}
	s := entrySite{Func: probegen.Func{Name: "(entry point)", Role: probegen.RoleExit}}
	p, err := k.load(s.Name, ins, o.Sleepable)
	if err != nil {
		return err
	}
	k.startProg = p
	err = k.attachSites(at, p, []uint64{uint64(off)}, []uint64{0}, &s, stageLater)
	const enotsupp = unix.Errno(524) // which the kernel should keep to itself
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, enotsupp) {
		k.opts.log.Info("processes are found by their first calls", "why", err)
		return nil
	}
	return err
}

// scan finds the processes that run one of the files already. pids are those to look
// at, nil for all.
func (p *processes) scan(pids []int) {
	if ownProc() != nil {
		return
	}
	if pids == nil {
		pids = allProcesses()
	}
	for _, pid := range pids {
		if p.known[uint32(pid)] == nil && visibleIDs(pid) == nil && p.runsFile(pid, false) != nil {
			p.appear(uint32(pid), ProcessFound, time.Now())
		}
	}
	p.next = time.Now().Add(processInterval)
}

// fileID tells files apart.
type fileID struct{ dev, ino uint64 }

// runsFile returns what a process runs, if that is one of the files, else nil. Files
// of overlays have other numbers than in the layers. One there is the same if it is
// probed; of a process that is known to have been, if it has the same contents.
func (p *processes) runsFile(pid int, known bool) os.FileInfo {
	exe := fmt.Sprintf("/proc/%d/exe", pid)
	got, err := os.Stat(exe)
	if err != nil {
		return nil
	}
	for _, f := range p.files {
		want, err := f.Stat()
		if err != nil {
			continue
		}
		if os.SameFile(got, want) {
			return got
		}
		if got.Size() != want.Size() || !overlaid(exe) && !overlaid(fmt.Sprintf("/proc/self/fd/%d", f.Fd())) {
			continue
		}
		if known && p.sameAsTarget(f, exe, got) || !known && probed(pid, f, p.site) {
			return got
		}
	}
	return nil
}

// sameAsTarget reports whether a file of an overlay has the contents of a target's.
func (p *processes) sameAsTarget(f *os.File, exe string, got os.FileInfo) bool {
	st := got.Sys().(*syscall.Stat_t)
	id := fileID{uint64(st.Dev), st.Ino}
	same, ok := p.same[id]
	if !ok {
		if g, err := openSame(exe, got); err == nil {
			same, err = sameContents(f, g)
			same = same && err == nil
			g.Close()
		}
		p.same[id] = same
	}
	return same
}

// mapsFile is runsFile for a process that is known to be probed: it may have loaded
// the file as a library.
func (p *processes) mapsFile(pid int) os.FileInfo {
	if got := p.runsFile(pid, true); got != nil {
		return got
	}
	f := mappedFile(pid, func(_ string, got os.FileInfo) bool {
		return slices.ContainsFunc(p.files, func(f *os.File) bool {
			want, err := f.Stat()
			return err == nil && os.SameFile(got, want)
		})
	})
	if f == nil {
		return nil
	}
	f.Close()
	got, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil
	}
	return got
}

// appear takes a process that was seen at a time. It tells no one yet.
func (p *processes) appear(pid uint32, state ProcessState, at time.Time) *seenProcess {
	q := &seenProcess{pid: pid, pidfd: -1, untold: true, event: ProcessEvent{State: state, Time: at, PID: int(pid)}}
	var err error
	// The IDs are this process's: see pidNamespace. While the descriptor says that the
	// process has not ended, /proc shows it and no other.
	if q.pidfd, err = unix.PidfdOpen(int(pid), 0); err != nil {
		q.pidfd = -1
	}
	q.dying = errors.Is(err, unix.ESRCH)
	if e := q.event; !q.dying && ownProc() == nil && e.look() && !e.Started.After(at.Add(50*time.Millisecond)) {
		if exe := p.mapsFile(int(pid)); exe != nil && !pidfdEnded(q.pidfd) {
			q.exe, q.event = exe, e
		}
	}
	p.known[pid] = q
	return q
}

// told tells that a process appeared, if it is not told yet.
func (p *processes) told(q *seenProcess) {
	if q.untold {
		q.untold = false
		p.tell(q.event)
	}
}

// record takes the process of a record, and tells of it if it is new.
func (p *processes) record(data []byte, epoch time.Time) *seenProcess {
	pid := order.Uint32(data[capture.OffPIDTID+4:])
	start := order.Uint16(data[capture.OffKind:]) == capture.KindStart
	if !start && p.last != nil && p.last.pid == pid {
		return p.last
	}
	at := epoch.Add(time.Duration(order.Uint64(data[capture.OffTime:])))
	q := p.known[pid]
	switch {
	case !start || q == nil:
	case q.untold:
		q.event.State, q.event.Time = ProcessStarted, at
	case q.justFound():
		return q
	default:
		// It has replaced its program, or another process has its ID.
		p.end(q, at)
		q = nil
	}
	if q == nil {
		state := ProcessFound
		if start {
			state = ProcessStarted
		}
		q = p.appear(pid, state, at)
	}
	p.told(q)
	p.last = q
	return q
}

// justFound reports whether a process that passes the entry point was found before it
// came there: it is the same in every way.
func (q *seenProcess) justFound() bool {
	if q.event.State != ProcessFound || q.calls > 0 || q.gone() {
		return false
	}
	e := q.event
	return e.look() && e.Executable == q.event.Executable && slices.Equal(e.Args, q.event.Args)
}

// started takes the record of a process that starts.
func (p *processes) started(data []byte, epoch time.Time) {
	if p != nil {
		p.record(data, epoch)
	}
}

// called counts a call that the handler is about to be given.
func (p *processes) called(data []byte) {
	if p == nil {
		return
	}
	if q := p.known[order.Uint32(data[capture.OffPIDTID+4:])]; q != nil {
		q.calls++
	}
}

// end tells that a process has ended.
func (p *processes) end(q *seenProcess, at time.Time) {
	if q.pidfd >= 0 {
		unix.Close(q.pidfd)
	}
	delete(p.known, q.pid)
	if p.last == q {
		p.last = nil
	}
	p.told(q)
	e := q.event
	e.State, e.Time, e.Calls = ProcessEnded, at, q.calls
	p.tell(e)
}

// tick looks at the processes, now and then. All records that were sent until the
// tick before have been taken.
func (p *processes) tick(now time.Time) {
	if p == nil || now.Before(p.next) {
		return
	}
	p.next = now.Add(processInterval)
	p.ticks++
	ended := p.pollEnded()
	for _, q := range p.known {
		if p.ticks > 1 {
			p.told(q)
		}
		switch {
		case q.dying:
			p.end(q, now)
		case ended[q.pid], q.pidfd < 0 && q.gone(), p.ticks%5 == 0 && p.replaced(q):
			q.dying = true
		}
	}
}

// pollEnded returns those of the processes that have ended, as their descriptors say.
func (p *processes) pollEnded() map[uint32]bool {
	p.fds, p.polled = p.fds[:0], p.polled[:0]
	for pid, q := range p.known {
		if q.pidfd >= 0 {
			p.fds = append(p.fds, unix.PollFd{Fd: int32(q.pidfd), Events: unix.POLLIN})
			p.polled = append(p.polled, pid)
		}
	}
	if n, err := unix.Poll(p.fds, 0); err != nil || n == 0 {
		return nil
	}
	ended := map[uint32]bool{}
	for i := range p.fds {
		if p.fds[i].Revents != 0 {
			ended[p.polled[i]] = true
		}
	}
	return ended
}

// gone reports whether a process has ended.
func (q *seenProcess) gone() bool {
	if q.pidfd >= 0 {
		return pidfdEnded(q.pidfd)
	}
	return unix.Kill(int(q.pid), 0) == unix.ESRCH
}

// replaced reports whether a process runs another program than it did. It may have
// done so before it could be looked at.
func (p *processes) replaced(q *seenProcess) bool {
	got, err := os.Stat(fmt.Sprintf("/proc/%d/exe", q.pid))
	switch {
	case err != nil:
		return false
	case q.exe == nil:
		return ownProc() == nil && visibleIDs(int(q.pid)) == nil && p.mapsFile(int(q.pid)) == nil
	}
	return !os.SameFile(got, q.exe)
}

// finish tells of the processes that have ended, and lets go of the others. No record
// comes any more.
func (p *processes) finish() {
	if p == nil {
		return
	}
	for _, q := range p.known {
		p.told(q)
		if q.dying || q.gone() || p.replaced(q) {
			p.end(q, time.Now())
		} else if q.pidfd >= 0 {
			unix.Close(q.pidfd)
		}
	}
	clear(p.known)
}
