package dnsinfo

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/models"
)

// atOnce is how many records of a domain are looked at at the same time.
const atOnce = 4

// finding is what one side's answer means.
type finding struct {
	verdict models.DNSVerdict
	found   []string
	notes   []string
	args    map[string]string
	value   string // what ought to be there, where it differs from the record; "" = the record
}

func (f *finding) note(key string, args ...string) {
	f.notes = append(f.notes, key)
	for i := 0; i+1 < len(args); i += 2 {
		if f.args == nil {
			f.args = map[string]string{}
		}
		f.args[args[i]] = args[i+1]
	}
}

// judge says what an answer without an error means for a record.
type judge func(r *reply) finding

// checker is one look at one domain.
type checker struct {
	*asker
	domain *models.Domain
	host   []netip.Addr // of this server
	hostOK bool         // host is known

	hostless bool // it is known that there is none
}

// Check looks at all records of a domain with these keys. It returns within Config.Timeout;
// what was not answered by then is unknown. A report never fails as a whole.
func (i *Info) Check(ctx context.Context, d *models.Domain, keys []models.DKIMKey) *models.DNSReport {
	ctx, cancel := context.WithTimeout(ctx, i.config.Timeout)
	defer cancel()
	c, list := i.begin(ctx, d, keys)
	results := make([]models.DNSResult, len(list))
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for n := range list {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[n] = c.check(&list[n])
		})
	}
	all.Wait()
	report := &models.DNSReport{Domain: d.Name, CheckedAt: models.At(i.config.Now())}
	report.Results = slices.DeleteFunc(results, func(r models.DNSResult) bool { return silent(&r) })
	i.until(report.Results, keys)
	report.Health = report.Sum()
	return report
}

// begin starts a look: it finds the server's addresses, and the records that are to be looked at.
func (i *Info) begin(ctx context.Context, d *models.Domain, keys []models.DKIMKey) (*checker, []models.DNSRecord) {
	c := &checker{asker: i.newAsker(ctx, d.Name), domain: d}
	addrs, err := i.config.Resolver.LookupNetIP(ctx, "ip", i.config.Hostname)
	var not *net.DNSError
	c.host, c.hostOK = addrs, err == nil && len(addrs) > 0
	c.hostless = err == nil && len(addrs) == 0 || errors.As(err, &not) && not.IsNotFound
	list := i.records(d, keys, c.host)
	if !c.hostOK {
		list = append(list, i.hostRecord("A", ""))
	}
	return c, list
}

// silent reports whether a row says nothing to anybody.
func silent(r *models.DNSResult) bool {
	return r.Purpose == purposeDKIMRetired && r.Verdict != models.DNSExtra ||
		r.Purpose == purposeCAA && r.Verdict == models.DNSNotNeeded && len(r.Notes) == 0
}

// until says of retiring keys how long their records are needed.
func (i *Info) until(results []models.DNSResult, keys []models.DKIMKey) {
	for n := range results {
		if results[n].Purpose != purposeDKIMRetiring {
			continue
		}
		for _, k := range keys {
			if dkimName(k.Selector) == results[n].Name {
				results[n].Args = map[string]string{"until": k.RetiredAt.Time().Add(i.config.KeepKeys).Format(time.RFC3339)}
			}
		}
	}
}

var types = map[string]uint16{"MX": dns.TypeMX, "TXT": dns.TypeTXT, "CNAME": dns.TypeCNAME, "SRV": dns.TypeSRV, "PTR": dns.TypePTR, "A": dns.TypeA, "AAAA": dns.TypeAAAA, "CAA": dns.TypeCAA}

func (c *checker) check(rec *models.DNSRecord) models.DNSResult {
	out := models.DNSResult{DNSRecord: *rec}
	if rec.NotYet {
		out.Verdict, out.Notes = models.DNSNotNeeded, []string{"not_yet"}
		return out
	}
	var f finding
	switch rec.Purpose {
	case purposeCAA:
		f = c.caa()
	case purposeHost:
		f = c.hostRow(rec)
	case purposePTR:
		f = c.ptr(rec)
	default:
		f = c.record(rec, &out)
	}
	out.Verdict, out.Found, out.Notes, out.Args = f.verdict, f.found, f.notes, f.args
	if f.value != "" {
		out.Value = f.value
		if rec.Type == "TXT" {
			out.Strings = Split(f.value)
		}
	}
	return out
}

