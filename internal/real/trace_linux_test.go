package real

import (
	"bytes"
	"os/exec"
	"sync"
	"testing"

	"github.com/argtap/argtap/uprobe"
)

// TestTrace runs each program while os.(*File).Write is traced. What the calls
// carry must be what the program printed.
func TestTrace(t *testing.T) {
	each(t, func(t *testing.T, p *program, path string, args []string) {
		var (
			mu      sync.Mutex
			written []byte
			calls   int
		)
		tr, err := uprobe.Trace(path, "os.(*File).Write", func(c *uprobe.Call) {
			mu.Lock()
			defer mu.Unlock()
			calls++
			if c.NumArgs() != 2 {
				t.Errorf("%v has %d arguments", c, c.NumArgs())
				return
			}
			b := c.Arg(1)
			data, ok := b.Bytes()
			if !ok || len(data) != b.Len() {
				t.Errorf("%v: the second argument is not there as a whole", c)
			}
			written = append(written, data...)
		}, uprobe.WithLimits(uprobe.Limits{String: 8192}))
		if err != nil {
			t.Fatalf("%+v", err)
		}
		defer tr.Close()
		cmd := exec.Command(path, args...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s %q: %v\n%s", path, args, err, stderr.Bytes())
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		s := tr.Stats()
		if s.Lost != 0 || s.Calls != s.Delivered || int(s.Delivered) != calls {
			t.Errorf("stats %+v, %d calls", s, calls)
		}
		if stdout.Len() == 0 || !bytes.Contains(written, stdout.Bytes()) {
			t.Errorf("%s %q printed\n%s\nbut os.(*File).Write was called with\n%s", path, args, stdout.Bytes(), written)
		}
		t.Logf("%d calls, %d bytes; %v", calls, len(written), tr.Funcs()[0])
	})
}
