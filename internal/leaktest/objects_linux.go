package leaktest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Object is a BPF object of the kernel. Its number is not used again soon.
type Object struct {
	Kind string // "prog", "map" or "link"
	ID   uint32
}

func (o Object) String() string { return fmt.Sprintf("%s %d", o.Kind, o.ID) }

// Objects are those that a process has open, by /proc/PID/fdinfo. pid 0 is this
// process. Links have numbers since Linux 5.8.
func Objects(pid int) (list []Object) {
	self := "self"
	if pid != 0 {
		self = fmt.Sprint(pid)
	}
	infos, _ := filepath.Glob(filepath.Join("/proc", self, "fdinfo/*"))
	for _, name := range infos {
		f, err := os.Open(name)
		if err != nil {
			continue // closed meanwhile
		}
		o, link := Object{}, Object{}
		for in := bufio.NewScanner(f); in.Scan(); {
			field, value, _ := strings.Cut(in.Text(), ":")
			kind, ok := strings.CutSuffix(field, "_id")
			if !ok || kind != "prog" && kind != "map" && kind != "link" {
				continue
			}
			got := Object{Kind: kind}
			if _, err := fmt.Sscan(value, &got.ID); err != nil {
				continue
			}
			// A link tells its program, too.
			if kind == "link" {
				link = got
			} else if o.Kind == "" {
				o = got
			}
		}
		f.Close()
		switch {
		case link.Kind != "":
			list = append(list, link)
		case o.Kind != "":
			list = append(list, o)
		}
	}
	return list
}

// Alive reports whether the kernel still has an object.
func (o Object) Alive() bool {
	switch o.Kind {
	case "prog":
		id, err := ebpf.ProgramGetNextID(ebpf.ProgramID(o.ID - 1))
		return err == nil && id == ebpf.ProgramID(o.ID)
	case "map":
		id, err := ebpf.MapGetNextID(ebpf.MapID(o.ID - 1))
		return err == nil && id == ebpf.MapID(o.ID)
	}
	l, err := link.NewFromID(link.ID(o.ID))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
