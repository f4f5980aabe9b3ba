package vm

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/argtap/argtap/internal/vm/wire"
)

// guestSource are the sources of the program that runs first in a guest.
//
//go:embed init/*.go wire/wire.go
var guestSource embed.FS

// buildInit compiles the guest's first program into dir and returns its path.
func buildInit(ctx context.Context, dir, goarch string) (string, error) {
	src := filepath.Join(dir, "src")
	// The module's own name, so that imports mean the same here and there.
	files := map[string][]byte{"go.mod": []byte("module github.com/argtap/argtap\n\ngo 1.26.0\n")}
	err := fs.WalkDir(guestSource, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files["internal/vm/"+name], err = guestSource.ReadFile(name)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	for name, text := range files {
		name = filepath.Join(src, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return "", err
		}
	}
	bin := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./internal/vm/init")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+goarch, "CGO_ENABLED=0",
		"GOENV=off", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("build the guest's first program: %w: install Go", err)
		}
		return "", fmt.Errorf("build the guest's first program: %w\n%s", err, out)
	}
	return bin, nil
}

// mounted are where the guest's first program mounts file systems.
var mounted = []string{"/dev", "/proc", "/sys", "/tmp"}

// writeInitrd writes the initial RAM disk: the first program, the kernel's
// modules, the job and the files.
//
// It is not compressed. Reading it from the guest's memory is copying, which an
// emulated processor does faster than inflating.
func writeInitrd(w io.Writer, init string, c *Config) error {
	a := newArchive(w)
	for _, dir := range []string{"/dev", "/proc", "/sys", "/tmp", "/run", "/root", "/etc"} {
		if err := a.dir(dir); err != nil {
			return err
		}
	}
	// The kernel opens the console before the first program could mount /dev.
	if err := a.char("/dev/console", 5, 1); err != nil {
		return err
	}
	if err := a.char("/dev/null", 1, 3); err != nil {
		return err
	}
	files := map[string]string{"/init": init}
	for i, m := range c.Kernel.Modules {
		// They are loaded in the order of their names.
		files[path.Join(wire.ModuleDir, fmt.Sprintf("%02d-%s", i, filepath.Base(m)))] = m
	}
	for guest, host := range c.Files {
		guest = path.Clean("/" + guest)
		for _, dir := range mounted {
			if guest == dir || strings.HasPrefix(guest, dir+"/") {
				return fmt.Errorf("%s in the guest: another file system is mounted on %s and hides it", guest, dir)
			}
		}
		if other, ok := files[guest]; ok {
			return fmt.Errorf("%s in the guest: both %s and %s", guest, other, host)
		}
		files[guest] = host
	}
	for _, guest := range slices.Sorted(maps.Keys(files)) {
		if err := add(a, guest, files[guest]); err != nil {
			return err
		}
	}
	text, err := json.Marshal(wire.Job{Args: c.Args, Env: c.env(), Dir: c.dir()})
	if err != nil {
		return err
	}
	if err := a.file(wire.JobFile, 0o600, int64(len(text)), bytes.NewReader(text)); err != nil {
		return err
	}
	for _, f := range []struct{ name, text string }{
		{"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"},
		{"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
		{"/etc/hosts", "127.0.0.1 localhost\n"},
	} {
		if files[f.name] != "" {
			continue
		}
		if err := a.file(f.name, 0o644, int64(len(f.text)), strings.NewReader(f.text)); err != nil {
			return err
		}
	}
	return a.close()
}

// add adds a file, or a directory with all that is in it.
func add(a *archive, guest, host string) error {
	info, err := os.Stat(host)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return addFile(a, guest, host, info)
	}
	if err := a.dir(guest); err != nil {
		return err
	}
	return filepath.WalkDir(host, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(host, name)
		if err != nil {
			return err
		}
		to := path.Join(guest, filepath.ToSlash(rel))
		switch {
		case d.IsDir():
			return a.dir(to)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return a.link(to, target)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s: neither a file nor a directory nor a symbolic link", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return addFile(a, to, name, info)
	})
}

func addFile(a *archive, guest, host string, info fs.FileInfo) error {
	f, err := os.Open(host)
	if err != nil {
		return err
	}
	defer f.Close()
	return a.file(guest, info.Mode(), info.Size(), f)
}
