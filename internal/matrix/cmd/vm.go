package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/matrix"
	"github.com/argtap/argtap/internal/vm"
)

// vms traces cells on other kernels: this command itself runs in the guest.
func vms(s *settings, args []string) error {
	cells, err := matrix.ParseCells(args...)
	if err != nil {
		return err
	}
	if s.kernels == "" || len(cells) == 0 {
		return fmt.Errorf("vm: name cells, and kernels with -kernels: there are %s", strings.Join(vm.Names(), ", "))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "argtap-matrix-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var c collector
	var failed error
	for _, arch := range []string{"amd64", "arm64"} {
		part := slices.DeleteFunc(slices.Clone(cells), func(c matrix.Cell) bool {
			return c.Arch != arch && !(c.Arch == "386" && arch == "amd64")
		})
		if len(part) == 0 {
			continue
		}
		// What is not linked statically needs the C library.
		libraries := map[string]string{}
		for _, a := range matrix.Archs {
			if !slices.ContainsFunc(part, func(c matrix.Cell) bool { return c.Arch == a && (c.Flavour == fixture.PIE || c.Flavour == fixture.Cgo) }) {
				continue
			}
			list, err := vm.Libraries(ctx, a, os.Stderr)
			if err != nil {
				return err
			}
			maps.Copy(libraries, list)
		}
		exe, bundle := filepath.Join(dir, "matrix-"+arch), filepath.Join(dir, arch)
		if err := errors.Join(buildSelf(exe, arch), s.build(bundle, part)); err != nil {
			return err
		}
		for _, kernel := range strings.Split(s.kernels, ",") {
			results, err := guest(ctx, kernel, arch, exe, bundle, libraries)
			for _, r := range results {
				c.add(r)
			}
			failed = errors.Join(failed, err)
		}
	}
	return errors.Join(failed, c.finish(s.record))
}

// buildSelf builds this command for a guest.
func buildSelf(exe, arch string) error {
	cmd := fixture.GoCommand("build", "-o", exe, "github.com/argtap/argtap/internal/matrix/cmd")
	cmd.Env = append(cmd.Env, "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	return output(cmd)
}

func output(cmd *exec.Cmd) error {
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, text)
	}
	return nil
}

// guest boots a kernel and runs a bundle on it.
func guest(ctx context.Context, kernel, arch, exe, bundle string, libraries map[string]string) ([]matrix.Result, error) {
	k, err := vm.Fetch(ctx, kernel, arch, os.Stderr)
	if err != nil {
		return nil, err
	}
	files := maps.Clone(libraries)
	files["/matrix"], files["/bundle"] = exe, bundle
	var lines bytes.Buffer
	start := time.Now()
	status, err := vm.Run(ctx, vm.Config{
		Kernel: k,
		Files:  files,
		Args:   []string{"/matrix", "run", "/bundle"},
		Memory: 4096, Timeout: 30 * time.Minute,
		Stdout: io.Writer(&lines), Stderr: os.Stderr,
	})
	fmt.Fprintf(os.Stderr, "kernel %s for %s: %v\n", kernel, arch, time.Since(start).Round(time.Second))
	if err != nil {
		return nil, err
	}
	results, err := matrix.ReadResults(&lines)
	if err == nil && len(results) == 0 {
		err = fmt.Errorf("kernel %s for %s: no results, exit status %d", kernel, arch, status)
	}
	return results, err
}
