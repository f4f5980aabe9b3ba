// Program prog has one function of each kind that names and tables must get
// right. It imports nothing, so that it builds fast for every architecture.
package main

type Server struct{ hits int }

//go:noinline
func (s *Server) Serve(n int) int { s.hits += n; return s.hits }

//go:noinline
func (s Server) Hits() int { return s.hits }

type Number interface{ ~int | ~int64 }

//go:noinline
func Sum[T Number](v []T) (t T) {
	for _, x := range v {
		t += x
	}
	return t
}

type Stack[T any] struct{ items []T }

//go:noinline
func (s *Stack[T]) Push(x T) { s.items = append(s.items, x) }

//go:noinline
func computeE(iterations int64) float64 {
	res, fact := 2.0, 1.0
	for i := int64(2); i < iterations; i++ {
		fact *= float64(i)
		res += 1 / fact
	}
	return res
}

//go:noinline
func café(n int) func() int { return func() int { n++; return n } }

// Constant has bytes that the tests look for in read-only data, Variable some
// that are writable.
const Constant = "symbols: this text is constant"

var Variable = 42

func main() {
	s := &Server{}
	println(s.Serve(2), s.Hits(), Sum([]int{1, 2}), Sum([]int64{3}), computeE(20), café(1)(), Constant, Variable)
	var st Stack[string]
	st.Push("x")
	var sp Stack[*Server]
	sp.Push(s)
	println(len(st.items), len(sp.items))
}
