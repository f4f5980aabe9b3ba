package e2e

const netHTTPShort = "Serve|Cookie|Header|Transport(Reuse|Keep|Gzip|Proxy)|Request|Chunk|Mux"

// shortSuites are those of TestSurvival.
var shortSuites = []suite{
	{pkg: "encoding/json", entries: true, least: 150},
	{pkg: "encoding/json", least: 150},
	{pkg: "sort", least: 40},
	{pkg: "strings", least: 60},
	{pkg: "net/http", run: netHTTPShort, least: 1000},
	{pkg: "runtime", run: "^(TestChan|TestMemmove)$", least: 1700},
}

// fullSuites are those of TestSurvivalFull.
var fullSuites = []suite{
	{pkg: "context", least: 50},
	{pkg: "sync", least: 50},
	{pkg: "fmt", least: 100},
	{pkg: "regexp", least: 100},
	{pkg: "encoding/json", least: 150},
	{pkg: "reflect", least: 300},
	{pkg: "math/big", least: 200},
	{pkg: "go/types", least: 500},
	{pkg: "net/http", least: 1000},
	{pkg: "runtime", least: 1000, skip: runtimeSkip, slow: runtimeSlow, hot: runtimeHot},
}

var runtimeSkip, runtimeSlow, runtimeHot []exception
