package capture_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

func redaction(t testing.TB, patterns ...string) *capture.Redaction {
	t.Helper()
	r, err := capture.NewRedaction(patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRedactedNames(t *testing.T) {
	r := redaction(t, "password", "apiKey", "token", "session_id", "oauth2", "пароль")
	for name, want := range map[string]bool{
		"password": true, "Password": true, "PASSWORD": true, "passWord": true, "pass_word": true,
		"dbPassword": true, "DBPassword": true, "password_hash": true, "passwordHash": true, "passwords": true, "Passwords": true,
		"password2": true, "oldPassword2": true, "_password": true, "x.password": true, "len(password)": true, "&password": true,
		`req.Header["password"]`: true, "PASSWORDs": true,
		"passwordless": false, "passwordss": false, "mypassword": false, "pass": false, "word": false, "passwor": false, "": false, "_": false,
		"apiKey": true, "apikey": true, "api_key": true, "APIKey": true, "APIKEY": true, "API_KEYS": true, "myAPIKeyID": true, "ApiKeys": true,
		"api": false, "key": false, "apiKeyboard": false, "mapikey": false, "keyApi": false, "api_my_key": false,
		"token": true, "accessToken": true, "tokens": true, "numTokens": true, "token8": true, "JWTToken": true, "tokenIDs": true,
		"tokenize": false, "tokenizer": false, "betoken": false, "tokened": false, "TOKENS": true,
		"sessionID": true, "SessionId": true, "sessionIDs": true, "session": false, "sessionIdle": false, "session-id": true,
		"oauth2": true, "oauth2Client": true, "oauth": false, "oauth3": false,
		"Пароль": true, "мойПароль": true, "парольный": false,
		"keyboard": false, "monkey": false, strings.Repeat("x_", 5000): false, strings.Repeat("token", 5000): false, "\xff\xfe": false,
	} {
		for range 2 { // the second time from memory
			if got := r.Name(name); got != want {
				t.Errorf("%.40q: %t", name, got)
			}
		}
	}
	if (*capture.Redaction)(nil).Name("password") || redaction(t).Name("password") || redaction(t, "http.Cookie").Name("cookie") {
		t.Error("a name without a pattern")
	}
}

func TestRedactedTypes(t *testing.T) {
	r := redaction(t, "net/http.Cookie", "url.Userinfo", "crypto/rsa.*", "vault.*", "gopkg.in/yaml.v3.Node", "main.Pair[int]")
	for name, want := range map[string]bool{
		"net/http.Cookie": true, "http.Cookie": false, "net/http.CookieJar": false, "other/http.Cookie": false, "*net/http.Cookie": false,
		"net/url.Userinfo": true, "url.Userinfo": true, "my/url.Userinfo": true, "url.userinfo": false,
		"crypto/rsa.PrivateKey": true, "crypto/rsa.x": true, "crypto/rsa/x.T": false, "rsa.PrivateKey": false, "my/crypto/rsa.T": false,
		"vault.T": true, "a/b/vault.T": true, "myvault.T": false, "vault.T[int]": true,
		"gopkg.in/yaml.v3.Node": true, "gopkg.in/yaml%2ev3.Node": true,
		"net/http.Cookie[main.T]": true, "main.Pair[int]": true, "main.Pair[string]": false, "main.Pair": false,
		"func(net/http.Cookie)": false, "map[string]net/http.Cookie": false, "struct { net/http.Cookie }": false,
		"int": false, "": false, ".": false, "a.b/c": false,
	} {
		if got := r.Type(&abi.Type{Name: name, Kind: abi.Struct, Size: 8}); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
	cookie := structOf("net/http.Cookie", tString)
	for typ, want := range map[*abi.Type]bool{
		slice(cookie): true, array(3, cookie): true, slice(slice(cookie)): true, pointer(cookie): false, slice(pointer(cookie)): false,
		structOf("main.T", cookie): false, nil: false,
	} {
		if got := r.Type(typ); got != want {
			t.Errorf("%v: %t", typ, got)
		}
	}
	self := &abi.Type{Name: "main.Self", Kind: abi.Slice, Size: 24}
	self.Elem = self
	if r.Type(self) {
		t.Error("type Self []Self")
	}
}

func TestBadPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"": "no name", "_": "no name", "pass word": "' ' cannot stand", "pass*": "'*' cannot stand", "[]byte": "'[' cannot stand", "*": "'*'",
		".": "a type is a package and a name", "http.": "a package and a name", ".Cookie": "a package and a name", "net/http": "a package and a name",
		"*http.Cookie": "name the type that the pointer leads to: http.Cookie", "net/*.Cookie": "not the name of a type", "http.Cook*": "not the name",
		"http.*.x": "not the name", "[]http.Cookie": "a package and a name", "http.T[int": "not the name", "a b.T": "not the name", "http.*[int]": "not the name",
	} {
		_, err := capture.NewRedaction("password", pattern)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("redact %q: ", pattern)) {
			t.Errorf("%q: %v, want %s", pattern, err, want)
		}
	}
}

