package probegen_test

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/internal/probegen"
)

func TestVerifierAcceptsDictionaries(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		for _, v := range l.variants() {
			for _, walk := range []bool{false, true} {
				for _, dicts := range []int{0, 1, probegen.MaxDicts} {
					if walk && v.noLoops {
						continue
					}
					t.Run(fmt.Sprintf("%s/%v/walk=%t/%d", a.GOARCH, v, walk, dicts), func(t *testing.T) {
						f, types, _ := generic(a, walk)
						for i := range dicts {
							f.Dicts = append(f.Dicts, uint64(dictInts+8*i))
						}
						l.walkMaps(t, types)
						m, err := ebpf.NewMap(&ebpf.MapSpec{
							Type: ebpf.Hash, KeySize: probegen.InstanceKeySize, ValueSize: probegen.InstanceSize, MaxEntries: 4,
						})
						if err != nil {
							t.Fatal(err)
						}
						defer m.Close()
						l.maps[probegen.MapInstances] = m
						for _, mark := range []probegen.Mark{probegen.NoMark, probegen.SkipRepeat, probegen.SetGrown, probegen.SkipGrown} {
							if f.Mark = mark; mark >= probegen.SetGrown && f.G.Kind == probegen.GNone {
								break // nothing tells its goroutine
							}
							ins, err := probegen.Entry([]probegen.Func{f}, v.options(l))
							if err != nil {
								t.Fatal(err)
							}
							p, err := l.load(ins, v.sleepable)
							if err != nil {
								t.Fatalf("mark %d: %+v", mark, err)
							}
							p.Close()
						}
					})
				}
			}
		}
	}
}
