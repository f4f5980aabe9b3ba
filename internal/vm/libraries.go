package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// libc is where programs of an architecture look for the C library.
type libc struct {
	debian string // Debian's name of the architecture
	loader string // the dynamic loader, which programs name by its path
	dir    string // of the libraries
}

var libcs = map[string]libc{
	"amd64": {"amd64", "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu"},
	"arm64": {"arm64", "/lib/ld-linux-aarch64.so.1", "/lib/aarch64-linux-gnu"},
	"386":   {"i386", "/lib/ld-linux.so.2", "/lib/i386-linux-gnu"},
}

// libcSuite is the suite with the newest library: it also runs programs that
// were linked with an older one.
const libcSuite = "sid"

// Libraries returns the dynamic loader and the C library for an architecture,
// "amd64", "arm64" or "386", to be added to [Config.Files]: they are what
// programs need that are not linked statically, as with -buildmode=pie or cgo.
// They come from Debian and are cached as kernels are, see [Fetch].
func Libraries(ctx context.Context, arch string, log io.Writer) (map[string]string, error) {
	l, ok := libcs[arch]
	if !ok {
		return nil, fmt.Errorf("the C library for %s: unknown architecture, there are amd64, arm64 and 386", arch)
	}
	dir, err := cached("libc-"+arch, func(tmp, made string) error {
		if log == nil {
			log = io.Discard
		}
		fmt.Fprintf(log, "fetching the C library for %s from Debian %s\n", arch, libcSuite)
		a, err := newApt(ctx, tmp, libcSuite, l.debian, log)
		if err != nil {
			return err
		}
		root := filepath.Join(tmp, "root")
		if err := a.unpack(ctx, root, "libc6"); err != nil {
			return err
		}
		return gatherLibraries(root, made, path.Base(l.loader))
	})
	if err != nil {
		return nil, fmt.Errorf("the C library for %s: %w", arch, err)
	}
	files := map[string]string{l.loader: filepath.Join(dir, path.Base(l.loader))}
	names, err := filepath.Glob(filepath.Join(dir, "lib*.so.*"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		files[path.Join(l.dir, filepath.Base(name))] = name
	}
	return files, nil
}

// gatherLibraries copies the loader and the libraries from an unpacked package.
func gatherLibraries(root, dir, loader string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		name := filepath.Base(p)
		if err != nil || !d.Type().IsRegular() || name != loader && !(strings.HasPrefix(name, "lib") && strings.Contains(name, ".so.")) {
			return err
		}
		found[name] = true
		return os.Rename(p, filepath.Join(dir, name))
	})
	if err != nil {
		return err
	}
	for _, name := range []string{loader, "libc.so.6"} {
		if !found[name] {
			return errors.New("the package libc6 holds no " + name)
		}
	}
	return nil
}
