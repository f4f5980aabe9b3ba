package vm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKernelPackages(t *testing.T) {
	for _, tt := range []struct {
		name, out string
		want      []string
	}{
		{"Debian 12", `linux-image-cloud-amd64
  Depends: linux-image-6.1.0-50-cloud-amd64
linux-image-6.1.0-50-cloud-amd64
  Depends: kmod
 |Depends: initramfs-tools
  Depends: <linux-initramfs-tool>
    dracut
kmod
  Depends: libc6
<linux-initramfs-tool>
libc6
`, []string{"linux-image-6.1.0-50-cloud-amd64"}},
		{"where the image is a package of its own", `linux-image-cloud-arm64
  Depends: linux-base-cloud-arm64
  Depends: linux-image-7.2.13+deb14-cloud-arm64
linux-base-cloud-arm64
linux-image-7.2.13+deb14-cloud-arm64
  Depends: linux-binary-7.2.13+deb14-cloud-arm64
  Depends: linux-modules-7.2.13+deb14-cloud-arm64
linux-binary-7.2.13+deb14-cloud-arm64
linux-modules-7.2.13+deb14-cloud-arm64
linux-image-7.2.13+deb14-cloud-arm64
`, []string{"linux-image-7.2.13+deb14-cloud-arm64", "linux-binary-7.2.13+deb14-cloud-arm64", "linux-modules-7.2.13+deb14-cloud-arm64"}},
		{"none", "linux-image-cloud-amd64\n  Depends: <linux-image-6.1>\n<linux-image-6.1>\n", nil},
	} {
		if got := kernelPackages([]byte(tt.out)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestMirrorIn(t *testing.T) {
	for list, want := range map[string]string{
		"https://deb.nodesource.com/node_20.x/\nhttp://deb.debian.org/debian-security/\nhttp://deb.debian.org/debian/\nhttp://other.example/debian\n": "http://deb.debian.org/debian/",
		"http://archive.ubuntu.com/ubuntu/\n":        "",
		"mirror+file:/etc/apt/mirrors/debian.list\n": "",
		"http://127.0.0.1:3142/mirror/of/debian\n":   "http://127.0.0.1:3142/mirror/of/debian",
		"debian\n/srv/debian\n%zz\n":                 "",
		"":                                           "",
	} {
		if got := mirrorIn([]byte(list)); got != want {
			t.Errorf("%q has the mirror %q, want %q", list, got, want)
		}
	}
}

func TestMirrorFromEnvironment(t *testing.T) {
	t.Setenv(mirrorVar, "http://mirror.example/debian")
	if m, err := findMirror(t.Context()); err != nil || m != "http://mirror.example/debian" {
		t.Errorf("%q, %v", m, err)
	}
}

// TestGather makes a kernel's folder from what packages of both kinds unpack to.
func TestGather(t *testing.T) {
	for _, tt := range []struct {
		name, kernel, release string
		files                 map[string]string
		modules               []string
		err                   string
	}{
		{"to 6.12", "6.1", "6.1.0-50-cloud-amd64", map[string]string{
			"boot/vmlinuz-6.1.0-50-cloud-amd64":                                       "image",
			"boot/config-6.1.0-50-cloud-amd64":                                        "config",
			"lib/modules/6.1.0-50-cloud-amd64/kernel/drivers/char/virtio_console.ko":  "console",
			"lib/modules/6.1.0-50-cloud-amd64/kernel/drivers/virtio/virtio_ring.ko":   "ring",
			"lib/modules/6.1.0-50-cloud-amd64/kernel/drivers/virtio/virtio.ko":        "virtio",
			"lib/modules/6.1.0-50-cloud-amd64/kernel/drivers/virtio/virtio_input.ko":  "input",
			"lib/modules/6.1.0-50-cloud-amd64/kernel/drivers/virtio/virtio_pci.ko.xz": "pci",
		}, []string{"virtio.ko", "virtio_ring.ko", "virtio_pci.ko.xz", "virtio_console.ko"}, ""},
		{"later", "sid", "7.2.13+deb14-cloud-arm64", map[string]string{
			"usr/lib/modules/7.2.13+deb14-cloud-arm64/vmlinuz": "image",
		}, nil, ""},
		{"no image", "6.1", "", map[string]string{"boot/config-6.1.0": "config"}, nil, "no vmlinuz"},
		{"another kernel", "6.1", "", map[string]string{"boot/vmlinuz-6.12.1-cloud-amd64": "image"}, nil, "6.12.1-cloud-amd64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made")
			err := gather(write(t, tt.files), dir, tt.kernel)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q in it", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			k, err := load(dir, tt.kernel, "amd64")
			if err != nil {
				t.Fatal(err)
			}
			var modules []string
			for _, m := range k.Modules {
				modules = append(modules, filepath.Base(m))
			}
			if k.Release != tt.release || !slices.Equal(modules, tt.modules) {
				t.Errorf("release %q, modules %q; want %q, %q", k.Release, modules, tt.release, tt.modules)
			}
			if b, err := os.ReadFile(k.Image); string(b) != "image" {
				t.Errorf("image %q, %v", b, err)
			}
		})
	}
}

func TestLoadDamaged(t *testing.T) {
	if _, err := load(filepath.Join(t.TempDir(), "none"), "6.1", "amd64"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	dir := write(t, map[string]string{releaseFile: "6.1.0\n"})
	if _, err := load(dir, "6.1", "amd64"); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("no image: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, imageFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := load(dir, "6.1", "amd64"); err == nil || !strings.Contains(err.Error(), "remove") {
		t.Errorf("an empty image: %v", err)
	}
}

func TestFetchUnknown(t *testing.T) {
	for name, arch := range map[string]string{"2.6": "amd64", "6.1": "riscv64"} {
		if _, err := Fetch(t.Context(), name, arch, nil); err == nil || !strings.Contains(err.Error(), "there are") {
			t.Errorf("kernel %s for %s: %v", name, arch, err)
		}
	}
}

func TestGatherLibraries(t *testing.T) {
	root := write(t, map[string]string{
		"usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": "loader",
		"usr/lib/x86_64-linux-gnu/libc.so.6":            "libc",
		"usr/lib/x86_64-linux-gnu/libm.so.6":            "libm",
		"usr/lib/x86_64-linux-gnu/gconv/UTF-16.so":      "gconv",
		"usr/share/doc/libc6/copyright":                 "text",
	})
	dir := filepath.Join(t.TempDir(), "made")
	if err := gatherLibraries(root, dir, "ld-linux-x86-64.so.2"); err != nil {
		t.Fatal(err)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if err := gatherLibraries(t.TempDir(), filepath.Join(t.TempDir(), "made"), "ld-linux.so.2"); err == nil {
		t.Error("nothing there: no error")
	}
	if _, err := Libraries(t.Context(), "riscv64", nil); err == nil || !strings.Contains(err.Error(), "there are") {
		t.Errorf("unknown architecture: %v", err)
	}
}
