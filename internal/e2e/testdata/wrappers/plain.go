package main

import "runtime"

func goroutines() int { return runtime.NumGoroutine() }

// wait waits until no more goroutines are left than there were.
func wait(before int) {
	for goroutines() > before {
		runtime.Gosched()
	}
}
