package verify

import (
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
	domains []string // A-labels, each once, at most maxAuthors+1
	fields  int      // From fields
	absurd  bool     // From is too long to be read to its end
}

// readAuthor reads From, all of it that any mail program might show: more than RFC 5322 allows.
func readAuthor(h *fields) author {
	found := h.byName["from"]
	a := author{fields: len(found)}
	for _, f := range found[:min(len(found), 10)] {
		all := mime.Addresses(f.RawValue(), maxFrom)
		a.absurd = a.absurd || len(f.Raw) > maxFromSize || len(all) >= maxFrom
		for _, mailbox := range all {
			host := strings.TrimSuffix(string(mailbox.Host), ".")
			domain, ok := domainName(host)
			if ok && !slices.Contains(a.domains, domain) && len(a.domains) <= maxAuthors {
				a.domains = append(a.domains, domain)
			}
		}
	}
	return a
}

// first is the domain that the message is reported under.
func (a author) first() string {
	if len(a.domains) == 0 {
		return ""
	}
	return a.domains[0]
}
