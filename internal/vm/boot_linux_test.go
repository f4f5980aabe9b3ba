package vm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBootAgain has QEMU fail before the guest runs: that is tried again, and in
// the end told, with what QEMU said.
func TestBootAgain(t *testing.T) {
	dir := write(t, map[string]string{
		"qemu-system-x86_64": "#!/bin/sh\necho tried >>\"$(dirname \"$0\")/log\"\necho no machine today >&2\nexit 3\n",
		"app":                "",
	})
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	k := &Kernel{Name: "6.1", Arch: "amd64", Image: filepath.Join(dir, "app")}
	_, err := Run(t.Context(), Config{Kernel: k, Args: []string{"/app"}, Files: map[string]string{"/app": filepath.Join(dir, "app")}})
	var guest *Error
	if !errors.As(err, &guest) || !errors.Is(err, errNotBooted) || guest.Console != "no machine today" || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "log")); strings.Count(string(b), "tried") != bootTries {
		t.Errorf("tries: %q, %v", b, err)
	}
}
