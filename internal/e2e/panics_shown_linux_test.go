package e2e

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestPanicsShown has the value of a panic as text, JSON and for a log, also of a
// call that was cloned; redacted by its type, by its field's and by its own name; cut
// at a limit; of a binary without debug information, and of one with a part of it.
func TestPanicsShown(t *testing.T) {
	needRoot(t)
	src := fixture.Source{"main.go": `package main

import "fixture/truth"

type failure struct {
	Code     int
	Password string
	Why      []string
}

func (f *failure) Error() string { return f.Why[0] }

//go:noinline
func (f *failure) throw(n int) {
	if n > 0 {
		panic(f)
	}
}

//go:noinline
func (f *failure) load(n int) (err error) {
	defer func() { err, _ = recover().(error) }()
	f.throw(n)
	return nil
}

func main() {
	truth.Start()
	f := &failure{7, "p4ssw0rd", []string{"a", "b", "c"}}
	_ = f.load(1)
	truth.Done()
}
`}
	const (
		whole    = `&main.failure{Code: 7, Password: <redacted>, Why: []string{"a", "b", "c"}}`
		cut      = `&main.failure{Code: 7, Password: <redacted>, Why: []string{"a"…(3)}}`
		inJSON   = `{"type":"*main.failure","value":{"Code":7,"Password":{"absent":"redacted"},"Why":["a","b","c"]}}`
		redacted = `{"absent":"redacted"}`
	)
	stripped := []string{"-ldflags=-s -w"}
	for _, tt := range []struct {
		name       string
		flags      []string
		opts       []uprobe.Option
		text, json string
	}{
		{"default", nil, nil, whole, inJSON},
		{"stripped", stripped, nil, whole, inJSON},
		{"without lines", nil, nil, whole, inJSON},
		{"limited", nil, []uprobe.Option{uprobe.WithLimits(uprobe.Limits{Elems: 1})}, cut, ""},
		{"by type", nil, []uprobe.Option{uprobe.WithRedact("main.failure")}, "", `{"type":"*main.failure","value":{"ptr":"ADDR","absent":"redacted"}}`},
		{"by name", nil, []uprobe.Option{uprobe.WithRedact("panic")}, "<redacted>", redacted},
		{"by name, stripped", stripped, []uprobe.Option{uprobe.WithRedact("panic")}, "<redacted>", redacted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := fixture.Build(t, src, tt.flags...)
			if tt.name == "without lines" {
				path = hideSection(t, path, ".debug_line")
			}
			target := fixture.Start(t, path)
			type shown struct{ text, json, log string }
			var got []shown
			var clones []*uprobe.Call
			address := regexp.MustCompile("0x[0-9a-f]+")
			show := func(c *uprobe.Call) shown {
				b, err := json.Marshal(c)
				if err != nil {
					t.Fatal(err)
				}
				var log bytes.Buffer
				slog.New(slog.NewJSONHandler(&log, nil)).Info("", "call", c)
				return shown{c.String(), address.ReplaceAllString(string(b), "ADDR"), address.ReplaceAllString(log.String(), "ADDR")}
			}
			tr := trace(t, path, []string{"main.(*failure).throw", "main.(*failure).load"}, func(c *uprobe.Call) {
				got = append(got, show(c))
				clones = append(clones, c.Clone())
			}, append(tt.opts, uprobe.WithResults())...)
			target.Go()
			target.Calls()
			closeAll(t, tr)
			if len(got) != 2 {
				t.Fatalf("%d calls", len(got))
			}
			for i, end := range []string{" panicked: ", " recovered: "} {
				how := strings.Trim(end, " :")
				g := got[i]
				if tt.text != "" && !strings.HasSuffix(g.text, end+tt.text) {
					t.Errorf("got %s, want%s%s", g.text, end, tt.text)
				}
				if want := `,"` + how + `":true,"panic":` + tt.json + `}`; tt.json != "" && !strings.HasSuffix(g.json, want) {
					t.Errorf("got %s, want %s", g.json, want)
				}
				if !strings.Contains(g.log, `"`+how+`":true,"panic":`) {
					t.Errorf("log %s", g.log)
				}
				if strings.Contains(g.text+g.json+g.log, "p4ss") {
					t.Errorf("%+v", g)
				}
				if again := show(clones[i]); again.text != g.text || again.json != g.json {
					t.Errorf("cloned: %+v, want %+v", again, g)
				}
			}
		})
	}
}

// hideSection copies a program and calls a section of it by another name.
func hideSection(t *testing.T, path, name string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := []byte("\x00" + name + "\x00")
	if n := bytes.Count(b, old); n != 1 {
		t.Fatalf("%s: %d times %q", path, n, old)
	}
	hidden := bytes.Replace(b, old, []byte("\x00"+strings.Repeat("x", len(name))+"\x00"), 1)
	out := filepath.Join(t.TempDir(), "hidden")
	if err := os.WriteFile(out, hidden, 0o755); err != nil {
		t.Fatal(err)
	}
	return out
}
