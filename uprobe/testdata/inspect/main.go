// Command inspect is a program to be inspected, never run.
package main

import "os"

type point struct{ X, Y int }

type server struct {
	hits  int
	names []string
}

//go:noinline
func (s *server) serve(path string, weight float64) {
	s.hits += int(weight)
	s.names = append(s.names, path)
}

//go:noinline
func three(n int, s string, p *point) int { return n + len(s) + p.X + inlined(n) }

func inlined(n int) int { return n/3 + n%7 }

func main() {
	s := new(server)
	s.serve(os.Args[0], 1.5)
	os.Exit(three(s.hits, os.Args[0], &point{1, 2}))
}
