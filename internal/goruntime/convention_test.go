package goruntime

import "testing"

func TestRegABI(t *testing.T) {
	for _, tt := range []struct {
		version, goarch string
		regs, known     bool
	}{
		{"go1.11.13", "amd64", false, true},
		{"go1.16.15", "amd64", false, true},
		{"go1.17", "amd64", true, true},
		{"go1.17.13", "arm64", false, true},
		{"go1.18.10", "arm64", true, true},
		{"go1.27.4", "amd64", true, true},
		{"go1.27.4 X:nodwarf5", "arm64", true, true},
		{"go1.26.8-acme", "amd64", true, true},
		{"go1.27.4", "386", false, true},
		{"go1.17.13 X:noregabi", "amd64", false, true},
		// Some releases took the setting and ignored it.
		{"go1.19.13 X:noregabi", "amd64", false, false},
		{"go1.28", "amd64", false, false},
		{"devel go1.28-0123456789", "amd64", false, false},
		{"", "amd64", false, false},
	} {
		if regs, known := RegABI(tt.version, tt.goarch); regs != tt.regs || known != tt.known {
			t.Errorf("RegABI(%q, %s) = %v, %v, want %v, %v", tt.version, tt.goarch, regs, known, tt.regs, tt.known)
		}
	}
}
