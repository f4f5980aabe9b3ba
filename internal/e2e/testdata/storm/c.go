//go:build cgo

package main

/*
#include <stdint.h>
extern uint64_t storm_back(uint64_t);
static uint64_t storm_call(uint64_t id) { return storm_back(id) + 1; }
*/
import "C"

//export storm_back
func storm_back(id C.uint64_t) C.uint64_t { return C.uint64_t(back(uint64(id))) }

func callback(id uint64) { check(uint64(C.storm_call(C.uint64_t(id))) == mix(id, 2)+1) }
