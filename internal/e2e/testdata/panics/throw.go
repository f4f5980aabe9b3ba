package main

import (
	"errors"
	"fmt"
	"strconv"
)

type failure struct {
	code int
	next *failure
}

func (f *failure) Error() string { return "failure " + strconv.Itoa(f.code) }

type small struct {
	a int8
	s string
}

// throw panics, if not too many panics are under way.
func (t *task) throw() {
	p := t.thrown(11)
	if p != nil {
		panic(p.value)
	}
}

// own returns what a function is to panic with itself, nil if it is not to.
func (t *task) own() *thrown {
	if t.random(6) > 0 {
		return nil
	}
	return t.thrown(9)
}

// thrown begins a panic of one of so many kinds, if not too many are under way. Those
// of the last kinds it panics with itself.
func (t *task) thrown(kinds int) *thrown {
	if len(t.panics) == maxPanics || len(t.stack) < 2 {
		return nil
	}
	k, n := t.random(kinds), t.random(1000)
	p := &thrown{at: len(t.stack)}
	switch k {
	case 0:
		p.value = "text " + strconv.Itoa(n)
	case 1:
		p.value = n
	case 2:
		p.value = &failure{n, &failure{n + 1, nil}}
	case 3:
		p.value = errors.New("error " + strconv.Itoa(n))
	case 4:
		p.value = fmt.Errorf("formatted %d", n)
	case 5:
		p.value = small{int8(n), "s"}
	case 6:
		p.value = []string{"a", strconv.Itoa(n)}
	case 7:
		p.value = float64(n) / 4
	case 8: // nil: recover returns another value since Go 1.21
	default:
		// What the runtime panics with is the same each time.
		func() {
			defer func() { p.value = recover() }()
			wrong(k, n)
		}()
		t.panics = append(t.panics, p)
		wrong(k, n)
	}
	t.panics = append(t.panics, p)
	return p
}

//go:noinline
func wrong(k, n int) int {
	var p *int
	if k == 9 {
		return all[0].left/zero + *p
	}
	return []int{1, 2, 3}[n+3]
}

var zero int
