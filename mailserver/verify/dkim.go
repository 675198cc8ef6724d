package verify

import (
	"bytes"
	"errors"
	"strings"
	"time"
)

// maxSignatures is the number of DKIM signatures that are verified; those below in the header
// are passed over. RFC 6376, section 8.4, wants a limit.
const maxSignatures = 8

// dkimCheck is one DKIM signature on its way to a verdict.
type dkimCheck struct {
	*signature
	result Signature
}

// parseDKIM reads the signatures of a header. What is wrong in itself has its verdict already.
func parseDKIM(h *fields, now time.Time) []*dkimCheck {
	var checks []*dkimCheck
	found := h.byName["dkim-signature"]
	for _, f := range found[:min(len(found), maxSignatures)] {
		s, err := parseSignature(f)
		c := &dkimCheck{signature: s, result: Signature{Domain: s.domain, Selector: s.selector, Algo: strings.ToLower(s.tags.get("a")),
			Identity: s.tags.get("i"), B: beginning(s.tags.get("b"))}}
		checks = append(checks, c)
		if err == nil && s.tags.get("v") != "1" {
			err = errors.New("unknown version")
		}
		if err == nil {
			err = c.checkIdentity(false)
		}
		if err == nil {
			_, err = s.algo()
		}
		switch {
		case errors.Is(err, errSHA1):
			c.end("policy", err.Error())
		case err != nil:
			c.end("neutral", err.Error())
		case s.expires != 0 && now.Unix() >= s.expires:
			c.end("fail", errExpired.Error())
		}
	}
	return checks
}

// beginning returns what tells a signature from others. RFC 6008, section 4: eight characters.
func beginning(b string) string { return b[:min(len(b), 8)] }

// checkIdentity wants the domain of i= to be d= or below it, with a strict key d= itself.
func (c *dkimCheck) checkIdentity(strict bool) error {
	id := c.result.Identity
	if id == "" {
		return nil
	}
	domain, ok := domainName(id[strings.LastIndexByte(id, '@')+1:])
	if !ok || !strings.Contains(id, "@") {
		return errors.New("malformed i=")
	}
	if domain != c.domain && (strict || !isWithin(domain, c.domain)) {
		return errors.New("i= is outside of d=")
	}
	return nil
}

func (c *dkimCheck) end(verdict, reason string) { c.result.Verdict, c.result.Reason = verdict, reason }

// open reports whether there is no verdict yet.
func (c *dkimCheck) open() bool { return c.result.Verdict == "" }

// finish gives the verdict, with the keys that the DNS has and the hash of the body.
func (c *dkimCheck) finish(h *fields, keys *keyResult, body *bodyHash) {
	algo, _ := c.algo() // checked
	fitting := 0
	for _, k := range keys.keys {
		if k.algo != algo {
			continue
		}
		fitting++
		if c.try(h, k, body); c.result.Verdict == "pass" {
			return
		}
	}
	switch {
	case fitting > 0:
	case keys.temporary:
		c.end("temperror", keys.reason.Error())
	case errors.Is(keys.reason, errWeakKey):
		c.end("policy", keys.reason.Error())
	case len(keys.keys) > 0:
		c.end("permerror", "key is for another algorithm")
	default:
		c.end("permerror", keys.reason.Error())
	}
}

// try gives the verdict of one key. A signature that leaves a part of the body open (l=) does
// not count: anybody may have written that part.
func (c *dkimCheck) try(h *fields, k *publicKey, body *bodyHash) {
	if err := c.checkIdentity(k.strict); err != nil {
		c.end("permerror", err.Error())
		return
	}
	note := ""
	if k.testing { // RFC 6376, section 3.6.1: the signer is only trying
		note = " (the key is for tests)"
	}
	switch {
	case body.total < c.body.length:
		c.end("fail", "body is shorter than l="+note)
	case !bytes.Equal(body.sum[:], c.bodyHash):
		c.end("fail", "body has changed"+note)
	case !k.verify(c.headerDigest(h), c.sig):
		c.end("fail", "signature does not match"+note)
	case c.body.length >= 0 && c.body.length < body.total:
		c.end("policy", "l= leaves a part of the body unsigned")
	default:
		c.end("pass", "")
	}
}

// bestDKIM is the verdict over all signatures: one that passes is enough.
func bestDKIM(all []Signature) string {
	best := "none"
	for _, s := range all {
		if dkimRank[s.Verdict] > dkimRank[best] {
			best = s.Verdict
		}
	}
	return best
}

var dkimRank = map[string]int{"none": 0, "neutral": 1, "permerror": 2, "policy": 3, "fail": 4, "temperror": 5, "pass": 6}
