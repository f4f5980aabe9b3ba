package uprobe

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// redactedCall is a call of a function of testdata/redact.
type redactedCall struct {
	record  []byte
	text    string
	call    *Call
	needles [][]byte // what must not be seen
}

// find returns where a needle is in the record, -1 if it is not. Words are at
// multiples of their size: elsewhere bytes may look like one by chance.
func (c *redactedCall) find(needle []byte) int {
	for from := 0; ; {
		at := bytes.Index(c.record[from:], needle)
		if at < 0 || len(needle) != 8 || (from+at)%8 == 0 {
			if at < 0 {
				return -1
			}
			return from + at
		}
		from += at + 1
	}
}

// seen returns how many of the needles are in the record.
func (c *redactedCall) seen() (n int) {
	for _, x := range c.needles {
		if c.find(x) >= 0 {
			n++
		}
	}
	return n
}

func short(s string) string { return s[:min(len(s), 2000)] }

// redactedCalls calls each of the functions, traced with the given options.
func redactedCalls(t *testing.T, path string, names []string, opts ...Option) map[string]*redactedCall {
	t.Helper()
	target := startCaps(t, path)
	calls := map[string]*redactedCall{}
	var funcs []string
	for _, n := range names {
		funcs = append(funcs, "main."+n)
	}
	tr, err := Trace(path, "", func(c *Call) {
		name, _, _ := strings.Cut(strings.TrimPrefix(c.Name(), "main."), "[")
		if calls[name] != nil {
			t.Errorf("two calls of %s", name)
		}
		calls[name] = &redactedCall{record: bytes.Clone(c.data), text: c.String(), call: c.Clone()}
	}, append(opts, WithFuncs(funcs...))...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	answers := map[string]string{}
	for _, n := range names {
		answers[n] = target.do(n)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if calls[n] == nil {
			t.Fatalf("no call of %s: %+v", n, tr.Stats())
		}
		for _, x := range strings.Fields(answers[n]) {
			b, err := hex.DecodeString(x)
			if err != nil {
				t.Fatal(err)
			}
			calls[n].needles = append(calls[n].needles, b)
		}
	}
	return calls
}

var redactFuncs = []string{
	"registers", "stack", "smallStruct", "byValue", "cells", "pointer", "slice", "cellSlice", "nested", "list", "interfaces", "pointers", "containers", "keys",
}

// TestRedaction looks for secrets in the records themselves: their bytes, their
// lengths and their addresses. Without redaction all of them are found there.
func TestRedaction(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "redact")
	types := WithRedact("main.Vault", "main.Key")
	large := WithLimits(Limits{Depth: 100, Objects: 1024, Record: 32 << 10, Bytes: 8192})
	for _, limits := range []struct {
		name string
		opt  Option
	}{{"default", WithLimits(Limits{})}, {"large", large}, {"small", WithLimits(Limits{Elems: 2, Bytes: 300, Depth: 2, Objects: 20, Record: 2000})}, {"shallow", WithDepth(-1)}} {
		t.Run(limits.name, func(t *testing.T) {
			ways := forEachWay
			if limits.name != "default" {
				ways = func(t *testing.T, test func(*testing.T, []string)) { test(t, nil) }
			}
			ways(t, func(t *testing.T, lack []string) {
				got := redactedCalls(t, path, redactFuncs, types, limits.opt, withoutFeatures(lack...))
				for name, c := range got {
					for i, x := range c.needles {
						if at := c.find(x); at >= 0 {
							t.Errorf("%s: secret %d, %x, at %d of %d bytes\n%s", name, i, x, at, len(c.record), short(c.text))
						}
					}
					if lack != nil || limits.name != "default" && limits.name != "large" {
						continue
					}
					if !strings.Contains(c.text, "<redacted>") {
						t.Errorf("%s: nothing is redacted: %s", name, c.text)
					}
					if !strings.Contains(c.text, "PUBLIC") && !strings.Contains(strings.ToLower(name), "cell") {
						t.Errorf("%s: what is public is not there: %s", name, c.text)
					}
				}
			})
		})
	}
	t.Run("off", func(t *testing.T) {
		got := redactedCalls(t, path, redactFuncs, types, WithoutRedaction(), large)
		for name, c := range got {
			if n := c.seen(); n != len(c.needles) || n == 0 {
				t.Errorf("%s: %d of %d secrets are seen: the test finds nothing\n%s", name, n, len(c.needles), short(c.text))
			}
			if strings.Contains(c.text, "<redacted>") {
				t.Errorf("%s: redacted: %s", name, c.text)
			}
		}
	})
	t.Run("types off", func(t *testing.T) {
		got := redactedCalls(t, path, []string{"pointer"}, large)
		if c := got["pointer"]; c.seen() == 0 || !strings.Contains(c.text, "Gold: 6") {
			t.Errorf("main.Vault is not seen: %s", c.text)
		}
	})
}

