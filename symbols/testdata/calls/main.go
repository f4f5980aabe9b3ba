// Program calls has functions of both ABIs, wrappers and inlined calls. It builds
// with every release from Go 1.11 on.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

type Server struct{ hits int }

//go:noinline
func (s *Server) Serve(n int) int { s.hits += n; return s.hits }

//go:noinline
func (s Server) Hits() int { return s.hits }

type Hitter interface{ Hits() int }

type outer struct {
	Server
	name string
}

// Add is written in assembly.
func Add(a, b int) int

// Back calls a Go function from assembly.
func Back(a int) int

//go:noinline
func called(a int) int { return a * 3 }

func inlined(a int) int { return a*7 + 1 }

func inlinedTwice(a int) int { return inlined(a) * 2 }

//go:noinline
func nested(a int) int { x := inlinedTwice(a); return x + inlined(a+1) }

//go:noinline
func closure(n int) func() int { return func() int { n++; return n } }

//go:noinline
func deferring(n int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New(fmt.Sprint(r))
		}
	}()
	if n > 2 {
		panic("too many")
	}
	return nil
}

func main() {
	s := &Server{}
	var h Hitter = &outer{Server: Server{3}}
	fmt.Println(s.Serve(2), s.Hits(), h.Hits(), Add(1, 2), Back(5), nested(4), closure(1)(), deferring(9), strings.Repeat("x", len(os.Args)))
}
