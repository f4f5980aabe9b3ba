// Package real tests argtap with programs that nobody here wrote: the docker,
// kubectl and terraform commands where they are installed, and Delve and caddy
// from the module proxy.
package real
