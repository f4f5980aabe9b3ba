package symbols_test

import (
	"fmt"
	"log"

	"github.com/argtap/argtap/symbols"
)

func Example() {
	f, err := symbols.Open("./app")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	fn, err := f.Lookup("main.(*Server).Serve")
	if err != nil {
		log.Fatal(err) // no such function: did you mean ...?
	}
	off, err := f.FileOffset(fn.Entry)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: address %#x, file offset %#x, %d bytes\n", fn.Name, fn.Entry, off, fn.Size)
}

func ExampleMatch() {
	fmt.Println(symbols.Match("main.(*Server).*", "main.(*Server).Serve"))
	fmt.Println(symbols.Match("main.(*Server).*", "main.(*TestServer).Serve"))
	fmt.Println(symbols.Match("main.Map[*]", "main.Map[go.shape.int]"))
	// Output:
	// true
	// false
	// true
}

func ExampleIsPattern() {
	fmt.Println(symbols.IsPattern("net/http.(*conn).serve"))
	fmt.Println(symbols.IsPattern("net/http.(*conn).*"))
	// Output:
	// false
	// true
}
