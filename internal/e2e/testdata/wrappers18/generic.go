package main

// G is generic.
type G[X any] struct {
	V X
	N int
}

func (g G[X]) Get(n int, x X) int {
	sink += n
	return g.N + n
}

//go:noinline
func (g G[X]) Far(n int, x X) int {
	sink += n
	return g.N + n
}

func (g *G[X]) Set(x X, n int) int {
	g.V = x
	return g.N + n
}

type getter[X any] interface {
	Get(n int, x X) int
	Far(n int, x X) int
}

type setter[X any] interface{ Set(x X, n int) int }

type holds[X any] struct {
	Y int8
	G[X]
}

//go:noinline
func get[X any](how string, i getter[X], g G[X], x X) {
	say("main.G.Get", how, g, 40, x, results{}, i.Get(40, x))
	say("main.G.Far", how, g, 41, x, results{}, i.Far(41, x))
}

//go:noinline
func constrained[V Values](how string, v V, t T) {
	say("main.T.Big", how, t, 42, "c", results{}, v.Big(42, "c"))
	f := v.Small
	say("main.T.Small", how+" value", t, 43, "c", results{}, again(f)(43, "c"))
}

//go:noinline
func again(f func(int, string) int) func(int, string) int { return f }

//go:noinline
func gets[X any](f func(int, X) int, g G[X], x X) {
	say("main.G.Get", "method value", g, 44, x, results{}, f(44, x))
}

func generic(t T) {
	get[string]("G[string]", G[string]{"v", 1}, G[string]{"v", 1}, "x")
	get[string]("*G[string]", &G[string]{"v", 2}, G[string]{"v", 2}, "y")
	get[int]("*G[int]", &G[int]{5, 3}, G[int]{5, 3}, 6)
	get[Int]("*G[Int]", &G[Int]{5, 3}, G[Int]{5, 3}, 6)
	get[string]("*holds[string]", &holds[string]{1, G[string]{"h", 2}}, G[string]{"h", 2}, "z")
	gets(G[string]{"m", 3}.Get, G[string]{"m", 3}, "w")
	constrained("constraint T", t, t)
	constrained("constraint *T", &t, t)
}