// record asks for a record of the domain on both sides and weighs them.
func (c *checker) record(rec *models.DNSRecord, out *models.DNSResult) finding {
	got := c.both(rec.FullName, types[rec.Type])
	f := weigh(got, c.judgeOf(rec))
	if rec.Purpose == purposeMX && c.domain.State == models.DomainPending {
		c.borrowed(got, &f)
	}
	switch f.verdict {
	case models.DNSPending:
		out.TTL = int64(got.cached.ttl / time.Second)
	case models.DNSMissing:
		c.doubled(rec, &f)
		c.wildcard(rec, got, &f)
	case models.DNSWrong:
		c.wildcard(rec, got, &f)
	}
	return f
}

// weigh makes one finding of two sides. Without the resolver nothing is known for sure, for it
// stands for everybody else; without the authoritative servers its word counts, except that
// something is missing.
func weigh(got answers, j judge) finding {
	if got.cached.err != nil {
		f := finding{verdict: models.DNSUnknown}
		if got.direct != nil && got.direct.err == nil {
			f.found = j(got.direct).found
		}
		return f
	}
	cached := j(got.cached)
	if got.direct == nil || got.direct.err == nil && slices.Equal(full(got.direct.records), full(got.cached.records)) {
		return cached // judged once: some meanings take questions of their own
	}
	if got.direct.err != nil {
		if cached.verdict == models.DNSMissing {
			cached.verdict = models.DNSUnknown
		}
		return cached
	}
	direct := j(got.direct)
	if direct.verdict == models.DNSOK && cached.verdict != models.DNSOK && cached.verdict != models.DNSUnknown {
		direct.verdict, direct.found = models.DNSPending, cached.found
	}
	return direct
}

// doubled looks whether an editor has put the domain behind a name that had it already.
func (c *checker) doubled(rec *models.DNSRecord, f *finding) {
	r := c.resolver(rec.FullName+"."+c.domain.Name, types[rec.Type])
	if r.err == nil && len(r.records) > 0 && !slices.Equal(full(r.records), c.anywhere(types[rec.Type])) {
		f.note("double", "name", rec.Name)
	}
}

// wildcard looks whether the answer is that of every name in the domain.
func (c *checker) wildcard(rec *models.DNSRecord, got answers, f *finding) {
	if rec.Name == "@" {
		return
	}
	here, any := got.cached.records, c.anywhere(types[rec.Type])
	if rec.Type == "CNAME" && len(any) == 0 { // a wildcard of addresses
		here, any = c.resolver(rec.FullName, dns.TypeA).records, c.anywhere(dns.TypeA)
	}
	if len(any) > 0 && slices.Equal(any, full(here)) {
		f.note("wildcard", "name", rec.Name)
	}
}

// borrowed notes of an MX that points here why it need not have been made for the domain: it is
// that of another name, or of a record for * above. A name beside the domain that nobody has made
// tells; without an answer about that one, nothing is sure.
func (c *checker) borrowed(got answers, f *finding) {
	if f.verdict != models.DNSOK && f.verdict != models.DNSPending {
		return
	}
	alias := got.cached.alias
	if got.direct != nil && got.direct.alias != "" {
		alias = got.direct.alias
	}
	if alias != "" {
		f.note("mx_alias", "host", alias)
		return
	}
	_, above, _ := strings.Cut(c.domain.Name, ".")
	r := c.resolver(unmade()+"."+above, dns.TypeMX)
	switch {
	case r.err != nil:
		f.note("mx_unsure")
	case slices.ContainsFunc(r.records, func(rr dns.RR) bool { mx, is := rr.(*dns.MX); return is && hostOf(mx.Mx) == c.info.config.Hostname }):
		f.note("mx_wildcard")
	}
}

// unmade returns a label that nobody has made.
func unmade() string { return strings.ToLower("postchi-" + rand.Text()[:10]) }

// anywhere returns what a name that nobody has made answers with.
func (c *checker) anywhere(qtype uint16) []string {
	return full(c.resolver(unmade()+"."+c.domain.Name, qtype).records)
}

// maxShown and maxShownLength bound what a report quotes of a foreign zone.
const (
	maxShown       = 8
	maxShownLength = 600
)

// shown returns the data of records as people read them, in order, without names and times.
func shown(records []dns.RR) []string { return clip(full(records)) }

func full(records []dns.RR) []string {
	var out []string
	for _, rr := range records {
		out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(out)
	return out
}

// clip bounds texts from the DNS, and makes them printable.
func clip(texts []string) []string {
	var out []string
	for _, s := range texts[:min(len(texts), maxShown)] {
		if len(s) > maxShownLength {
			s = s[:maxShownLength] + "..."
		}
		out = append(out, printable(s))
	}
	return out
}

func printable(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}
