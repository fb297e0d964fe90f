// Package tig stands in for that of nerdctl's test framework, of which its program has no use.
package tig

// T is what a test has.
type T interface {
	Helper()
	Fail()
	FailNow()
	Log(args ...any)
	Name() string
	TempDir() string
}
