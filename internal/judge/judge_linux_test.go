package judge

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGo(t *testing.T)    { run(t, goCommand(t)) }
func TestCaddy(t *testing.T) { run(t, caddyServer(t)) }
func TestDelve(t *testing.T) { run(t, delve(t)) }

func run(t *testing.T, p *Program) {
	p.Candidates, p.Funcs, p.Calls = 3000, 300, 3
	if testing.Short() {
		p.Candidates, p.Funcs, p.Calls = 300, 40, 2
	}
	p.Progress = t.Logf
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.Output = out
	r, err := Run(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if text, err := os.ReadFile(out.Name()); err == nil && len(text) > 0 {
		t.Logf("it printed %d bytes: %s…", len(text), text[:min(len(text), 1500)])
	}
	for _, m := range r.Missing {
		t.Error(m)
	}
}
