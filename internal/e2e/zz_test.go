package e2e
import ("testing";"os";"strconv";"fmt";"strings";"os/exec";"github.com/argtap/argtap/uprobe";"github.com/argtap/argtap/internal/fixture")
func TestZC(t *testing.T){
 from,_:=strconv.Atoi(os.Getenv("ZFROM")); to,_:=strconv.Atoi(os.Getenv("ZTO"))
 for s:=from; s<to; s++ {
 p:=fixture.Generate(uint64(s),60)
 b:=fixture.Build(t,p.Source)
 for _,fn:=range p.Symbols(t,b) {
  fs,err:=uprobe.Inspect(b,fn)
  if err!=nil{ fmt.Println("ERR",s,fn,err); continue}
  bad := ""
  for i,pa:=range fs[0].Params(){ if strings.Contains(pa.Source,"contradicted")||strings.Contains(pa.Source,"disagree") { bad+=fmt.Sprintf("   %d %s %s: %s\n",i,pa.Name,pa.TypeName(),pa.Source)} }
  if bad!="" { fmt.Println(s,fn); fmt.Print(bad); o,_:=exec.Command("sh","-c","llvm-dwarfdump --name='"+fn+"' -c "+b+" | grep -A7 formal_par | grep -v 'decl\\|NULL\\|^$\\|variable_p'").CombinedOutput(); fmt.Println(string(o))}
 }}
}
