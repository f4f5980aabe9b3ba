package matrix

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestRun traces programs of the local toolchain. With ARGTAP_TOOLCHAINS=1 it
// traces those of every release, built in the default way.
func TestRun(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("tracing needs root")
		}
		t.Skip("needs root")
	}
	specs := []string{"local/amd64/default,stripped,pie"}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "" {
		specs = append(specs, "all/amd64/default")
	}
	cells, err := ParseCells(specs...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Build(dir, cells, BuildOptions{Programs: 1, Funcs: 30}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	n := 0
	err = Run(dir, RunOptions{Log: &log}, func(r Result) {
		n++
		sources := len(r.Sources)
		if !r.OK() || r.Functions < 80 || r.Values < 1000 || r.Flavour.HasDWARF() != (sources == 1) {
			t.Errorf("%+v", r)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if n != len(cells) {
		t.Errorf("%d results of %d cells", n, len(cells))
	}
	if log.Len() > 0 {
		lines := strings.SplitAfter(log.String(), "\n")
		t.Errorf("%d differences, such as\n%s", len(lines)-1, strings.Join(lines[:min(len(lines), 30)], ""))
	}
}