// TestBindRedacted: a func that would never be called is refused.
func TestBindRedacted(t *testing.T) {
	path := buildFixture(t, "redact")
	type some struct {
		User  string
		Token string `argtap:",optional"`
	}
	type whole struct {
		User string
		V    Value `argtap:"token"`
	}
	type secret struct{ User, Token string }
	for _, tt := range []struct {
		fn    string
		bind  Option
		opts  []Option
		wrong string
	}{
		{"smallStruct", Bind(func(some) {}), nil, ""},
		{"smallStruct", Bind(func(whole) {}), nil, ""},
		{"smallStruct", Bind(func(secret) {}), nil, "parameter s.Token: it is redacted: "},
		{"smallStruct", Bind(func(secret) {}), []Option{WithoutRedaction()}, ""},
		{"registers", Bind(func(string) {}, "password"), nil, "parameter password: it is redacted: "},
		{"registers", Bind(func(Value) {}, "password"), nil, ""},
		{"registers", Bind(func(any) {}, "password"), nil, "parameter password: it is redacted: "},
		{"registers", Bind(func(string) {}, "user"), nil, ""},
	} {
		_, err := Inspect(path, "main."+tt.fn, append(tt.opts, tt.bind)...)
		if tt.wrong == "" && err != nil || tt.wrong != "" && (!errors.Is(err, ErrHandler) || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: %v, want %s", tt.fn, err, tt.wrong)
		}
	}
}

// TestRedactedText: every form says that a value is redacted, and shows the rest.
func TestRedactedText(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "redact")
	got := redactedCalls(t, path, []string{"smallStruct", "registers", "cellSlice", "interfaces", "plain"}, WithRedact("main.Vault", "main.Key"))
	c := got["smallStruct"].call
	if s, want := c.String(), `main.smallStruct(s=main.small{User: "PUBLIC", token: <redacted>, n: 5})`; s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	if s, want := string(c.AppendJSON(nil)), `"value":{"User":"PUBLIC","token":{"absent":"redacted"},"n":5}`; !strings.Contains(s, want) {
		t.Errorf("got %s, want %s", s, want)
	}
	if s, want := fmt.Sprintf("%v", c.Arg(0)), "{PUBLIC <redacted> 5}"; s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("call", "call", c)
	if !strings.Contains(log.String(), "token: <redacted>") {
		t.Errorf("logged %s", log.String())
	}
	var all struct{ User, Token string }
	err := c.Arg(0).Decode(&all)
	var missing Absent
	if !errors.As(err, &missing) || missing.Reason != "redacted" || err.Error() != "Token: <redacted>" {
		t.Errorf("decode: %v", err)
	}
	var user struct{ User string }
	if err := c.Arg(0).Decode(&user); err != nil || user.User != "PUBLIC" {
		t.Errorf("decode: %v, %+v", err, user)
	}
	f := c.Arg(0).Field(1)
	if r, absent := f.Absent(); !absent || r != abi.Redacted.String() || f.Len() != -1 || f.Captured() != 0 {
		t.Errorf("%q, %t, length %d", r, absent, f.Len())
	}
	c = got["registers"].call
	if s, want := c.String(), `main.registers(user="PUBLIC", password=<redacted>, n=7, authToken=<redacted>, secretPtr=<redacted>, cookies=<redacted>, credentials=<redacted>, key=<redacted>)`; s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	if s, want := string(c.AppendJSON(nil)), `{"name":"password","type":"string","absent":"redacted"}`; !strings.Contains(s, want) {
		t.Errorf("got %s, want %s", s, want)
	}
	const cell = `{token8: <redacted>, a: 1, token16: <redacted>, b: 2, token64: <redacted>, many: [9]uint64{3, 3, 3, 3, 3, 3, 3, 3, 3}, secret: <redacted>}`
	if s := got["cellSlice"].text; strings.Count(s, cell) != 5 {
		t.Errorf("got %s, want %s five times", s, cell)
	}
	for _, want := range []string{"b=main.cell" + cell, "c=main.Key(<redacted>)", "err=main.Fmt{v: (*main.Vault)(0x", "Password: <redacted>"} {
		if s := got["interfaces"].text; !strings.Contains(s, want) {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	if s := got["plain"].text; s != `main.plain(user="PUBLIC", n=4)` {
		t.Errorf("got %s", s)
	}
}
