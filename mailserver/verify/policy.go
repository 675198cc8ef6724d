package verify

import (
	"net/url"
	"strings"
)

// policy is a DMARC policy record (RFC 9989, section 4.7).
type policy struct {
	p, sp, np   Disposition
	hasSP       bool
	hasNP       bool
	psd         byte // y, n, u
	strictDKIM  bool // adkim=s
	strictSPF   bool // aspf=s
	testing     bool // t=y
	meaningless bool // a policy cannot be read from it, and nobody is named who wants to know
}

// parsePolicy reads a record; false if it is none. RFC 9989, section 4.7: "v" comes first, and its
// value matches to the letter. Section 4.8: unknown tags and mistakes in others are passed over.
// Section 4.10.1: without p= the policy is none; with one that cannot be read too, if rua= shows
// that reports are wanted, and else the record means nothing.
func parsePolicy(text string) (*policy, bool) {
	if len(text) > maxTagList {
		return nil, false
	}
	specs := strings.Split(text, ";")
	if name, value, ok := strings.Cut(specs[0], "="); !ok || !is(trim(name), "v") || trim(value) != "DMARC1" {
		return nil, false
	}
	values := map[string]string{}
	for _, spec := range specs[1:min(len(specs), maxTags)] {
		name, value, ok := strings.Cut(spec, "=")
		name = strings.ToLower(trim(name))
		if _, twice := values[name]; ok && !twice {
			values[name] = trim(value)
		}
	}
	r := &policy{psd: 'u', strictDKIM: is(values["adkim"], "s"), strictSPF: is(values["aspf"], "s"), testing: is(values["t"], "y")}
	switch {
	case is(values["psd"], "y"):
		r.psd = 'y'
	case is(values["psd"], "n"):
		r.psd = 'n'
	}
	var ok [3]bool
	_, r.hasSP = values["sp"]
	_, r.hasNP = values["np"]
	r.p, ok[0] = disposition(values, "p")
	r.sp, ok[1] = disposition(values, "sp")
	r.np, ok[2] = disposition(values, "np")
	if ok != [3]bool{true, true, true} {
		r.p, r.sp, r.np, r.hasSP, r.hasNP = None, None, None, false, false
		r.meaningless = !hasReportURI(values["rua"])
	}
	return r, true
}

func is(value, word string) bool { return strings.EqualFold(value, word) }

// disposition reads a policy; false if it is there and cannot be read.
func disposition(values map[string]string, name string) (Disposition, bool) {
	value, there := values[name]
	if !there {
		return None, true
	}
	for d := None; d <= Reject; d++ {
		if is(value, d.String()) {
			return d, true
		}
	}
	return None, false
}

// hasReportURI reports whether one of the addresses for reports is a URI.
func hasReportURI(list string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if u, err := url.Parse(trim(item)); err == nil && u.Scheme != "" && (u.Opaque != "" || u.Host != "") {
			return true
		}
	}
	return false
}

// wanted is what the owner wants done of a policy. RFC 9989, section 4.7: who tests one (t=y)
// expects that of the level below.
func (r *policy) wanted(d Disposition) Disposition {
	if r.testing && d > None {
		return d - 1
	}
	return d
}

// forSubdomain is the policy for a domain below the one that has the record.
func (r *policy) forSubdomain(exists bool) Disposition {
	switch {
	case !exists && r.hasNP:
		return r.np
	case r.hasSP:
		return r.sp
	}
	return r.p
}
