package verify

import (
	"slices"
	"strings"

	"github.com/postchi/postchi/mailserver/mime"
)

const (
	// maxAuthors is the number of different domains in From that DMARC looks at.
	maxAuthors = 4
	// maxFrom is the number of addresses of From that are read.
	maxFrom = 1000
)

// author is what the header says of who wrote the message.
type author struct {
	domains []string // A-labels, each once, at most maxAuthors+1
	fields  int      // From fields
}

// readAuthor reads From, all of it that any mail program might show: more than RFC 5322 allows.
func readAuthor(h *fields) author {
	found := h.byName["from"]
	a := author{fields: len(found)}
	for _, f := range found[:min(len(found), 10)] {
		for _, mailbox := range mime.Addresses(f.RawValue(), maxFrom) {
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
