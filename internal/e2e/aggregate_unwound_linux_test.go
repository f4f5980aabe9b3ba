package e2e

import (
	_ "embed"
	"maps"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/unwound/main.go
var unwoundSource string

// TestAggregateUnwound counts calls of a program that runs for some seconds and ends by
// a panic: while it runs, up to a limit, sampled, and with less room than keys.
func TestAggregateUnwound(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": unwoundSource})
	target, err := fixture.Run(path)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Kill()
	const first, keys = 25, 2
	tracers := map[string]*uprobe.Tracer{}
	for name, opts := range map[string][]uprobe.Option{
		"all":     {uprobe.WithCount("how", "panicked")},
		"first":   {uprobe.WithCount("how"), uprobe.WithCondition("panicked && how > 0"), uprobe.WithFirst(first)},
		"sampled": {uprobe.WithHistogram("n", uprobe.Log2(), "panicked"), uprobe.WithSampling(7)},
		"keys":    {uprobe.WithCount("n", "panicked"), uprobe.WithMaxKeys(keys)},
	} {
		tr, err := uprobe.Trace(path, "main.work", nil, opts...)
		if err != nil {
			t.Fatalf("%s: %+v", name, err)
		}
		defer tr.Close()
		tracers[name] = tr
	}
	fails, err := uprobe.Trace(path, "main.fails", nil, uprobe.WithCount("n&1", "panicked"))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer fails.Close()
	if err := target.Go(); err != nil {
		t.Fatal(err)
	}
	var said struct {
		Rows   map[string]uint64
		Exited uint64
	}
	if err := target.Event("counted", &said); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Calls(); err != nil {
		t.Fatal(err)
	}
	var total uint64
	for _, n := range said.Rows {
		total += n
	}
	rows := func(tr *uprobe.Tracer) map[string]uint64 {
		got := map[string]uint64{}
		all, err := tr.Aggregates()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			key := "other"
			if !a.Other {
				key = a.Key[0].String()
				for _, k := range a.Key[1:] {
					key += " " + k.String()
				}
			}
			got[key] += a.Count
		}
		return got
	}
	// The calls that panics have left are counted while the program runs, those of
	// goroutines that make no other call included.
	all := tracers["all"]
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		s := all.Stats()
		if s.Aggregated == total && s.Exited == said.Exited && maps.Equal(rows(all), said.Rows) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("counted %v, want %v and %d that exited: %+v", rows(all), said.Rows, said.Exited, s)
		}
	}
	if err := target.Go(); err != nil {
		t.Fatal(err)
	}
	_ = target.Close() // it dies of a panic
	if err := fails.Close(); err != nil {
		t.Error(err)
	}
	if got := rows(fails); len(got) != 2 || got["0 true"] != said.Exited/2 || got["1 true"] != said.Exited/2 {
		t.Errorf("calls that can only panic: %v: %+v", got, fails.Stats())
	}
	said.Rows["1 true"]++
	total++
	for name, tr := range tracers {
		if err := tr.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, s := rows(tr), tr.Stats()
		var sum uint64
		for _, n := range got {
			sum += n
		}
		t.Logf("%s: %v, %+v", name, got, s)
		if name != "first" && s.Calls != total+said.Exited || s.Aggregated != sum || s.Lost != 0 || s.Open != 0 || s.Delivered != 0 {
			t.Errorf("%s: %d calls; %v: %+v", name, total+said.Exited, got, s)
		}
		switch name {
		case "all":
			if !maps.Equal(got, said.Rows) || s.Aggregated != total {
				t.Errorf("counted %v, want %v", got, said.Rows)
			}
			compared(t, int(total))
		case "first":
			if sum != first {
				t.Errorf("%d calls, want the first %d: %v", sum, first, got)
			}
		case "sampled":
			if s.Sampled == 0 || s.Aggregated+s.Sampled+s.Abandoned != total+said.Exited {
				t.Errorf("%+v", s)
			}
		case "keys":
			if len(got) != keys+1 || sum != total {
				t.Errorf("%d keys, want %d and others: %v", len(got), keys, got)
			}
		}
	}
}
