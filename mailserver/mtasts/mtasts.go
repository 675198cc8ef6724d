// Package mtasts knows which domains demand verified TLS of those who send to them (MTA-STS,
// RFC 8461).
//
// A domain announces a policy by a TXT record with an id; the policy itself is a text at
// https://mta-sts.<domain>/.well-known/mta-sts.txt. What was fetched once holds for its max_age,
// whatever the DNS says meanwhile, so policies are kept in the database and fetched again before
// they run out. A policy that was never fetched and cannot be is none: that is how the standard
// has it, and why the first message to a domain is protected no better than without.
package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mode is what a policy wants done.
type Mode string

// The modes (RFC 8461, section 5).
const (
	Enforce Mode = "enforce" // nothing is sent to a host that does not fit
	Testing Mode = "testing" // it is sent nevertheless
	None    Mode = "none"    // there is no policy any more
)

const (
	// maxAge is the longest a policy may hold (RFC 8461, section 3.2): about a year.
	maxAge = 31557600 * time.Second

	// maxPolicy bounds the text of a policy (RFC 8461, section 3.3, proposes it).
	maxPolicy = 64 << 10

	// maxPatterns bounds the hosts of a policy.
	maxPatterns = 100
)

// Policy is what a domain demands.
type Policy struct {
	ID     string // of the TXT record it was fetched for
	Mode   Mode
	MX     []string // patterns of hosts, lower case; none with None
	MaxAge time.Duration
}

// Allows reports whether a host fits a pattern: the same name, or one label in place of "*."
// (RFC 8461, section 4.1).
func (p *Policy) Allows(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, pattern := range p.MX {
		if pattern == host {
			return true
		}
		if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
			if _, rest, found := strings.Cut(host, "."); found && rest == suffix {
				return true
			}
		}
	}
	return false
}

// ParseRecord finds the id in the TXT records of _mta-sts.<domain>. Anything but exactly one
// record of this kind is none (RFC 8461, section 3.1).
func ParseRecord(records []string) (id string, ok bool) {
	found := 0
	for _, r := range records {
		version, rest, _ := strings.Cut(r, ";")
		if strings.TrimRight(version, " \t") != "v=STSv1" {
			continue
		}
		found++
		ok = false
		for field := range strings.SplitSeq(rest, ";") {
			name, value, is := strings.Cut(strings.TrimSpace(field), "=")
			if is && strings.TrimSpace(name) == "id" && !ok {
				id, ok = strings.TrimSpace(value), validID(strings.TrimSpace(value))
			}
		}
	}
	return id, ok && found == 1
}

// validID reports whether an id is 1 to 32 letters and digits.
func validID(id string) bool {
	for i := range len(id) {
		if c := id[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 32
}

var errPolicy = errors.New("not an MTA-STS policy")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errPolicy, fmt.Sprintf(format, args...))
}

// ParsePolicy reads the text of a policy (RFC 8461, section 3.2). Lines may end in LF or CRLF;
// unknown keys are passed over; of a key that stands twice the first counts, mx aside.
func ParsePolicy(text string) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, bad("longer than %d bytes", maxPolicy)
	}
	p := &Policy{}
	seen := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.Trim(line, " \t\r")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, bad("a line without a colon")
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "mx" {
			if !validPattern(value) || len(p.MX) == maxPatterns {
				return nil, bad("mx %.80q", value)
			}
			p.MX = append(p.MX, strings.ToLower(value))
		} else if _, twice := seen[key]; !twice {
			seen[key] = value
		}
	}
	return p, p.complete(seen)
}

// complete checks the fields that stand once.
func (p *Policy) complete(fields map[string]string) error {
	if fields["version"] != "STSv1" {
		return bad("version %.20q", fields["version"])
	}
	switch p.Mode = Mode(fields["mode"]); p.Mode {
	case Enforce, Testing:
		if len(p.MX) == 0 {
			return bad("no mx")
		}
	case None:
	default:
		return bad("mode %.20q", fields["mode"])
	}
	seconds, err := strconv.ParseUint(fields["max_age"], 10, 32)
	if err != nil || len(fields["max_age"]) > 10 {
		return bad("max_age %.20q", fields["max_age"])
	}
	p.MaxAge = min(time.Duration(seconds)*time.Second, maxAge)
	return nil
}

// validPattern reports whether a pattern is a host name, with "*." in front or without.
func validPattern(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
