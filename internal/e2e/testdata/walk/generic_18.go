package main

import "strconv"

type pair[K comparable, V any] struct {
	key  K
	val  V
	next *pair[K, V]
}

func (p *pair[K, V]) Error() string { return "pair" }

type number[T ~int | ~string] struct{ of T }

func (n number[T]) Error() string { return "number" }

func init() {
	words := &pair[string, []int]{"k", []int{1, 2}, nil}
	words.next = &pair[string, []int]{"l", nil, words}
	newValues = append(newValues, pair[int8, string]{key: -3, val: strconv.Itoa(7)}, words, number[label]{"m"},
		[]pair[bool, any]{{true, words, nil}, {false, nil, nil}}, &pair[point, error]{point{1, 2}, number[int]{3}, nil})
	newErrors = append(newErrors, words, number[int]{4}, &pair[string, any]{"x", &pair[string, any]{"y", 1.5, nil}, nil})
}
