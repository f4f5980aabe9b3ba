package main

import "fmt"

type stack[T any] struct{ items []T }

func (s *stack[T]) Push(v T)     { s.items = append(s.items, v) }
func (s stack[T]) Top() (v T)    { return s.items[len(s.items)-1] }
func (s stack[T]) Len(n int) int { return len(s.items) + n }

type keyed[K comparable, V any] map[K]stack[V]

func (k keyed[K, V]) Get(key K) stack[V] { return k[key] }

type sized interface {
	Push(string)
	Len(int) int
}

func init() {
	var s sized = &stack[string]{}
	s.Push("x")
	fmt.Sprint(s, &stack[pair]{}, keyed[string, *inner]{}, stack[struct{ x int }]{})
}
