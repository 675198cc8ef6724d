package verify

import (
	"cmp"
	"slices"
)

// identifier is a domain that SPF or DKIM speaks for.
type identifier struct {
	domain  string
	verdict string
	dkim    bool
}

// dmarcResult is what DMARC says of a message.
type dmarcResult struct {
	verdict     string
	disposition Disposition
	policy      Disposition // that holds for the author's domain, with all options of the record
	published   bool        // there is a policy
	unknown     error       // the DNS failed and the disposition depends on it
}

// severity orders verdicts when From has several domains: the worst holds.
var severity = []string{"pass", "none", "permerror", "temperror", "fail"}

// dmarc evaluates all domains of From. RFC 9989 leaves more than one of them to the receiver
// (section 5.3.1), and proposes that the strictest policy of those that fail holds (section
// 11.5): here the worst verdict does too, since any of them may be shown to the reader. More
// than one field, or more domains than anybody needs, is a forgery: fail and reject.
func (w *walker) dmarc(a author, ids []identifier) dmarcResult {
	switch {
	case a.fields > 1 || a.absurd || len(a.domains) > maxAuthors:
		return dmarcResult{verdict: "fail", disposition: Reject}
	case a.fields == 0:
		return dmarcResult{verdict: "none"}
	case len(a.domains) == 0:
		return dmarcResult{verdict: "permerror"}
	}
	worst := w.evaluate(a.domains[0], ids)
	for _, domain := range a.domains[1:] {
		worst = worst.join(w.evaluate(domain, ids))
	}
	if a.unreadable {
		worst = worst.join(dmarcResult{verdict: "permerror"})
	}
	return worst
}

// prefetch looks up the policies while others check: dmarc finds them ready.
func (w *walker) prefetch(a author) {
	if a.fields == 1 && len(a.domains) <= maxAuthors {
		for _, domain := range a.domains {
			_, _ = w.policyOf(domain)
		}
	}
}

func (r dmarcResult) join(other dmarcResult) dmarcResult {
	mine, theirs := slices.Index(severity, r.verdict), slices.Index(severity, other.verdict)
	if theirs > mine || theirs == mine && other.policy > r.policy {
		r.verdict, r.policy, r.published = other.verdict, other.policy, other.published
	}
	r.disposition = max(r.disposition, other.disposition)
	if r.unknown == nil {
		r.unknown = other.unknown
	}
	if r.disposition == Reject {
		r.unknown = nil // it cannot get worse
	}
	return r
}

// evaluate is DMARC for one domain (RFC 9989, sections 5.3.2 to 5.3.6).
func (w *walker) evaluate(author string, ids []identifier) dmarcResult {
	same := slices.ContainsFunc(ids, func(id identifier) bool { return id.verdict == "pass" && id.domain == author })
	record, err := w.policyOf(author)
	switch {
	case err != nil && same: // whatever the policy is, it is met
		return dmarcResult{verdict: "temperror"}
	case err != nil:
		return dmarcResult{verdict: "temperror", unknown: err}
	case record == nil:
		return dmarcResult{verdict: "none"}
	case record.meaningless:
		return dmarcResult{verdict: "permerror"}
	}
	r := dmarcResult{published: true}
	if same {
		r.verdict, r.policy = "pass", record.wanted(record.p)
		return r
	}
	r.policy, err = w.applies(author, record)
	aligned, unknown := w.aligned(author, record.policy, ids)
	switch {
	case aligned:
		r.verdict = "pass"
		return r
	case unknown == nil && err == nil:
		r.verdict, r.disposition = "fail", r.policy
		return r
	}
	// RFC 9989, section 5.3.6: with an error of the DNS nobody can speak of a failure.
	r.verdict = "temperror"
	if r.policy != None {
		r.unknown = cmp.Or(unknown, err)
	}
	return r
}

// policyOf returns the record that holds for a domain; nil if there is none. A record of the
// domain's own is enough, whatever is known of those above it.
func (w *walker) policyOf(author string) (*found, error) {
	own := w.at(author)
	if own.err != nil {
		return nil, own.err
	}
	if own.policy != nil {
		return &found{author, own.policy}, nil
	}
	o := w.organization(author)
	return o.record, o.err
}

// applies returns the policy of a record for a domain (RFC 9989, section 4.10.1). np= asks
// whether the domain exists (section 3.2.13); if the DNS cannot say, the error is returned with
// the stricter of the two possible policies.
func (w *walker) applies(author string, r *found) (Disposition, error) {
	if r.domain == author {
		return r.wanted(r.p), nil
	}
	there, missing := r.wanted(r.forSubdomain(true)), r.wanted(r.forSubdomain(false))
	if there == missing {
		return there, nil
	}
	exists, err := w.dns.Exists(w.ctx, author)
	switch {
	case err != nil:
		return max(there, missing), err
	case exists:
		return there, nil
	}
	return missing, nil
}

// aligned reports whether an identifier that passes belongs to the author (RFC 9989, sections
// 4.4 and 4.10.2). unknown is set if one may belong to it and the DNS does not tell.
func (w *walker) aligned(author string, p *policy, ids []identifier) (ok bool, unknown error) {
	for _, id := range ids {
		if id.verdict != "pass" && id.verdict != "temperror" || id.domain == "" {
			continue
		}
		strict := p.strictSPF
		if id.dkim {
			strict = p.strictDKIM
		}
		belongs, err := w.belongs(id.domain, author, strict)
		switch {
		case err != nil:
			unknown = err
		case belongs && id.verdict == "pass":
			return true, nil
		case belongs:
			unknown = errTemporary
		}
	}
	return false, unknown
}

// belongs reports whether two domains are the same or, relaxed, of one organization.
func (w *walker) belongs(domain, author string, strict bool) (bool, error) {
	if domain == author {
		return true, nil
	}
	if strict || !shareSuffix(domain, author) {
		return false, nil
	}
	theirs, ours := w.organization(domain), w.organization(author)
	if theirs.err != nil {
		return false, theirs.err
	}
	if ours.err != nil {
		return false, ours.err
	}
	return theirs.domain == ours.domain, nil
}

// shareSuffix reports whether two domains could be of one organization at all: one with the
// name of a top-level domain alone is none.
func shareSuffix(a, b string) bool {
	for i := 1; i <= min(len(a), len(b)); i++ {
		if a[len(a)-i] != b[len(b)-i] {
			return false
		}
		if a[len(a)-i] == '.' {
			return true
		}
	}
	return true
}
