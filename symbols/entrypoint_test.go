package symbols_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/argtap/argtap/symbols"
)

func TestEntryPoint(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	want, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Skip("this system's programs are not ELF")
	}
	open := func(entry uint64) (symbols.VirtAddr, error) {
		t.Helper()
		b := bytes.Clone(data)
		binary.LittleEndian.PutUint64(b[24:], entry)
		f, err := symbols.NewFile(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return f.EntryPoint()
	}
	if a, err := open(want.Entry); err != nil || uint64(a) != want.Entry {
		t.Errorf("entry point %#x, %v, want %#x", uint64(a), err, want.Entry)
	}
	if _, err := open(0); !errors.Is(err, symbols.ErrNotProgram) {
		t.Errorf("without one: %v", err)
	}
	for _, bad := range []uint64{1, want.Entry + 1<<40, ^uint64(0)} {
		if a, err := open(bad); err == nil || !strings.Contains(err.Error(), "not in executable code") {
			t.Errorf("entry point %#x of %#x: %v", uint64(a), bad, err)
		}
	}
}
