package judge

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// goCommand builds the go command, and lets it build a small module.
func goCommand(t *testing.T) *Program {
	dir := t.TempDir()
	exe := filepath.Join(dir, "go.exe")
	build(t, "", "build", "-o", exe, "cmd/go")
	module := filepath.Join(dir, "module")
	for name, text := range map[string]string{
		"go.mod":          "module example.com/small\n\ngo 1.21\n",
		"main.go":         "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.com/small/words\"\n)\n\nfunc main() { fmt.Println(words.Hello) }\n",
		"words/a.go":      "// Package words has words.\npackage words\n\n// Hello greets.\nconst Hello = \"hello\"\n",
		"words/a_test.go": "package words\n\nimport \"testing\"\n\nfunc TestHello(t *testing.T) {\n\tif Hello == \"\" {\n\t\tt.Error()\n\t}\n}\n",
	} {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &Program{
		Name: "go", Command: []string{exe, "vet", "-x", "./..."}, Dir: module,
		Packages: []string{"cmd/go/*", "go/build*", "cmd/vendor/golang.org/x/mod/*", "cmd/internal/*", "encoding/json.*", "io/fs.*", "path/*", "os/exec.*"},
	}
}

// build runs the go command.
func build(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, msg)
	}
}

func TestGo(t *testing.T) { run(t, goCommand(t)) }

func run(t *testing.T, p *Program) {
	p.Candidates, p.Funcs, p.Calls = 1500, 200, 3
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
	if text, err := os.ReadFile(out.Name()); err == nil {
		t.Logf("%s", text)
	}
	for _, m := range r.Missing {
		t.Error(m)
	}
}
