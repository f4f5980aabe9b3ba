// Package uprobe shows the arguments of functions in running Go programs,
// without recompiling, restarting or stopping them.
//
//	t, err := uprobe.Trace("./app", "main.computeE", func(c *uprobe.Call) { fmt.Println(c) })
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer t.Close()
//	err = t.Wait()
//
// [Trace] finds the function in the binary, learns from its debug information
// and from Go's calling convention where the parameters live, generates an
// eBPF program for it, attaches it to every process that runs the file, and
// hands each call to the handler. [Inspect] does the first half only: it needs
// no privileges and works on any operating system.
//
// # What a value is
//
// A [Value] is decoded from the captured bytes when it is asked for. What could
// not be captured is absent, with a reason; it is never zero or stale instead.
// What a handler is given is valid until the handler returns: [Call.Clone]
// makes a copy to keep.
//
// A value prints in Go syntax, by the verbs of package fmt, as JSON, and to
// log/slog. [Value.Any] makes a plain Go value of it, [Value.Decode] stores it in a
// variable, and the option [Bind] calls a func with the arguments of each call.
// None of them makes a zero of what is absent.
//
// # What is followed
//
// Pointers are followed as deep as [WithDepth] says, and with them strings,
// slices and what interfaces hold. Each object is captured once, at the time
// of the call, so that shared data and cycles show as what they are. [Limits]
// bound all that; what is cut says by which limit. What shape all data has when
// it is read is up to the program: a writer on another thread may tear it. Then
// a value may show what was there before and after at once, but only bytes that
// were where it says, and no more of them than the limits allow.
//
// # Generic code
//
// The compiler makes code of a generic function for each shape that its type
// arguments have, such as "main.Map[go.shape.int]", which all types share that are
// an int underneath. A name without type arguments, "main.Map" or
// "main.(*Stack).Push", selects all code of a function or method; the name of an
// instance, "main.Map[main.ID]", its calls alone. Wrappers that call shared code
// ("main.(*Stack[int]).Push") are not traced beside it, so that a call is one.
//
// Each call tells by its hidden dictionary of which [Instance] it is, and values
// have their true types. Where that is not known they have those of the code, and
// what pointers with the shape "go.shape.*uint8" lead to is absent: in closures, in
// binaries without symbol table or debug information, and for some parameters of
// functions that the compiler has inlined elsewhere, of which it does not say which
// type they have of those that their dictionary lists.
//
// # What is not shown
//
// Passwords, tokens, keys and the like are redacted unless [WithoutRedaction] is
// given: parameters and fields by name, values by type ([DefaultRedaction]).
// [WithRedact] adds to them. What is redacted is not read, or erased as soon as it
// is, by the program in the kernel: neither its bytes nor its length reach the
// tracer, whatever happens to it.
//
// # What is counted
//
// Every call is delivered or counted as lost, by cause: see [Stats]. With [WithCount]
// and [WithHistogram] calls are counted in the kernel, by key and size, in place of
// being delivered: see [Tracer.Aggregates].
//
// # Privileges
//
// Trace needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), and a Linux kernel
// with BPF ring buffers. The generated programs declare the licence "Dual
// BSD/GPL", because the kernel offers some helpers to GPL-compatible programs
// only; argtap itself is under the Apache License 2.0.
package uprobe
