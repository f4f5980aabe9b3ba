package goruntime_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
)

// mapsSource is testdata/maps with a function for each case.
func mapsSource(t testing.TB) fixture.Source {
	src := maps.Clone(fixture.Dir(t, "testdata/maps"))
	var b strings.Builder
	b.WriteString("package main\n\nimport \"unsafe\"\n\nfunc maps() {\n")
	for i := range mapCases {
		fmt.Fprintf(&b, "\tmap%d()\n", i)
	}
	b.WriteString("}\n")
	for i, c := range mapCases {
		fmt.Fprintf(&b, `
func map%[1]d() {
	var m map[%[2]s]%[3]s
	sink = append(sink, &m)
	var kz %[2]s
	var ez %[3]s
	state := func() {
		begin("map %[1]d", *(*unsafe.Pointer)(unsafe.Pointer(&m)), len(m))
		for k, e := range m {
			bytes(unsafe.Pointer(&k), unsafe.Sizeof(k))
			out.WriteString(" ")
			bytes(unsafe.Pointer(&e), unsafe.Sizeof(e))
			out.WriteString("\n")
		}
		end()
	}
	_, _ = kz, ez
	state()
	m = make(map[%[2]s]%[3]s)
	var keys []%[2]s
	for i := 0; i < %[6]d; i++ {
		k := %[4]s
		keys = append(keys, k)
		m[k] = %[5]s
		if show(i) {
			state()
		}
	}
	state()
	for i, k := range keys {
		if i%%3 > 0 {
			delete(m, k)
			if i %% 100 == 1 {
				state()
			}
		}
	}
	state()
	// Maps that stay as large, while entries come and go.
	for i := 0; i < 2*%[6]d; i++ {
		k := %[4]s
		m[k] = %[5]s
		if i %% 2 == 0 {
			delete(m, k)
		}
		if show(i) {
			state()
		}
	}
	for k := range m {
		delete(m, k)
	}
	state()
	m = make(map[%[2]s]%[3]s, %[6]d)
	state()
	for i := 0; i < 10 && i < %[6]d; i++ {
		m[%[4]s] = %[5]s
	}
	state()
}
`, i, c.key, c.elem, c.k, c.e, c.n)
	}
	src["cases.go"] = b.String()
	return src
}

// process is a run of testdata/maps that waits.
type process struct {
	in  io.Writer
	out *bufio.Reader
}

func start(t *testing.T, path string) *process {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &process{in, bufio.NewReader(out)}
}

// state is something that the program has made.
type state struct {
	what []string // "map" and its number, or "chan", its capacity and whether it is closed
	addr uint64
	n    int
	elem []string // in hexadecimal, by key if it has one, with a dot behind each
}

// next reads the next state; nil at the end.
func (p *process) next(t *testing.T) *state {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err == io.EOF {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(line)
	s := &state{what: f[:len(f)-2]}
	if _, err := fmt.Sscanf(strings.Join(f[len(f)-2:], " "), "%x %d", &s.addr, &s.n); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "end\n" {
			return s
		}
		s.elem = append(s.elem, strings.TrimSpace(line))
	}
}

// read reads memory of the process.
func (p *process) read(t *testing.T, addr uint64, n int64) []byte {
	t.Helper()
	fmt.Fprintf(p.in, "%x %d\n", addr, n)
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(line))
	if err != nil || int64(len(b)) != n {
		t.Fatalf("%d bytes at %#x: %s", n, addr, line)
	}
	return b
}

// goOn lets the process make the next state.
func (p *process) goOn() { io.WriteString(p.in, "go on\n") }
