package dwarfargs

import "testing"

// TestAssembly tells assembly from functions that have no parameters.
func TestAssembly(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	for name, want := range map[string]bool{
		"runtime.memequal":          true,
		"runtime.memmove":           true,
		"runtime.gcStart":           false,
		"runtime.gcenable":          false,
		"runtime.schedinit":         false,
		"internal/cpu.Initialize":   false,
		"internal/cpu.cpuid.abi0":   true,
		"runtime.asyncPreempt.abi0": true,
	} {
		fn, err := lookup(t, f, d, name, 0)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		if fn.Assembly != want {
			t.Errorf("%s: Assembly = %t, want %t", name, fn.Assembly, want)
		}
		if fn.Assembly && fn.RegABI {
			t.Errorf("%s: assembly by ABIInternal", name)
		}
	}
}
