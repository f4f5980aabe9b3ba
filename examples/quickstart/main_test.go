package main

import (
	"os"
	"runtime"
	"testing"
)

func TestQuickstart(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("uprobes need Linux and privileges: run as root")
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
}
