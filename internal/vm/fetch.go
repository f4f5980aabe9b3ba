package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Kernel is a kernel image in the file system of this machine.
type Kernel struct {
	// Name is what Fetch was asked for.
	Name string
	// Arch is the architecture by Go's name: "amd64" or "arm64".
	Arch string
	// Release is what uname -r prints on it.
	Release string
	// Image is the path of the kernel's image.
	Image string
	// Modules are the paths of modules that the guest needs, in the order in
	// which they are loaded.
	Modules []string
}

// Names are the kernels that Fetch knows, oldest first.
func Names() []string {
	var names []string
	for _, s := range suites {
		names = append(names, s.kernel)
	}
	return names
}

// suites are the suites of Debian by the kernel that they have.
var suites = []struct{ kernel, suite string }{
	{"5.10", "bullseye"},
	{"6.1", "bookworm"},
	{"6.12", "trixie"},
	{"sid", "sid"}, // the newest
}

// guestModules are the modules that a guest loads if the kernel has not built
// them in: the virtio port and what it stands on, the foundation first.
var guestModules = []string{
	"virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_console",
}

// imageFile is the name of the image in the cache. It is there or the kernel is
// not.
const (
	imageFile   = "vmlinuz"
	releaseFile = "release"
	moduleDir   = "modules"
)

// Fetch returns a kernel by one of the [Names] for an architecture, "amd64" or
// "arm64". It is downloaded if it is not in the cache, from the mirror that the
// machine's own package sources name, or from the one in the environment
// variable ARGTAP_DEBIAN_MIRROR; what is done is told to log, if that is not
// nil. Fetch is safe for concurrent use, also by several processes.
func Fetch(ctx context.Context, name, arch string, log io.Writer) (*Kernel, error) {
	fail := func(err error) (*Kernel, error) { return nil, fmt.Errorf("kernel %s for %s: %w", name, arch, err) }
	i := slices.IndexFunc(suites, func(s struct{ kernel, suite string }) bool { return s.kernel == name })
	if i < 0 {
		return fail(fmt.Errorf("unknown, there are %s", strings.Join(Names(), ", ")))
	}
	if _, ok := machines[arch]; !ok {
		return fail(errors.New("unknown architecture, there are amd64 and arm64"))
	}
	dir, err := cached(name+"-"+arch, func(tmp, made string) error {
		if log == nil {
			log = io.Discard
		}
		fmt.Fprintf(log, "fetching kernel %s for %s from Debian %s\n", name, arch, suites[i].suite)
		root := filepath.Join(tmp, "root")
		// Debian's names of architectures are Go's for these two.
		if err := fetchKernel(ctx, tmp, root, suites[i].suite, arch, log); err != nil {
			return err
		}
		return gather(root, made, name)
	})
	if err != nil {
		return fail(err)
	}
	k, err := load(dir, name, arch)
	if err != nil {
		return fail(err)
	}
	return k, nil
}

// cached returns a folder of the cache. If it is not there, make makes it, as
// the folder made; tmp is for other files. It appears under its name when it is
// complete.
func cached(name string, make func(tmp, made string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	all := filepath.Join(cache, "argtap", "kernels")
	dir := filepath.Join(all, name)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := os.MkdirAll(all, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(all, ".fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "made")
	if err := make(tmp, made); err != nil {
		return "", err
	}
	if err := os.Rename(made, dir); err != nil {
		if _, serr := os.Stat(dir); serr != nil {
			return "", err
		}
		// Another process was faster.
	}
	return dir, nil
}

// load returns a kernel from its folder in the cache.
func load(dir, name, arch string) (*Kernel, error) {
	k := &Kernel{Name: name, Arch: arch, Image: filepath.Join(dir, imageFile)}
	release, err := os.ReadFile(filepath.Join(dir, releaseFile))
	if err != nil {
		return nil, err
	}
	k.Release = strings.TrimSpace(string(release))
	if info, err := os.Stat(k.Image); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		// Not fs.ErrNotExist: what is there is not overwritten.
		return nil, fmt.Errorf("%s: no kernel image (%v): remove the folder %s to fetch it anew", k.Image, err, dir)
	}
	for _, m := range guestModules {
		found, err := filepath.Glob(filepath.Join(dir, moduleDir, m+".ko*"))
		if err != nil {
			return nil, err
		}
		k.Modules = append(k.Modules, found...)
	}
	return k, nil
}

// gather makes a kernel's folder in dir from its unpacked packages.
func gather(root, dir, name string) error {
	var image, release string
	var modules []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		base := filepath.Base(p)
		module, _, _ := strings.Cut(base, ".ko")
		switch {
		case strings.HasPrefix(base, "vmlinuz-"): // boot/vmlinuz-RELEASE, to 6.12
			image, release = p, strings.TrimPrefix(base, "vmlinuz-")
		case base == "vmlinuz": // usr/lib/modules/RELEASE/vmlinuz, later
			image, release = p, filepath.Base(filepath.Dir(p))
		case module != base && slices.Contains(guestModules, module):
			modules = append(modules, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if image == "" {
		return errors.New("its packages hold no vmlinuz")
	}
	if name[0] >= '0' && name[0] <= '9' && !strings.HasPrefix(release, name+".") {
		return fmt.Errorf("the suite now has Linux %s", release)
	}
	if err := os.MkdirAll(filepath.Join(dir, moduleDir), 0o755); err != nil {
		return err
	}
	for _, m := range modules {
		if err := os.Rename(m, filepath.Join(dir, moduleDir, filepath.Base(m))); err != nil {
			return err
		}
	}
	if err := os.Rename(image, filepath.Join(dir, imageFile)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, releaseFile), []byte(release+"\n"), 0o644)
}
