package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/fixture"
)

// enter says what a process does before it becomes a program: what a container's
// runtime does. It has mounts of its own, which go when it does.
type enter struct {
	// Lower, Upper, Work and Root are directories: of an overlay that is mounted on
	// the last. Without Lower nothing is mounted there.
	Lower, Upper, Work string
	Root               string // which becomes the root directory, "" for none
	Pivot              bool   // by pivot_root, else by chroot
	Bind               [2]string
	Proc               bool // mount proc on /proc
	Path               string
	Args               []string
}

// command is a command that enters and becomes the program.
func (e enter) command(t *testing.T, flags uintptr, env ...string) *exec.Cmd {
	t.Helper()
	arg, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	cmd := helper(t, "enter", string(arg))
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | flags}
	return cmd
}

// start starts a fixture program so.
func (e enter) start(t *testing.T, flags uintptr, env ...string) *fixture.Target {
	t.Helper()
	return fixture.StartCmd(t, e.command(t, flags, env...))
}

// overlay is an overlay over a directory that has a file, called app.
func overlay(t *testing.T, path string) enter {
	t.Helper()
	dir := t.TempDir()
	e := enter{Root: filepath.Join(dir, "merged"), Path: "/app"}
	for name, field := range map[string]*string{"lower": &e.Lower, "upper": &e.Upper, "work": &e.Work} {
		*field = filepath.Join(dir, name)
		if err := os.Mkdir(*field, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{e.Root, filepath.Join(e.Lower, "proc")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fixture.Copy(t, path, e.Lower, "app")
	return e
}

func helpEnter(args []string) error {
	var e enter
	if err := json.Unmarshal([]byte(args[0]), &e); err != nil {
		return err
	}
	os.Unsetenv(helperVar)
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if e.Lower != "" {
		o := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", e.Lower, e.Upper, e.Work)
		if err := unix.Mount("overlay", e.Root, "overlay", 0, o); err != nil {
			return fmt.Errorf("mount an overlay: %w", err)
		}
	}
	if e.Bind[0] != "" {
		if err := unix.Mount(e.Bind[0], e.Bind[1], "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	}
	if e.Root != "" {
		if err := e.changeRoot(); err != nil {
			return err
		}
	}
	if e.Proc {
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return fmt.Errorf("mount proc: %w", err)
		}
	}
	return fmt.Errorf("%s: %w", e.Path, unix.Exec(e.Path, append([]string{e.Path}, e.Args...), os.Environ()))
}

func (e enter) changeRoot() error {
	if !e.Pivot {
		return errors.Join(unix.Chroot(e.Root), unix.Chdir("/"))
	}
	if err := unix.Chdir(e.Root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	return errors.Join(unix.Unmount(".", unix.MNT_DETACH), unix.Chdir("/"))
}
