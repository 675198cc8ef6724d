package dnsinfo

import (
	"fmt"
	"strings"

	"github.com/postchi/postchi/models"
)

// Zone returns records as lines of a zone file (RFC 1035, section 5) for the domain. What is
// not to be published, or belongs to another zone, is there as a comment.
func (i *Info) Zone(domain string, list []models.DNSRecord) string {
	var b strings.Builder
	fmt.Fprintf(&b, "; DNS records for mail of %s\n; Merge with what is there: one SPF record and one DMARC record at most.\n$ORIGIN %s.\n$TTL 300\n", domain, domain)
	group := ""
	for n := range list {
		rec := &list[n]
		if rec.Group != group {
			group = rec.Group
			fmt.Fprintf(&b, "\n; %s\n", groupTitles[group])
		}
		switch {
		case rec.Operator:
			fmt.Fprintf(&b, "; at the server's owner: %s\n", line(rec))
		case rec.Purpose == purposeDKIMRetired:
			fmt.Fprintf(&b, "; may be removed: %s\n", rec.Name)
		case rec.NotYet:
			fmt.Fprintf(&b, "; not yet: %s\n", line(rec))
		case rec.Value == "":
		case rec.Purpose == purposeCAA:
			fmt.Fprintf(&b, "; only if there are CAA records: %s\n", line(rec))
		default:
			fmt.Fprintf(&b, "%s\n", line(rec))
		}
	}
	return b.String()
}

var groupTitles = map[string]string{
	groupProof: "Proof of the domain's owner", groupReceive: "Receiving mail", groupTrust: "Being trusted",
	groupSetup: "Easy set-up of mail clients", groupHost: "The server",
}

func line(rec *models.DNSRecord) string {
	value := rec.Value
	if rec.Type == "TXT" {
		if value = Quote(rec.Strings); len(rec.Strings) > 1 {
			value = "( " + value + " )"
		}
	}
	return fmt.Sprintf("%-24s IN %-5s %s", rec.Name, rec.Type, value)
}
