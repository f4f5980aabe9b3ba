package main

import "net/url"

type pair[K comparable, V any] struct {
	key K
	val V
}

func init() {
	more = append(more, pair[int, string]{}, &pair[string, *url.URL]{}, pair[pair[int, bool], []byte]{})
}
