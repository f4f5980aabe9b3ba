// Package e2e tests the library end to end: it traces real programs and
// compares every call with what the programs say of themselves (see package
// fixture). It is written against the documentation of package uprobe alone.
//
// The tests need Linux and root. Elsewhere they are skipped, except in CI
// (the environment variable CI is set), where they fail.
package e2e