func TestRedactedSpans(t *testing.T) {
	named := func(name string, fields ...any) *abi.Type {
		typ := &abi.Type{Name: name, Kind: abi.Struct, Align: 8}
		for i := 0; i < len(fields); i += 2 {
			f := fields[i+1].(*abi.Type)
			typ.Size = (typ.Size + f.Align - 1) / f.Align * f.Align
			typ.Fields = append(typ.Fields, abi.Field{Name: fields[i].(string), Type: f, Offset: typ.Size})
			typ.Size += f.Size
		}
		return typ
	}
	user := named("main.user", "name", tString, "password", tString, "n", tInt, "token", tInt, "secret", tInt)
	vault := structOf("main.Vault", tInt)
	for _, tt := range []struct {
		name string
		typ  *abi.Type
		size int64
		want string
	}{
		{"none", structOf("main.T", tInt, tString), 24, "[]"},
		{"fields", user, user.Size, "[{16 16} {40 8} {48 8}]"},
		{"cut", user, 20, "[{16 4}]"},
		{"cut before", user, 16, "[]"},
		{"nested", named("main.T", "a", tInt, "u", user), 64, "[{24 16} {48 8} {56 8}]"},
		{"array", array(2, user), 112, "[{16 16} {40 8} {48 8} {72 16} {96 8} {104 8}]"},
		{"by type", named("main.T", "a", tInt, "v", vault, "vs", slice(vault), "p", pointer(vault)), 48, "[{8 8} {16 24}]"},
		{"whole", vault, 8, "[{0 8}]"},
		{"array of whole", array(3, vault), 24, "[{0 24}]"},
		{"pointer", pointer(user), 8, "[]"},
		{"empty", named("main.T", "token", tEmpty), 0, "[]"},
		{"embedded", named("main.T", "Secret", user), 56, "[{0 56}]"},
	} {
		if got := fmt.Sprint(redaction(t, "password", "token", "secret", "main.Vault").Spans(tt.typ, tt.size)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestRedactedMalformed: where there is too much to look at, the rest is redacted.
func TestRedactedMalformed(t *testing.T) {
	r := redaction(t, "A")
	self := &abi.Type{Name: "self", Kind: abi.Struct, Size: 64}
	self.Fields = []abi.Field{{Name: "s", Type: self}, {Name: "t", Type: self, Offset: 32}, {Name: "u", Type: nil}, {Name: "a", Type: tInt, Offset: -8}, {Name: "a", Type: tInt, Offset: 1 << 62}}
	if got := r.Spans(self, 64); !reflect.DeepEqual(got, []capture.Span{{Offset: 0, Size: 64}}) {
		t.Errorf("%v", got)
	}
	pair := structOf("main.pair", tBool, tBool) // A and B
	pairs := r.Spans(array(4000, pair), 8000)
	covered := int64(0)
	for i, s := range pairs {
		if i < len(pairs)-1 && s.Size != 1 || s.Offset != int64(2*i) {
			t.Fatalf("span %d: %+v", i, s)
		}
		covered = s.Offset + s.Size
	}
	if len(pairs) != 256 || covered != 8000 {
		t.Errorf("%d spans to %d", len(pairs), covered)
	}
	twice := structOf("main.T", tInt, tInt)
	for range 30 { // 2^30 fields
		twice = &abi.Type{Name: "twice", Kind: abi.Struct, Size: 16, Fields: []abi.Field{{Name: "x", Type: twice}, {Name: "y", Type: twice}}}
	}
	for _, s := range r.Spans(twice, 16) {
		covered = max(covered, s.Offset+s.Size)
	}
	if s := r.Spans(twice, 16); s[len(s)-1].Offset+s[len(s)-1].Size != 16 {
		t.Errorf("%v", s[len(s)-1])
	}
	for range 30 {
		twice = &abi.Type{Name: "none", Kind: abi.Struct, Size: 16, Fields: []abi.Field{{Name: "x", Type: structOf("main.T", tEmpty)}, {Name: "y", Type: tInt}}}
	}
	if s := r.Spans(&abi.Type{Kind: abi.Struct, Size: 8, Fields: []abi.Field{{Name: "x", Type: tInt}}}, 8); s != nil {
		t.Errorf("nothing: %v", s)
	}
}
