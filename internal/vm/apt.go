package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mirrorVar is the environment variable that overrides the mirror.
const mirrorVar = "ARGTAP_DEBIAN_MIRROR"

// keyring is where Debian keeps the keys of all its suites. apt's own choice may
// lack those of suites other than the machine's.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// apt runs apt for one suite and architecture, with lists and a cache apart
// from the machine's.
type apt struct {
	dir     string
	options []string
	log     io.Writer
}

// fetchKernel unpacks the packages of a suite's cloud kernel into root. dir is
// for temporary files.
func fetchKernel(ctx context.Context, dir, root, suite, arch string, log io.Writer) error {
	a, err := newApt(ctx, dir, suite, arch, log)
	if err != nil {
		return err
	}
	meta := "linux-image-cloud-" + arch
	out, err := a.run(ctx, dir, "apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
		"--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", meta)
	if err != nil {
		return fmt.Errorf("package %s in Debian %s: %w", meta, suite, err)
	}
	packages := kernelPackages(out)
	if len(packages) == 0 {
		return fmt.Errorf("package %s in Debian %s depends on no kernel:\n%s", meta, suite, out)
	}
	return a.unpack(ctx, root, packages...)
}

// unpack downloads packages and unpacks them into root.
func (a *apt) unpack(ctx context.Context, root string, packages ...string) error {
	debs := filepath.Join(a.dir, "debs")
	if err := os.Mkdir(debs, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(a.log, "downloading %s\n", strings.Join(packages, " "))
	if _, err := a.run(ctx, debs, "apt-get", append([]string{"download", "-q"}, packages...)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, err := a.run(ctx, debs, "dpkg-deb", "-x", f, root); err != nil {
			return err
		}
	}
	return nil
}

// newApt fetches the lists of a suite's packages.
func newApt(ctx context.Context, dir, suite, arch string, log io.Writer) (*apt, error) {
	mirror, err := findMirror(ctx)
	if err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "sources.list")
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(d)), 0o755); err != nil {
			return nil, err
		}
	}
	signed := ""
	if _, err := os.Stat(keyring); err == nil {
		signed = " [signed-by=" + keyring + "]"
	}
	line := fmt.Sprintf("deb%s %s %s main\n", signed, mirror, suite)
	if err := os.WriteFile(list, []byte(line), 0o644); err != nil {
		return nil, err
	}
	a := &apt{dir: dir, log: log}
	for _, o := range []string{
		"Dir::Etc::SourceList=" + list,
		"Dir::Etc::SourceParts=/dev/null",
		"Dir::State::Lists=" + filepath.Join(dir, "lists"),
		"Dir::Cache=" + filepath.Join(dir, "cache"),
		"APT::Architecture=" + arch,
		"APT::Architectures=" + arch,
		"APT::Sandbox::User=root",
		"Acquire::Languages=none",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"Acquire::IndexTargets::deb::CNF::DefaultEnabled=false",
		"Acquire::Retries=3",
	} {
		a.options = append(a.options, "-o", o)
	}
	if _, err := a.run(ctx, dir, "apt-get", "update", "-q"); err != nil {
		return nil, fmt.Errorf("%s: does it have Debian %s? %s names another mirror: %w", mirror, suite, mirrorVar, err)
	}
	return a, nil
}

// run runs a command of apt or dpkg in a directory and returns its output. Its
// errors go into the error.
func (a *apt) run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	if strings.HasPrefix(name, "apt-") {
		args = append(slices.Clone(a.options), args...)
	}
	return output(ctx, dir, name, args...)
}

func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%w: kernels come as Debian packages, so apt and dpkg-deb must be there", err)
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// findMirror returns the address of the Debian mirror that this machine uses.
func findMirror(ctx context.Context) (string, error) {
	if m := os.Getenv(mirrorVar); m != "" {
		return m, nil
	}
	out, err := output(ctx, "", "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
	if err != nil {
		return "", err
	}
	if m := mirrorIn(out); m != "" {
		return m, nil
	}
	return "", fmt.Errorf("the machine's package sources name no Debian mirror: set %s, to http://deb.debian.org/debian for example", mirrorVar)
}

// mirrorIn returns the first address in a list, one a line, that is a mirror of
// Debian's main archive. Mirrors keep it in a folder of that name.
func mirrorIn(list []byte) string {
	for line := range strings.Lines(string(list)) {
		line = strings.TrimSpace(line)
		if u, err := url.Parse(line); err == nil && u.Scheme != "" && path.Base(u.Path) == "debian" {
			return line
		}
	}
	return ""
}

// kernelPackage matches packages of one kernel release: the image, and where
// that is only a name for them the binary and the modules. The image's own
// name does not tell which it is.
var kernelPackage = regexp.MustCompile(`^linux-(?:image|binary|modules)-[0-9][^ ]*$`)

// kernelPackages returns the kernel's packages from the output of "apt-cache
// depends --recurse": packages stand at the beginning of a line, what they
// depend on is indented below.
func kernelPackages(out []byte) []string {
	var names []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if kernelPackage.MatchString(line) && !slices.Contains(names, line) {
			names = append(names, line)
		}
	}
	return names
}
