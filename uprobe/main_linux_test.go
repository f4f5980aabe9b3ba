package uprobe

import (
	"os"
	"testing"

	"github.com/argtap/argtap/internal/leaktest"
)

// TestMain runs the tests, which must leave no file open and no goroutine running.
func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }
