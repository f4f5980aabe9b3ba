package uprobe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

func TestOptions(t *testing.T) {
	o, err := newOptions(nil)
	if err != nil || o.buffer != 16<<20 || o.delay != 5*time.Millisecond || len(o.pids) != 0 || o.ctx == nil || o.log == nil || len(o.funcs) != 0 {
		t.Errorf("defaults %+v, %v", o, err)
	}
	ctx := context.WithValue(t.Context(), reflect.TypeFor[int](), 1)
	log := slog.New(slog.DiscardHandler)
	o, err = newOptions([]Option{
		WithFuncs("a", "b"), WithFuncs("c"), WithPID(7), WithContext(ctx), WithLimits(Limits{1, 2, 3, 4, 5, 6}),
		WithBufferSize(8192), WithDelay(time.Millisecond), WithLogger(log),
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.limits.Redact == nil {
		t.Error("nothing is redacted")
	}
	o.limits.Redact = nil
	if fmt.Sprint(o.funcs) != "[a b c]" || fmt.Sprint(o.pids) != "[7]" || o.ctx != ctx || o.limits != (capture.Limits{String: 1, Elems: 2, Bytes: 3, Depth: 4, Objects: 5, Record: 6}) ||
		o.buffer != 8192 || o.delay != time.Millisecond || o.log != log {
		t.Errorf("%+v", o)
	}
	if o, err := newOptions([]Option{WithImmediate()}); err != nil || o.delay != 0 {
		t.Errorf("immediate: %+v, %v", o, err)
	}
	if o, err := newOptions([]Option{WithLogger(nil)}); err != nil || o.log == nil {
		t.Errorf("no logger: %+v, %v", o, err)
	}
}

// TestLimitOptions: options that set limits leave those of others alone, in any order.
func TestLimitOptions(t *testing.T) {
	for _, tt := range []struct {
		opts []Option
		want capture.Limits
	}{
		{[]Option{WithDepth(5), WithLimits(Limits{Elems: 9}), WithStack(7)}, capture.Limits{Depth: 5, Elems: 9, Stack: 7}},
		{[]Option{WithDepth(0), WithLimits(Limits{Elems: 9, Depth: 2})}, capture.Limits{Depth: -1, Elems: 9}},
		{[]Option{WithLimits(Limits{Depth: 2}), WithLimits(Limits{String: 3})}, capture.Limits{Depth: 2, String: 3}},
	} {
		for range 2 {
			slices.Reverse(tt.opts)
			o, err := newOptions(append(slices.Clone(tt.opts), WithoutRedaction()))
			if err != nil {
				t.Fatal(err)
			}
			if o.limits != tt.want {
				t.Errorf("limits %+v, want %+v", o.limits, tt.want)
			}
		}
	}
	// Of the same option the last one counts.
	o, err := newOptions([]Option{WithLimits(Limits{Elems: 1, String: 2}), WithLimits(Limits{Elems: 3})})
	if err != nil || o.limits.Elems != 3 || o.limits.String != 2 {
		t.Errorf("%+v, %v", o.limits, err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, tt := range []struct {
		opt  Option
		is   error
		want string
	}{
		{WithPID(0), ErrNoProcess, "process ID 0: no such process: a process ID is positive"},
		{WithPID(-3), ErrNoProcess, "process ID -3"},
		{WithBufferSize(0), nil, "buffer size 0: must be between 1 and 1073741824 bytes"},
		{WithBufferSize(-1), nil, "buffer size -1"},
		{WithBufferSize(1<<30 + 1), nil, "buffer size 1073741825"},
		{WithDelay(-1), nil, "delay -1ns: must be between 0 and 1s"},
		{WithDelay(time.Second + 1), nil, "delay 1.000000001s"},
		{WithContext(nil), nil, "context"}, //lint:ignore SA1012 that is what is tested
	} {
		// An option is looked at before the file.
		_, err := Trace("/does/not/exist", "main.f", func(*Call) {}, tt.opt)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v, want %s", err, tt.want)
		}
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%v is not %v", err, tt.is)
		}
	}
	if _, err := Trace("/does/not/exist", "main.f", nil); err == nil || !strings.Contains(err.Error(), "no handler") {
		t.Errorf("without a handler: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("over")
	cancel(cause)
	if _, err := Trace("/does/not/exist", "main.f", func(*Call) {}, WithContext(ctx)); !errors.Is(err, cause) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// TestRedactOptions: what is given adds to what is there, and a reset takes that
// back.
func TestRedactOptions(t *testing.T) {
	for _, tt := range []struct {
		opts      []Option
		yes, no   []string
		cookie    bool
		redaction bool
	}{
		{nil, []string{"password", "authToken", "API_KEY", "sessionIDs"}, []string{"user", "keyboard", "tokenize", "name", "key", "id", "auth"}, true, true},
		{[]Option{WithRedact("pin")}, []string{"password", "pin"}, []string{"spinner"}, true, true},
		{[]Option{WithoutRedaction()}, nil, []string{"password"}, false, false},
		{[]Option{WithRedact("pin"), WithoutRedaction()}, nil, []string{"password", "pin"}, false, false},
		{[]Option{WithoutRedaction(), WithRedact("pin"), WithRedact("pan")}, []string{"pin", "pan"}, []string{"password"}, false, true},
		{[]Option{WithRedact("pin"), WithLimits(Limits{Elems: 3})}, []string{"pin", "password"}, nil, true, true},
		{[]Option{WithRedact()}, []string{"password"}, []string{"pin"}, true, true},
	} {
		for range 2 { // options can be used again
			o, err := newOptions(tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			r := o.limits.Redact
			if (r != nil) != tt.redaction {
				t.Errorf("%v: %v", o.redact, r)
			}
			for _, name := range tt.yes {
				if !r.Name(name) {
					t.Errorf("%v: %s is not redacted", o.redact, name)
				}
			}
			for _, name := range tt.no {
				if r.Name(name) {
					t.Errorf("%v: %s is redacted", o.redact, name)
				}
			}
			if got := r.Type(&abi.Type{Name: "net/http.Cookie", Kind: abi.Struct}); got != tt.cookie {
				t.Errorf("%v: http.Cookie is redacted: %t", o.redact, got)
			}
		}
	}
	if _, err := newOptions([]Option{WithRedact("password", "a b")}); err == nil || !strings.Contains(err.Error(), `redact "a b": `) {
		t.Errorf("%v", err)
	}
	if d := DefaultRedaction(); len(d) == 0 {
		t.Error("no default")
	} else if d[0] = "x"; DefaultRedaction()[0] == "x" {
		t.Error("the default can be changed")
	}
}
