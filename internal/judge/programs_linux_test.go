package judge

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
)

const (
	caddyModule = "github.com/caddyserver/caddy/v2@v2.11.9"
	delveModule = "github.com/go-delve/delve@v1.27.2"
)

// write makes files below dir.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// goBuild builds a package with the local toolchain.
func goBuild(t *testing.T, dir, out, pkg string, flags ...string) {
	t.Helper()
	cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), pkg)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, msg)
	}
}

// goCommand is the go command, which looks at a small module.
func goCommand(t *testing.T) *Program {
	dir := t.TempDir()
	exe := filepath.Join(dir, "go.exe")
	goBuild(t, "", exe, "cmd/go")
	write(t, dir, map[string]string{
		"module/go.mod":          "module example.com/small\n\ngo 1.21\n",
		"module/main.go":         "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.com/small/words\"\n)\n\nfunc main() { fmt.Println(words.Hello) }\n",
		"module/words/a.go":      "// Package words has words.\npackage words\n\n// Hello greets.\nconst Hello = \"hello\"\n",
		"module/words/a_test.go": "package words\n\nimport \"testing\"\n\nfunc TestHello(t *testing.T) {\n\tif Hello == \"\" {\n\t\tt.Error()\n\t}\n}\n",
	})
	return &Program{
		Name: "cmd/go", Command: []string{exe, "vet", "-x", "./..."}, Dir: filepath.Join(dir, "module"),
		Packages: []string{"cmd/go/*", "go/build*", "cmd/vendor/golang.org/x/mod/*", "cmd/internal/*", "encoding/json.*", "io/fs.*", "path/*", "os/exec.*"},
	}
}

// caddyServer is caddy, which answers requests.
func caddyServer(t *testing.T) *Program {
	dir := t.TempDir()
	exe := fixture.FromProxy(t, caddyModule, "github.com/caddyserver/caddy/v2/cmd/caddy")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	write(t, dir, map[string]string{
		"static/page.html": "<p>" + strings.Repeat("page ", 500),
		"Caddyfile": `{
	admin off
	auto_https off
	persist_config off
}
http://` + addr + ` {
	encode gzip
	header X-Who judge
	log
	respond /hello "hello {http.request.uri.query.name}"
	file_server /static/*
	redir /old /static/page.html
	handle_errors {
		respond "{err.status_code}"
	}
}
`,
	})
	t.Setenv("HOME", dir)
	t.Setenv("XDG_DATA_HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	return &Program{
		Name: "caddy v2.11.9", Command: []string{exe, "run", "--config", "Caddyfile"}, Dir: dir,
		Packages: []string{
			"github.com/caddyserver/*", "net/http.*", "net/textproto.*", "net/url.*", "mime*", "bufio.*", "context.*", "go.uber.org/zap*",
			"github.com/spf13/*", "encoding/json.*", "github.com/klauspost/compress/*", "net/netip.*", "log/*",
		},
		Load: func(int) {
			for !answers(addr) {
				time.Sleep(100 * time.Millisecond)
			}
			client := &http.Client{Timeout: time.Minute}
			for i := range 40 {
				get(client, "GET", fmt.Sprintf("http://%s/hello?name=n%d", addr, i), "")
				get(client, "GET", fmt.Sprintf("http://%s/static/page.html?n=%d", addr, i), "")
				get(client, "POST", fmt.Sprintf("http://%s/old", addr), strings.Repeat("x", i))
				get(client, "HEAD", fmt.Sprintf("http://%s/static/none%d", addr, i), "")
			}
		},
	}
}

func answers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// get sends a request; how it is answered is not what is tested here.
func get(client *http.Client, method, url, body string) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header["X-Several"] = []string{"a", "b"}
	req.AddCookie(&http.Cookie{Name: "id", Value: method})
	if resp, err := client.Do(req); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// delve is Delve, which debugs a small program.
func delve(t *testing.T) *Program {
	dir := t.TempDir()
	exe := fixture.FromProxy(t, delveModule, "github.com/go-delve/delve/cmd/dlv")
	write(t, dir, map[string]string{
		"go.mod": "module example.com/small\n\ngo 1.21\n",
		"main.go": `package main

import "fmt"

type node struct {
	name string
	next *node
	tags map[string][]int
}

//go:noinline
func show(n *node, e error) { fmt.Println(n.name, e) }

func main() {
	show(&node{"a", &node{name: "b"}, map[string][]int{"x": {1, 2}}}, fmt.Errorf("%w", fmt.Errorf("e")))
}
`,
		"script": "break main.show\ncontinue\nargs\nprint n.tags\nprint e\nstack -full\ngoroutines\nsources main\ntypes node\ndisassemble\nnext\nstep\nlocals\nregs\ncontinue\nexit\n",
	})
	goBuild(t, dir, filepath.Join(dir, "small"), ".", "-gcflags=all=-N -l")
	t.Setenv("HOME", dir)
	return &Program{
		Name: "delve v1.27.2", Command: []string{exe, "exec", "--allow-non-terminal-interactive=true", "--init", "script", "./small"}, Dir: dir,
		// Without debug/* and pkg/dwarf, which make millions of calls.
		Packages: []string{
			"github.com/go-delve/delve/cmd/*", "github.com/go-delve/delve/service/*", "github.com/go-delve/delve/pkg/proc*",
			"github.com/go-delve/delve/pkg/terminal*", "github.com/go-delve/delve/pkg/config*", "github.com/go-delve/delve/pkg/locspec*",
			"github.com/go-delve/liner*", "go/*", "github.com/spf13/*", "github.com/cosiner/argv*", "text/*", "go.yaml.in/*", "golang.org/x/arch/*",
		},
	}
}
