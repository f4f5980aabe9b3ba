package e2e

const netHTTPShort = "ServeFile|Cookie|HeaderWrite|TransportReuse|Mux"

// runtimeShort are tests of panics, stacks and arenas that take no time. Every function
// of the runtime is traced meanwhile, the scheduler's and the collector's too.
const runtimeShort = "^(TestCallers|TestUserArenaClone|TestBitCursor|TestFPUnwindAfterRecovery)"

// shortSuites are those of TestSurvival.
var shortSuites = []suite{
	{pkg: "encoding/json", entries: true, least: 150},
	{pkg: "context", least: 50},
	{pkg: "sort", run: "^(Example|TestSearch|TestSortIntSlice|TestReverse)", least: 40},
	{pkg: "strings", least: 60},
	{pkg: "net/http", run: netHTTPShort, least: 1000},
	{pkg: "runtime", run: runtimeShort, least: 1700},
}

// fullSuites are those of TestSurvivalFull.
var fullSuites = []suite{
	{pkg: "context", least: 50},
	{pkg: "sync", least: 50},
	{pkg: "fmt", least: 100},
	{pkg: "regexp", least: 100},
	{pkg: "encoding/json", least: 150},
	{pkg: "reflect", least: 290, slow: reflectSlow},
	{pkg: "math/big", least: 200, skip: bigSkip},
	{pkg: "go/types", least: 490},
	{pkg: "net/http", least: 1000},
	{pkg: "runtime", run: runtimeFull, least: 1000, slow: runtimeSlow},
}

// bigSkip are tests of the inner loops of package math/big: each makes up to 10
// million calls of them, which is ten minutes and more with a single step for each.
var bigSkip = []exception{
	{"Test*VV*", "10 million calls of the inner loops"},
	{"Test*VU*", "10 million calls of the inner loops"},
	{"Test*VW*", "10 million calls of the inner loops"},
}

// runtimeFull are the tests of package runtime that end within half a minute while
// every one of its functions is traced. Most others start the go command to build a
// program, of which nothing is traced; or allocate or switch goroutines a million
// times, each with tens of calls within the runtime.
const runtimeFull = runtimeShort + "|^(TestChan|TestMemmove|TestMemclr|TestStack|TestAppend|TestDefer|TestCaller|TestFunc|TestHash|TestSmhasher|" +
	"TestSelect|TestNonblock|TestComplex|TestCPUStats|TestAlign|TestStartLine|TestIssue|TestString|TestRange|TestSlice|TestTimer|TestUserArena)"

// reflectSlow may fail for what they measure.
var reflectSlow = []exception{{"Test*OfGC", "panics if it takes more than 5 s"}}

// runtimeSlow may fail for what they measure.
var runtimeSlow = []exception{
	{"TestStackGrowth", "gives a finalizer a time that follows from how long its first stack growth took"},
}
