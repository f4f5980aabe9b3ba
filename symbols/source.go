package symbols

import (
	"debug/elf"
	"errors"
)

// FuncSource is where a file's functions are taken from.
type FuncSource uint8

// The sources of functions.
const (
	// NoFunctions: the file has none of the others.
	NoFunctions FuncSource = iota
	// SymbolTable: the full symbol table, .symtab.
	SymbolTable
	// FunctionTable: the Go runtime's function table, .gopclntab, in a file
	// without symbol table; functions in C are missing, but for those that the
	// file exports.
	FunctionTable
	// DynamicSymbols: only .dynsym, with the functions that a file that is not
	// Go's exports.
	DynamicSymbols
)

// String returns the name of the source.
func (s FuncSource) String() string {
	switch s {
	case NoFunctions:
		return "none"
	case SymbolTable:
		return "symbol table"
	case FunctionTable:
		return "function table"
	case DynamicSymbols:
		return "dynamic symbols"
	}
	return "unknown"
}

// FuncSource returns where [File.Lookup], [File.Glob], [File.Funcs] and
// [File.At] take functions from. A malformed table counts; they return the
// error.
func (f *File) FuncSource() FuncSource {
	src, err := f.functions()
	switch {
	case err == nil:
		return src.kind()
	case errors.Is(err, ErrNoSymbols):
		return NoFunctions
	case f.headerOf(elf.SHT_SYMTAB) != nil:
		return SymbolTable
	}
	return FunctionTable
}

// functions are a file's functions, from one source or, in a stripped Go
// program that exports functions in C, two.
type functions interface {
	kind() FuncSource
	// part names the table in errors.
	part() string
	// lookup returns the functions of the given name by ascending entry, at
	// most maxAmbiguous of them.
	lookup(name string) ([]Func, error)
	// each calls visit for the functions whose names want accepts, all if it is
	// nil, until it returns false. want may be called more often, with names
	// that are no function's.
	each(want func(name []byte) bool, visit func(fn Func) bool) error
	// eachName calls visit with the functions' names until it returns false.
	// The bytes are valid during the call.
	eachName(visit func(name []byte) bool) error
	// at returns the function that contains a, or ErrNoFunc.
	at(a VirtAddr) (Func, error)
}

// functions returns those of the file; ErrNoSymbols if there are none.
func (f *File) functions() (functions, error) {
	syms, err := f.symtab()
	if err != nil && !errors.Is(err, ErrNoSymbols) {
		return nil, err
	}
	if err == nil && syms.full {
		return syms, nil
	}
	t, fault := f.table()
	if fault != nil {
		if isNoTable(fault) && syms != nil {
			return syms, nil
		}
		if isNoTable(fault) {
			fault = ErrNoSymbols
		}
		return nil, fault
	}
	return &tableFuncs{t, syms}, nil
}

func (t *symtab) kind() FuncSource {
	if t.full {
		return SymbolTable
	}
	return DynamicSymbols
}

func (t *symtab) part() string { return t.strs.name }

func (t *symtab) each(want func(name []byte) bool, visit func(fn Func) bool) error {
	return t.eachFunc(func(s symbol, name []byte) bool {
		return want != nil && !want(name) || visit(s.function(string(name)))
	})
}

func (t *symtab) eachName(visit func(name []byte) bool) error {
	return t.eachFunc(func(_ symbol, name []byte) bool { return visit(name) })
}

// tableFuncs are the functions of a function table and, if syms is not nil,
// those that the file exports.
type tableFuncs struct {
	t    *FuncTable
	syms *symtab
}

func (s *tableFuncs) kind() FuncSource { return FunctionTable }
func (s *tableFuncs) part() string     { return s.t.section }

func (s *tableFuncs) lookup(name string) ([]Func, error) {
	found, err := s.t.lookup(name)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && s.syms != nil {
		return s.syms.lookup(name)
	}
	var funcs []Func
	for _, fn := range found {
		funcs = append(funcs, fn.Func)
	}
	return funcs, nil
}

func (s *tableFuncs) each(want func(name []byte) bool, visit func(fn Func) bool) error {
	n := s.t.reader()
	var fault error
	stopped := false
	var full []byte
	err := s.t.each(func(r *record) bool {
		if want != nil {
			name, ok, err := n.name(s.t.nameOffset(r))
			if err != nil {
				fault = err
				return false
			}
			// Its full name may end in ".abi0", to find which takes a pass of
			// its own.
			full = append(append(full[:0], name...), suffixABI0...)
			if !ok || !want(name) && !(s.t.mayBridge() && want(full)) {
				return true
			}
		}
		fn, ok, err := n.named(r)
		if err != nil {
			fault = err
			return false
		}
		if ok && (want == nil || want([]byte(fn.Name))) {
			stopped = !visit(fn.Func)
		}
		return !stopped
	})
	if fault != nil {
		err = fault
	}
	if err != nil || stopped || s.syms == nil {
		return err
	}
	return s.syms.each(want, visit)
}

func (s *tableFuncs) eachName(visit func(name []byte) bool) error {
	n := s.t.reader()
	var fault error
	stopped := false
	err := s.t.each(func(r *record) bool {
		name, ok, err := n.fullName(r)
		if err != nil {
			fault = err
			return false
		}
		stopped = ok && !visit(name)
		return !stopped
	})
	if fault != nil {
		err = fault
	}
	if err != nil || stopped || s.syms == nil {
		return err
	}
	return s.syms.eachName(visit)
}

func (s *tableFuncs) at(a VirtAddr) (Func, error) {
	fn, err := s.t.at(a)
	if errors.Is(err, ErrNoFunc) && s.syms != nil {
		return s.syms.at(a)
	}
	return fn.Func, err
}
