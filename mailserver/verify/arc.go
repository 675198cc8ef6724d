package verify

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/postchi/postchi/mailserver/canon"
	"github.com/postchi/postchi/mailserver/mime"
)

// maxHops is the number of ARC sets in a message. RFC 8617, section 4.2.1: no more than 50.
const maxHops = 50

// arcSet is what one hop has added (RFC 8617, section 4.1).
type arcSet struct {
	results, message, seal *mime.Field

	sealTags tagList
	sealKey  string // where the key of the seal is
}

// arcChain is a chain on its way to a verdict.
type arcChain struct {
	sets    []*arcSet  // in their order
	newest  *signature // ARC-Message-Signature of the last set
	verdict string     // "" = not known yet
}

// parseARC reads the sets of a header. What is wrong in itself has its verdict already
// (RFC 8617, section 5.2, steps 1 to 3).
func parseARC(h *fields, now time.Time) *arcChain {
	c := &arcChain{}
	parts := [...][]*mime.Field{h.byName["arc-authentication-results"], h.byName["arc-message-signature"], h.byName["arc-seal"]}
	n := len(parts[2])
	if n == 0 && len(parts[0]) == 0 && len(parts[1]) == 0 {
		c.verdict = "none"
		return c
	}
	if n == 0 || n > maxHops || len(parts[0]) != n || len(parts[1]) != n || !c.sort(parts) || !c.checkSeals() {
		c.verdict = "fail"
		return c
	}
	last := c.sets[n-1]
	var err error
	if c.newest, err = parseSignature(last.message); err == nil {
		_, err = c.newest.algo()
	}
	signsSeal := err == nil && strings.Contains(":"+strings.Join(c.newest.signed, ":")+":", ":arc-seal:")
	if err != nil || signsSeal || c.newest.expires != 0 && now.Unix() >= c.newest.expires {
		c.verdict = "fail"
	}
	return c
}

// sort puts the fields into sets: 1 to n, each field once.
func (c *arcChain) sort(parts [3][]*mime.Field) bool {
	c.sets = make([]*arcSet, len(parts[2]))
	for i := range c.sets {
		c.sets[i] = &arcSet{}
	}
	for kind, all := range parts {
		for _, f := range all {
			i, ok := instance(f, kind == 0)
			if !ok || i > len(c.sets) {
				return false
			}
			slot := [...]**mime.Field{&c.sets[i-1].results, &c.sets[i-1].message, &c.sets[i-1].seal}[kind]
			if *slot != nil {
				return false
			}
			*slot = f
		}
	}
	return true
}

// instance reads i=: the first part of ARC-Authentication-Results, a tag of the others.
func instance(f *mime.Field, first bool) (int, bool) {
	value := string(f.RawValue())
	if first {
		value, _, _ = strings.Cut(value, ";")
		name, number, ok := strings.Cut(value, "=")
		if !ok || trim(name) != "i" {
			return 0, false
		}
		value = number
	} else {
		tags, err := parseTags(value)
		if err != nil {
			return 0, false
		}
		value = tags.get("i")
	}
	value = trim(value)
	if len(value) > 4 || strings.HasPrefix(value, "+") {
		return 0, false
	}
	n, err := strconv.Atoi(value)
	return n, err == nil && n >= 1 && n <= maxHops
}

// checkSeals reads the tags of all seals: the first says cv=none, the others cv=pass
// (RFC 8617, section 5.2, step 3), none says what fields it signs (section 4.1.3).
func (c *arcChain) checkSeals() bool {
	for i, set := range c.sets {
		tags, err := parseTags(string(set.seal.RawValue()))
		if err != nil || tags.has("h") || !tags.has("b") {
			return false
		}
		want := "pass"
		if i == 0 {
			want = "none"
		}
		domain, ok := domainName(tags.get("d"))
		selector := strings.ToLower(tags.get("s"))
		if !ok || !isName(selector) || strings.ToLower(tags.get("cv")) != want {
			return false
		}
		set.sealTags, set.sealKey = tags, keyName(selector, domain)
	}
	return true
}

// names returns where the keys are, the ones that are needed first in front.
func (c *arcChain) names() []string {
	if c.verdict != "" {
		return nil
	}
	names := []string{keyName(c.newest.selector, c.newest.domain)}
	for i := len(c.sets) - 1; i >= 0; i-- {
		names = append(names, c.sets[i].sealKey)
	}
	return names
}

// finish gives the verdict (RFC 8617, section 5.2, steps 4 to 6): the newest message signature
// and all seals must match. Only a mistake that is certain makes it fail.
func (c *arcChain) finish(h *fields, keys map[string]*keyResult, body *bodyHash) {
	s := c.newest
	algo, _ := s.algo() // checked
	c.verdict = "pass"
	if body.total < s.body.length || s.body.length >= 0 && s.body.length < body.total || !bytes.Equal(body.sum[:], s.bodyHash) {
		c.verdict = "fail"
		return
	}
	c.note(keys[keyName(s.selector, s.domain)].matches(algo, s.headerDigest(h), s.sig))
	all := sha256.New()
	var buf []byte
	for _, set := range c.sets {
		for _, f := range []*mime.Field{set.results, set.message} {
			buf = canon.AppendField(buf[:0], f.Raw, canon.Relaxed)
			all.Write(buf)
		}
		sealed, _ := all.(hash.Cloner).Clone() // SHA-256 can be cloned
		sealed.Write(canon.AppendSignature(buf[:0], set.seal.Raw, canon.Relaxed))
		c.note(set.verify(keys[set.sealKey], sealed.Sum(nil)))
		buf = canon.AppendField(buf[:0], set.seal.Raw, canon.Relaxed)
		all.Write(buf)
	}
}

// note joins the verdict of one signature to that of the chain.
func (c *arcChain) note(verdict string) {
	if verdict == "fail" || verdict == "temperror" && c.verdict == "pass" {
		c.verdict = verdict
	}
}

// verify checks one seal.
func (s *arcSet) verify(keys *keyResult, digest []byte) string {
	sig, err := s.sealTags.base64("b")
	if err != nil {
		return "fail"
	}
	algo, err := (&signature{tags: s.sealTags}).algo()
	if err != nil {
		return "fail"
	}
	return keys.matches(algo, digest, sig)
}

// matches tells whether one of the keys made a signature: pass, fail or temperror.
func (r *keyResult) matches(algo string, digest, sig []byte) string {
	for _, k := range r.keys {
		if k.algo == algo && k.verify(digest, sig) {
			return "pass"
		}
	}
	if r.temporary {
		return "temperror"
	}
	return "fail"
}

// hops returns who passed the message on, of a chain that passes.
func (c *arcChain) hops() []Hop {
	if c.verdict != "pass" {
		return nil
	}
	hops := make([]Hop, len(c.sets))
	for i, set := range c.sets {
		domain, _ := domainName(set.sealTags.get("d")) // checked
		hops[i] = Hop{Domain: domain, Results: set.results.Value()}
	}
	return hops
}
