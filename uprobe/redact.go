package uprobe

import (
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// defaultRedaction is what is redacted unless [WithoutRedaction] is given: names
// of what authenticates somebody or pays for something, and types that are made
// to hold such things.
var defaultRedaction = []string{
	"password", "passwd", "passphrase", "passcode", "pwd",
	"secret", "token", "jwt", "bearer", "otp",
	"apiKey", "accessKey", "privateKey", "signingKey", "encryptionKey", "sessionKey", "masterKey", "sharedKey",
	"authorization", "credential", "cookie", "sessionID",
	"dsn", "dataSourceName", "connectionString",
	"ssn", "creditCard", "cardNumber", "cvv", "cvc", "iban",

	"crypto/dsa.PrivateKey", "crypto/ecdh.PrivateKey", "crypto/ecdsa.PrivateKey", "crypto/ed25519.PrivateKey",
	"crypto/rsa.PrivateKey", "golang.org/x/crypto/ssh.Signer", "golang.org/x/oauth2.Token",
	"net/http.Cookie",
}

// DefaultRedaction returns the patterns that are redacted by default: see
// [WithRedact].
func DefaultRedaction() []string { return slices.Clone(defaultRedaction) }

// WithRedact adds to what is redacted: values that never leave the kernel, not
// even their lengths, but are absent as "redacted". A pattern without a dot is
// the name of a parameter or field, one with a dot that of a type:
//
//	"password"       parameters and fields in whose name the word stands:
//	                 password, dbPassword, PASSWORD_HASH, Passwords, but not
//	                 passwordless
//	"apiKey"         several words, in any spelling: APIKey, api_key, myApikeyID
//	"net/http.Cookie", "http.Cookie"
//	                 values of the type, by its full name or as %T prints it
//	"crypto/rsa.*"   values of all types of the package
//
// Words of names end at underscores, digits and changes of case, and may have a
// plural s. Case does not matter otherwise. Nothing else is special in a pattern;
// one that is none of these is an error. A type's pattern holds for all type
// arguments, and for slices and arrays of it; pointers to it and interfaces that
// hold it are seen, but not followed.
//
// The patterns of [DefaultRedaction] are there already, unless
// [WithoutRedaction] stands before. Parameters that have no names in the binary
// (see [SourceArgInfo]) cannot be redacted by name, entries of maps not by their
// keys, and what is redacted under one name may be seen under another: redact the
// type where there is one.
func WithRedact(patterns ...string) Option {
	return func(o *options) error {
		if _, err := capture.NewRedaction(patterns...); err != nil {
			return err
		}
		o.redact = append(o.redact[:len(o.redact):len(o.redact)], patterns...)
		return nil
	}
}

// WithoutRedaction captures everything: it takes back the patterns that are
// redacted by default, and those of WithRedact before it. To redact other things
// only, give both:
//
//	uprobe.WithoutRedaction(), uprobe.WithRedact("pin")
func WithoutRedaction() Option {
	return func(o *options) error {
		o.redact = nil
		return nil
	}
}

// maxRedacted bounds what [Param.Redacted] returns, and maxRedactedParts what it
// looks at.
const (
	maxRedacted      = 64
	maxRedactedParts = 4096
)

// Redacted returns which parts of the parameter are redacted, as selectors such
// as ".Auth.password" or "[].token": as far as one pointer away, and not what
// interfaces hold. What a pointer leads to as a whole has a * in front. It is ""
// for the whole parameter.
func (p Param) Redacted() []string {
	if p.redact.Input(p.Name, p.Type) {
		return []string{""}
	}
	f := redactedFinder{redact: p.redact, budget: maxRedactedParts}
	if p.redact != nil {
		f.find(p.Type, "", 1, 0)
	}
	return f.parts
}

type redactedFinder struct {
	redact *capture.Redaction
	budget int
	parts  []string
}

func (f *redactedFinder) find(t *abi.Type, path string, pointers, nesting int) {
	if f.budget--; t == nil || f.budget < 0 || len(f.parts) >= maxRedacted || nesting > 32 {
		return
	}
	switch t.Kind {
	case abi.Struct:
		for i := range t.Fields {
			fd := &t.Fields[i]
			at := path + "." + fd.Name
			if f.redact.Input(fd.Name, fd.Type) {
				f.parts = append(f.parts, at)
				continue
			}
			f.find(fd.Type, at, pointers, nesting+1)
		}
	case abi.Array, abi.Slice:
		f.follow(t.Elem, path+"[]", pointers, nesting)
	case abi.Pointer:
		if pointers > 0 {
			if f.redact.Type(t.Elem) {
				path = "*" + path
			}
			f.follow(t.Elem, path, pointers-1, nesting)
		}
	}
}

func (f *redactedFinder) follow(t *abi.Type, path string, pointers, nesting int) {
	if f.redact.Type(t) {
		f.parts = append(f.parts, path)
		return
	}
	f.find(t, path, pointers, nesting+1)
}
