package verify

import (
	"bytes"
	"slices"
	"strings"

	"github.com/postchi/postchi/mailserver/mime"
)

const (
	// maxAuthors is the number of different domains in From that DMARC looks at.
	maxAuthors = 4
	// maxFrom is the number of addresses of From that are read, maxFromSize its bytes.
	maxFrom, maxFromSize = 1000, 64 << 10
)

// author is what the header says of who wrote the message.
type author struct {
	domains    []string // A-labels, each once, at most maxAuthors+1
	fields     int      // From fields
	absurd     bool     // From is too long to be read to its end
	unreadable bool     // an address has a domain that cannot be
}

// readAuthor reads From, all of it that any mail program might show: more than RFC 5322 allows,
// and more than our own reading of it. RFC 9989, section 11.5: who writes several addresses may
// want one of them checked and another one seen.
func readAuthor(h *fields) author {
	found := h.byName["from"]
	a := author{fields: len(found)}
	for _, f := range found[:min(len(found), 10)] {
		all := mime.Addresses(f.RawValue(), maxFrom)
		if len(f.Raw) > maxFromSize || len(all) >= maxFrom {
			a.absurd = true
			continue
		}
		for _, mailbox := range all {
			a.add(string(mailbox.Host))
		}
		for _, host := range claimed(f.RawValue()) {
			a.add(host)
		}
	}
	return a
}

// add notes the domain of an address.
func (a *author) add(host string) {
	host = strings.TrimSuffix(host, ".")
	if host == "" || host[0] == '[' {
		return
	}
	domain, ok := domainName(host)
	if !ok {
		a.unreadable = true
	} else if !slices.Contains(a.domains, domain) && len(a.domains) <= maxAuthors {
		a.domains = append(a.domains, domain)
	}
}

// first is the domain that the message is reported under.
func (a author) first() string {
	if len(a.domains) == 0 {
		return ""
	}
	return a.domains[0]
}

// claimed returns what stands behind each @ of a From that some program may take for the author's:
// all but those in quotes, in comments, and in a name before <address>. Of addresses as RFC 5322
// has them that is their domain; in "a@one b@two", "a@one@two", "<a@one> <b@two>" and
// "<@one:b@two>" programs differ in what they show.
func claimed(value []byte) (hosts []string) {
	var found []string // of one element of the list
	angle, inside := false, false
	open := map[byte]bool{} // what was begun and not ended once is no beginning any more
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case (c == '"' || c == '(') && !open[c]:
			n := closing(value[i:])
			i, open[c] = i+n, n == 0
		case c == '<' && !angle: // what stood before it is a name
			found, angle, inside = nil, true, true
		case c == '>':
			inside = false
		case (c == ',' || c == ';') && !inside:
			hosts, found, angle = append(hosts, found...), nil, false
		case c == '@':
			found = append(found, hostAt(value[i+1:]))
		}
	}
	return append(hosts, found...)
}

// closing returns the offset of the end of the quoted string or comment at the start of s; 0 if
// it has none, for then programs do not agree where it ends.
func closing(s []byte) int {
	depth := 0
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '(' && s[0] == '(':
			depth++
		case c == ')' && s[0] == '(' && depth > 0:
			depth--
		case c == '"' && s[0] == '"', c == ')' && s[0] == '(':
			return i
		}
	}
	return 0
}

// hostAt returns the domain at the start of s, up to what no domain has.
func hostAt(s []byte) string {
	s = bytes.TrimLeft(s, " \t\r\n")
	if end := bytes.IndexAny(s, " \t\r\n<>(),;:\\\"@"); end >= 0 {
		s = s[:end]
	}
	return string(s)
}
