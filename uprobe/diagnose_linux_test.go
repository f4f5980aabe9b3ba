package uprobe

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestLoadError tells a helper that the kernel lacks from other reasons to
// reject a program, by what the verifier of two kernels says.
func TestLoadError(t *testing.T) {
	for _, tt := range []struct {
		name, log string
		is        error
		want      string
	}{
		{"5.10", "12: (85) call unknown#181\ninvalid func unknown#181", ErrKernel, "5.17"},
		{"6.1", "12: (85) call bpf_loop#181\nunknown func bpf_loop#181", ErrKernel, "5.17"},
		{"cookie", "3: (85) call unknown#174\ninvalid func unknown#174", ErrKernel, "5.15"},
		{"other helper", "3: (85) call unknown#1810\ninvalid func unknown#1810", ErrVerifier, "main.f"},
		{"atomics", "7: (db) lock *(u64 *)(r8 +0) += r1\nBPF_XADD uses reserved fields", ErrVerifier, "main.f"},
	} {
		err := loadError("main.f", &ebpf.VerifierError{Cause: unix.EINVAL, Log: strings.Split(tt.log, "\n")})
		if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %v that says %s", tt.name, err, tt.is, tt.want)
		}
	}
}

// TestTooManyFiles: the library takes it for the verifier's error, as there is a
// log of type information.
func TestTooManyFiles(t *testing.T) {
	for name, err := range map[string]error{
		"program": loadError("main.f", &ebpf.VerifierError{Cause: unix.EMFILE, Log: []string{"[4] FUNC_PROTO (anon) return=2 args=(3 ctx)"}}),
		"map":     kernelError("create a map", unix.EMFILE),
		"link":    (&kernel{opts: &options{}, multi: true}).attachError("main.f", unix.EMFILE),
	} {
		if !errors.Is(err, unix.EMFILE) || errors.Is(err, ErrVerifier) || !strings.Contains(err.Error(), "ulimit -n") || strings.Contains(err.Error(), "FUNC_PROTO") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
