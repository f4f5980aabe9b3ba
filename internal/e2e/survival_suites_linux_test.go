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
	{pkg: "math/big", least: 200},
	{pkg: "go/types", least: 490},
	{pkg: "net/http", least: 1000},
	{pkg: "runtime", noBuild: true, least: 1000, slow: runtimeSlow},
}

// reflectSlow may fail for what they measure.
var reflectSlow = []exception{{"Test*OfGC", "panics if it takes more than 5 s"}}

// runtimeSlow may fail for what they measure.
var runtimeSlow = []exception{
	{"TestStackGrowth", "gives a finalizer a time that follows from how long its first stack growth took"},
}
