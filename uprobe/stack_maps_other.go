//go:build !linux

package uprobe

// readMappings returns what a process has mapped, which only Linux tells.
func readMappings(int) []mapping { return []mapping{} }
