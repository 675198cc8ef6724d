package dnsinfo

import (
	"encoding/csv"
	"strings"

	"github.com/postchi/postchi/models"
)

// CSV returns the rows of a report as a table with a heading (RFC 4180), for spreadsheets and
// for editors of DNS providers. The value of a TXT record is its text in one piece. Nothing of
// what was found is in it: spreadsheets take a foreign text for a formula.
func (i *Info) CSV(report *models.DNSReport) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	w.Write([]string{"type", "name", "full_name", "value", "needed", "verdict", "purpose"})
	for n := range report.Results {
		r := &report.Results[n]
		needed := "yes"
		switch {
		case r.Operator:
			needed = "server"
		case r.NotYet || r.Verdict == models.DNSNotNeeded:
			needed = "no"
		case r.Optional:
			needed = "optional"
		}
		w.Write([]string{r.Type, r.Name, r.FullName, r.Value, needed, string(r.Verdict), r.Purpose})
	}
	w.Flush() // never fails: it writes to memory
	return b.String()
}
