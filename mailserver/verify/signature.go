package verify

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/postchi/postchi/mailserver/canon"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models/address"
)

// maxSigned is the number of names in one h=.
const maxSigned = 512

// signature is what DKIM-Signature and ARC-Message-Signature have in common.
type signature struct {
	field    *mime.Field
	tags     tagList
	domain   string     // d=, lower case, A-label
	selector string     // s=, lower case
	header   canon.Form // c=
	body     bodyForm
	signed   []string // h=, lower case
	expires  int64    // x=, seconds since 1970; 0 = never
	bodyHash []byte
	sig      []byte
}

var (
	errSHA1    = errors.New("rsa-sha1 is not trusted")
	errExpired = errors.New("signature has expired")
)

// parseSignature reads the tags of a signature; its error is for Authentication-Results.
func parseSignature(f *mime.Field) (*signature, error) {
	s := &signature{field: f}
	var err error
	if s.tags, err = parseTags(string(f.RawValue())); err != nil {
		return s, err
	}
	for _, name := range []string{"a", "b", "bh", "d", "h", "s"} {
		if !s.tags.has(name) {
			return s, errors.New("no " + name + "=")
		}
	}
	if err := s.parseNames(); err != nil {
		return s, err
	}
	if err := s.parseForms(); err != nil {
		return s, err
	}
	if s.bodyHash, err = s.tags.base64("bh"); err != nil || len(s.bodyHash) != sha256.Size && s.tags.get("a") != "rsa-sha1" {
		return s, errors.New("malformed bh=")
	}
	if s.sig, err = s.tags.base64("b"); err != nil || len(s.sig) == 0 {
		return s, errors.New("malformed b=")
	}
	return s, s.parseTimes()
}

// parseNames reads d=, s= and h=. RFC 6376, section 5.4: From must be signed.
func (s *signature) parseNames() error {
	var ok bool
	if s.domain, ok = domainName(s.tags.get("d")); !ok {
		return errors.New("malformed d=")
	}
	if s.selector = strings.ToLower(s.tags.get("s")); !isName(s.selector) || !isName(keyName(s.selector, s.domain)) {
		return errors.New("malformed s=")
	}
	s.signed = s.tags.words("h")
	switch {
	case len(s.signed) > maxSigned:
		return errors.New("too many names in h=")
	case !slices.Contains(s.signed, "from"):
		return errors.New("h= lacks From")
	}
	if q := s.tags.words("q"); s.tags.has("q") && !slices.Contains(q, "dns/txt") {
		return errors.New("unknown q=")
	}
	return nil
}

// domainName normalizes a domain of a tag: lower case, A-labels (RFC 8616). Underscores are
// let pass, which the DNS has and host names have not.
func domainName(s string) (string, bool) {
	if isName(s) {
		return strings.ToLower(s), true
	}
	domain, err := address.NormalizeDomain(s)
	return domain, err == nil && isName(domain)
}

// parseForms reads c= and l=.
func (s *signature) parseForms() error {
	header, body, both := strings.Cut(s.tags.or("c", "simple"), "/")
	if !both {
		body = "simple"
	}
	var known, knownToo bool
	s.header, known = formOf(header)
	s.body.form, knownToo = formOf(body)
	if !known || !knownToo {
		return errors.New("unknown c=")
	}
	s.body.length = -1
	if s.tags.has("l") {
		n, err := strconv.ParseInt(s.tags.get("l"), 10, 64)
		if err != nil || n < 0 {
			return errors.New("malformed l=")
		}
		s.body.length = n
	}
	return nil
}

func formOf(word string) (canon.Form, bool) {
	for _, f := range []canon.Form{canon.Simple, canon.Relaxed} {
		if word == f.String() {
			return f, true
		}
	}
	return 0, false
}

// parseTimes reads t= and x=. RFC 6376, section 3.5: x= is after t=.
func (s *signature) parseTimes() error {
	times := map[string]int64{}
	for _, name := range []string{"t", "x"} {
		if !s.tags.has(name) {
			continue
		}
		n, err := strconv.ParseUint(s.tags.get(name), 10, 62)
		if err != nil {
			return errors.New("malformed " + name + "=")
		}
		times[name] = int64(n)
	}
	s.expires = times["x"]
	if s.tags.has("x") && s.expires <= times["t"] {
		return errors.New("x= is not after t=")
	}
	return nil
}

// algo returns the name of the key's algorithm. RFC 8301: sha1 does not count any more.
func (s *signature) algo() (string, error) {
	switch strings.ToLower(s.tags.get("a")) {
	case "rsa-sha256":
		return "rsa", nil
	case "ed25519-sha256":
		return "ed25519", nil
	case "rsa-sha1":
		return "", errSHA1
	}
	return "", errors.New("unknown algorithm")
}

// headerDigest is the hash that a signature signs: the fields of h=, of several with one name
// the last first (RFC 6376, section 5.4.2), then the signature's own field.
func (s *signature) headerDigest(h *fields) []byte {
	digest := sha256.New()
	var buf []byte
	used := map[string]int{}
	for _, name := range s.signed {
		all := h.byName[name]
		n := used[name]
		// RFC 6376, section 3.5: h= does not mean the signature's own field.
		if n < len(all) && all[len(all)-1-n] == s.field {
			n++
		}
		if n == len(all) {
			continue // RFC 6376, section 3.5: a field that is not there counts as nothing
		}
		used[name] = n + 1
		buf = canon.AppendField(buf[:0], all[len(all)-1-n].Raw, s.header)
		digest.Write(buf)
	}
	digest.Write(canon.AppendSignature(buf[:0], s.field.Raw, s.header))
	return digest.Sum(nil)
}

// fields is a header as it came, fields that were put in later left out.
type fields struct {
	all    []mime.Field
	byName map[string][]*mime.Field // lower case, in their order
}

func newFields(h *mime.Header) *fields {
	f := &fields{byName: map[string][]*mime.Field{}}
	for _, field := range h.Fields() {
		if field.Offset >= 0 && field.Name != "" {
			f.all = append(f.all, field)
		}
	}
	for i := range f.all {
		name := strings.ToLower(f.all[i].Name)
		f.byName[name] = append(f.byName[name], &f.all[i])
	}
	return f
}
