package main

import (
	"fmt"
	"reflect"
)

// show prints a call. args are pointers to the arguments.
func show(name string, args ...any) {
	line := name
	for _, arg := range args {
		v := reflect.ValueOf(arg).Elem()
		sh := shape{seen: map[string]bool{}}
		sh.value(v)
		line += "\t" + v.Type().String() + " " + string(sh.b)
	}
	fmt.Println(line)
}
