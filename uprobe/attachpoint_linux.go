package uprobe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachPoint is a file to attach to, and the process to attach in, 0 for all.
type attachPoint struct {
	ex  *link.Executable
	pid int
}

// explain explains an error of attaching there.
func (a *attachPoint) explain(err error) error {
	if a.pid != 0 && (errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist)) {
		return processError(a.pid, unix.ESRCH)
	}
	return err
}

// attachPoints returns where to attach. The kernel resolves these paths to the very files
// that were found, even if others have taken their names since.
func (t *target) attachPoints() ([]attachPoint, error) {
	open := func(f *os.File, pid int) (attachPoint, error) {
		ex, err := link.OpenExecutable(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
		if err != nil {
			return attachPoint{}, fmt.Errorf("open the binary to attach to it: %w", err)
		}
		return attachPoint{ex, pid}, nil
	}
	if len(t.tracees) == 0 {
		p, err := open(t.file, 0)
		return []attachPoint{p}, err
	}
	var all []attachPoint
	for _, c := range t.tracees {
		p, err := open(c.file, c.pid)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
