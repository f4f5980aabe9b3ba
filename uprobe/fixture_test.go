package uprobe

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// inspectFixture builds testdata/inspect, on any system.
func inspectFixture(tb testing.TB) string {
	tb.Helper()
	out := filepath.Join(tb.TempDir(), "inspect")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/inspect")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local")
	if msg, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, msg)
	}
	return out
}
