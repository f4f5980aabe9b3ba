// Command redact is the target of the tests of redaction. It calls the functions
// that lines on its standard input name, and answers each with what must not be
// seen of the call: runs of bytes, in hexadecimal.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"unsafe"
)

// public is what may be seen.
const public = "PUBLIC"

// needles are what must not be seen of the call that is being made.
var needles []string

func word(w uint64) uint64 {
	needles = append(needles, hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, w)))
	return w
}

var secrets int

// secret returns a new secret: its bytes, its length and its address must not be
// seen.
func secret() string {
	secrets++
	s := strings.Repeat(fmt.Sprintf("hunter%04d!", secrets), 1000)[:7900+secrets]
	needles = append(needles, hex.EncodeToString([]byte(s[:11])))
	word(uint64(len(s)))
	word(uint64(uintptr(unsafe.Pointer(unsafe.StringData(s)))))
	return s
}

func secretBytes() []byte {
	s := secret()
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

func number() uint64 {
	secrets++
	return word(0x5ec2_e700_0000_0000 | uint64(secrets)<<16 | 0x77)
}

func address[T any](p *T) *T {
	word(uint64(uintptr(unsafe.Pointer(p))))
	return p
}

// Vault and Key are redacted by type.
type Vault struct {
	Name string
	Gold uint64
}
type Key string

type config struct {
	User       string
	Password   string
	API_Key    []byte
	sessionIDs []string
	id         uint32
	PINtoken   uint16
	Vault      Vault
	Cookies    map[string]string
	Secret     any
	Keys       []Key
	key        Key
	Nested     struct{ Home, DBPassphrase string }
}

func newConfig() config {
	c := config{User: public, Password: secret(), API_Key: secretBytes(), sessionIDs: []string{secret()}, id: 9,
		Vault: Vault{secret(), number()}, Secret: secret(), Keys: []Key{Key(secret())}, key: Key(secret())}
	word(uint64(uintptr(unsafe.Pointer(&c.sessionIDs[0]))))
	word(uint64(uintptr(unsafe.Pointer(&c.Keys[0]))))
	c.Cookies = map[string]string{"a": "b"}
	word(uint64(*(*uintptr)(unsafe.Pointer(&c.Cookies))))
	word(uint64((*(*[2]uintptr)(unsafe.Pointer(&c.Secret)))[1]))
	c.Nested.Home, c.Nested.DBPassphrase = public, secret()
	return c
}

type node struct {
	next  *node
	cfg   config
	any   any
	err   fmt.Stringer
	vault *Vault
}

func (c config) String() string { return c.User }

type small struct {
	User, token string
	n           int
}

// cell has secrets of all sizes.
type cell struct {
	token8  uint8
	a       uint8
	token16 uint16
	b       uint32
	token64 uint64
	many    [9]uint64
	secret  [9]uint64
}

func newCell() (c cell) {
	c = cell{token8: 0xa5, a: 1, token16: 0xbeef, b: 2, token64: number()}
	for i := range c.secret {
		c.secret[i] = number()
		c.many[i] = 3
	}
	return c
}

var sink any

//go:noinline
func registers(user, password string, n int, authToken uint64, secretPtr *int, cookies map[string]string, credentials any, key Key) {
	sink = n
}

//go:noinline
func stack(a [2]int, user [2]string, password [2]string, tokens [3]uint64, vault [1]Vault) { sink = a }

//go:noinline
func smallStruct(s small) { sink = s.n }

//go:noinline
func byValue(c config) { sink = c.id }

//go:noinline
func cells(c cell, list [20]cell) { sink = c.a }

//go:noinline
func pointer(c *config, v *Vault) { sink = c }

//go:noinline
func slice(c []config, s []small) { sink = c }

//go:noinline
func cellSlice(c []cell) { sink = c }

//go:noinline
func nested(c [][]small) { sink = c }

//go:noinline
func list(n *node) { sink = n }

//go:noinline
func interfaces(a, b, c any, err fmt.Stringer) { sink = a }

//go:noinline
func pointers(c **config, p []*small) { sink = c }

//go:noinline
func containers(m map[string]small, c chan small, f func() string) { sink = m }

//go:noinline
func keys(k map[Key]Vault, big map[int][20]small) { sink = k }

//go:noinline
func use(s string) string { return s + "!" }

//go:noinline
func generic[T, U any](user string, x T, s []T, y *U) { sink = user }

// hider has a field that is redacted by a name that selectors leave out.
type hider struct{ password }
type password struct{ Text string }

//go:noinline
func hidden(h hider, v *Vault, k Key, list []Key, c *config) { sink = k }

//go:noinline
func plain(user string, n int) { sink = n }

// gives has results that are redacted by name, by type, and in its instance.
//
//go:noinline
func gives[T any](user string, v T) (authToken string, vault *Vault, out T, n int) {
	return user, nil, v, len(user)
}

func call(name string) error {
	needles = nil
	switch name {
	case "registers":
		registers(public, secret(), 7, number(), address(new(int)), map[string]string{}, secret(), Key(secret()))
	case "stack":
		stack([2]int{1, 2}, [2]string{public, public}, [2]string{secret(), secret()}, [3]uint64{number(), number(), number()}, [1]Vault{{secret(), number()}})
	case "smallStruct":
		smallStruct(small{public, secret(), 5})
	case "byValue":
		byValue(newConfig())
	case "cells":
		var l [20]cell
		for i := range l {
			l[i] = newCell()
		}
		cells(newCell(), l)
	case "pointer":
		c := newConfig()
		pointer(&c, &Vault{secret(), number()})
	case "slice":
		slice([]config{newConfig(), newConfig(), newConfig()}, []small{{public, secret(), 1}, {public, secret(), 2}})
	case "cellSlice":
		cellSlice([]cell{newCell(), newCell(), newCell(), newCell(), newCell()})
	case "nested":
		nested([][]small{{{public, secret(), 1}, {public, secret(), 2}}, {{public, secret(), 1}}})
	case "list":
		c := newConfig()
		c2 := newConfig()
		n := &node{cfg: newConfig(), any: newConfig(), err: &c}
		list(&node{next: n, cfg: newConfig(), any: &c2, err: newConfig(), vault: &Vault{secret(), number()}})
	case "interfaces":
		c := newConfig()
		interfaces(&c, newCell(), Key(secret()), Fmt{&Vault{secret(), number()}})
	case "pointers":
		c := newConfig()
		p := &c
		pointers(&p, []*small{{public, secret(), 1}, {public, secret(), 2}})
	case "containers":
		c := make(chan small, 3)
		c <- small{public, secret(), 2}
		password := secret()
		containers(map[string]small{public: {public, secret(), 1}}, c, func() string { return use(password) + use(password) })
	case "keys":
		var a [20]small
		a[7] = small{public, secret(), 8}
		keys(map[Key]Vault{Key(secret()): {secret(), number()}}, map[int][20]small{1: a})
	case "generic":
		generic(public, Key(secret()), []Key{Key(secret())}, &Vault{secret(), number()})
	case "hidden":
		hidden(hider{password{secret()}}, &Vault{secret(), number()}, Key(secret()), []Key{Key(secret())}, &config{User: public})
	case "gives":
		gives(public, Key(secret()))
	case "plain":
		plain(public, 4)
	default:
		return fmt.Errorf("unknown command %q", name)
	}
	return nil
}

// Fmt is held by interfaces as its only word.
type Fmt struct{ v *Vault }

func (f Fmt) String() string { return f.v.Name }

func main() {
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if err := call(in.Text()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(strings.Join(needles, " "))
	}
}
