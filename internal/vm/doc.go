// Package vm runs programs on Linux kernels other than the machine's own, in
// QEMU, without hardware virtualisation and without privileges: for tests of
// what differs between kernels and architectures.
//
//	k, err := vm.Fetch(ctx, "6.1", "arm64", os.Stderr)
//	status, err := vm.Run(ctx, vm.Config{
//		Kernel: k,
//		Files:  map[string]string{"/app": "./app"},
//		Args:   []string{"/app", "-v"},
//		Stdout: os.Stdout, Stderr: os.Stderr,
//	})
//
// A guest boots, runs one command and is gone, in some 5 to 10 seconds. Its
// files are those of Config.Files and no others: programs must be linked
// statically (CGO_ENABLED=0), for the guest's architecture, or bring their
// [Libraries]. It has /proc, /sys, /dev, /tmp, tracefs, debugfs, bpffs and the
// interface lo, no disk, no network and no shell.
//
// # Kernels
//
// Kernels come from Debian, as the packages linux-image-cloud-ARCH of the
// suites that have them: see [Fetch]. They are kept in the user's cache
// directory, below argtap/kernels; to get a newer one, remove the folder there.
// Nothing is installed. The machine needs apt and dpkg-deb, QEMU (Debian's
// packages qemu-system-x86 and qemu-system-arm), and Go, with which the guest's
// first program is compiled.
//
// What is emulated is not perfect. QEMU 7.2 loses the flags of an x86 instruction
// SETcc whose store faults, as the first access to a page of memory does: in guests
// for amd64 about one of 3000 numbers that big.NewInt makes of a negative one is
// positive. What tests compute is therefore to be compared with care.
//
// # For people
//
// The command vmrun does the same:
//
//	go test -c -o probes.test ./uprobe
//	go run ./internal/vm/cmd/vmrun -kernel 5.10 ./probes.test -test.v -test.run Caps
//
// # How it works
//
// The files, the kernel modules for virtio where they are not built in, and a
// small static program /init (package init) become an initial RAM disk: a cpio
// archive, see archive. /init mounts, loads, and runs the command; it sends the
// command's output and exit status in frames (package wire) over a virtio port
// of its own, so that nothing the kernel says is mistaken for output. The other
// end of the port is a socket that QEMU inherits. Temporary files are removed
// before Run returns, and QEMU dies with the process that started it.
package vm
