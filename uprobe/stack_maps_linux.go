package uprobe

import (
	"fmt"
	"os"
)

// readMappings returns what a process has mapped, nothing if it has ended.
func readMappings(pid int) []mapping {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return []mapping{}
	}
	return parseMappings(b)
}
