package service

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

// zone is a DNS that shows what a test says, by purpose of the record.
type zone struct {
	shown  map[string]models.DNSVerdict
	looks  int
	domain string
}

func (z *zone) Expected(d *models.Domain, keys []models.DKIMKey) []models.DNSRecord {
	list := []models.DNSRecord{{Purpose: "mx", Type: "MX", Name: "@", FullName: d.Name, Value: "10 mail."}}
	if d.State == models.DomainPending {
		list = append(list, models.DNSRecord{Purpose: "proof", Type: "TXT", Name: "_postchi-challenge", FullName: "_postchi-challenge." + d.Name, Value: "postchi-verify=" + d.ProofToken})
	}
	for _, k := range keys {
		list = append(list, models.DNSRecord{Purpose: "dkim", Type: "TXT", Name: k.Selector + "._domainkey", FullName: k.Selector + "._domainkey." + d.Name, Value: k.Public})
	}
	return list
}

func (z *zone) Zone(string, []models.DNSRecord) string { return "" }

func (z *zone) Check(_ context.Context, d *models.Domain, keys []models.DKIMKey) *models.DNSReport {
	z.looks++
	z.domain = d.Name
	r := &models.DNSReport{Domain: d.Name}
	for _, rec := range z.Expected(d, keys) {
		verdict := z.shown[rec.Purpose]
		if token, is := strings.CutPrefix(rec.Value, "postchi-verify="); is {
			verdict = z.shown[token]
		}
		if verdict == "" {
			verdict = models.DNSMissing
		}
		r.Results = append(r.Results, models.DNSResult{DNSRecord: rec, Verdict: verdict})
	}
	r.Health = r.Sum()
	return r
}

func (z *zone) CSV(*models.DNSReport) string { return "" }

func (z *zone) CheckRow(ctx context.Context, d *models.Domain, keys []models.DKIMKey, last *models.DNSReport, kind, fullName string) *models.DNSReport {
	found := z.Check(ctx, d, keys).Find(kind, fullName)
	if found == nil {
		return nil
	}
	report := *last
	report.Results = append([]models.DNSResult(nil), last.Results...)
	if row := report.Find(kind, fullName); row != nil {
		*row = *found
	} else {
		report.Results = append(report.Results, *found)
	}
	report.Health = report.Sum()
	return &report
}

// noKeys makes none.
type noKeys struct{}

func (noKeys) NewKeys(models.ID) ([]models.DKIMKey, error) { return nil, nil }

func (noKeys) Rotate(context.Context, models.ID) error { return nil }

func (noKeys) Seen(context.Context, models.ID, map[string]models.DNSVerdict) error { return nil }

// letters are the notices that were sent.
type letters []string

func (l *letters) Notice(_ context.Context, to, subject, text, language string) error {
	*l = append(*l, language+" "+to+" "+subject+" "+text)
	return nil
}

// withDNS gives the site a DNS, and takes its domain away.
func (s *site) withDNS() (*zone, *letters) {
	s.t.Helper()
	z, l := &zone{shown: map[string]models.DNSVerdict{}}, &letters{}
	s.config.DNS, s.config.Notices, s.config.Proof = z, l, "required"
	s.ok(s.RemoveDomain(s.ctx, s.admin, "example.com", true))
	return z, l
}

func TestClaimsAreProven(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		ctx := s.ctx
		z, _ := s.withDNS()
		_, a := s.addCustomer("A", "a@users.example")
		_, b := s.addCustomer("B", "b@users.example")
		first, err := s.AddDomain(ctx, a, NewDomain{Name: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.AddDomain(ctx, b, NewDomain{Name: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		state := func(v Viewer, want models.DomainState) *DomainRow {
			t.Helper()
			d, err := s.Domain(ctx, v, "example.com")
			if err != nil || d.State != want || (d.ActiveName != nil) != (want == models.DomainActive) {
				t.Fatalf("%+v %v, want %s", d, err, want)
			}
			return d
		}
		check := func(v Viewer) {
			t.Helper()
			s.clock = s.clock.Add(time.Minute)
			if _, err := s.CheckDNS(ctx, v, "example.com"); err != nil {
				t.Fatal(err)
			}
		}
		p, err := s.Proof(ctx, a, "example.com")
		if err != nil || p.Value != "postchi-verify="+first.ProofToken || len(first.ProofToken) != 26 || first.ProofToken == second.ProofToken {
			t.Fatalf("%+v %v", p, err)
		}
		// An MX that points here proves nothing while two claim the name.
		z.shown["mx"] = models.DNSOK
		check(a)
		state(a, models.DomainPending)
		// A failed look proves nothing either; a record that is still spreading does.
		z.shown[second.ProofToken] = models.DNSUnknown
		check(b)
		state(b, models.DomainPending)
		z.shown[second.ProofToken] = models.DNSPending
		check(b)
		state(b, models.DomainActive)
		// Proven by another: noted, and for people to decide.
		z.shown[first.ProofToken] = models.DNSOK
		check(a)
		if d := state(a, models.DomainPending); d.ProvenAt == 0 {
			t.Error("the proof of a held name is not noted")
		}
		o, err := s.Home(ctx, Console())
		if err != nil || len(o.Problems) == 0 || o.Problems[0].Key != "held" {
			t.Errorf("%+v %v", o.Problems, err)
		}
		if err := s.ActivateDomain(ctx, Console(), "example.com", first.CustomerID); !models.Is(err, models.Conflict) {
			t.Errorf("activated beside another: %v", err)
		}
		if err := s.TakeDomain(ctx, a, "example.com", first.CustomerID); !models.Is(err, models.NotFound) {
			t.Errorf("taken by a customer: %v", err)
		}
		if err := s.TakeDomain(ctx, Console(), "example.com", first.CustomerID); err != nil {
			t.Fatal(err)
		}
		state(a, models.DomainActive)
		state(b, models.DomainPending)
		// One claim alone is proven by an MX that points here.
		lone, err := s.AddDomain(ctx, a, NewDomain{Name: "example.net"})
		if err != nil || lone.State != models.DomainPending {
			t.Fatal(lone, err)
		}
		if _, err := s.CheckDNS(ctx, a, "example.net"); err != nil {
			t.Fatal(err)
		}
		if d, err := s.Domain(ctx, a, "example.net"); err != nil || d.State != models.DomainActive {
			t.Errorf("%+v %v", d, err)
		}
	})
}

func TestLooksAreKeptAndTold(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		ctx := s.ctx
		z, mails := s.withDNS()
		_, v := s.addCustomer("A", "a@users.example")
		if _, err := s.AddDomain(ctx, Console(), NewDomain{Name: "example.com", CustomerID: v.CustomerID}); err != nil {
			t.Fatal(err)
		}
		health := func(want models.DNSHealth) {
			t.Helper()
			r, err := s.DNS(ctx, v, "example.com")
			row, err2 := s.Domain(ctx, v, "example.com")
			if err != nil || err2 != nil || r.Health != want || row.DNS != want {
				t.Fatalf("%+v %+v %v %v, want %s", r, row, err, err2, want)
			}
		}
		round := func(want int64) {
			t.Helper()
			if n, err := s.CheckDue(ctx); err != nil || n != want {
				t.Fatalf("%d domains looked at (%v), want %d", n, err, want)
			}
		}
		health(models.DNSHealthUnknown)
		round(1) // never looked at
		round(0)
		health(models.DNSHealthBad)
		o, err := s.Home(ctx, v)
		if err != nil || !hasProblem(o, "dns") {
			t.Errorf("%+v %v", o.Problems, err)
		}
		s.clock = s.clock.Add(59 * time.Second)
		round(0)
		s.clock = s.clock.Add(time.Second)
		round(1)
		s.clock = s.clock.Add(20 * time.Minute) // the first quarter of an hour is over
		round(1)
		s.clock = s.clock.Add(10 * time.Minute)
		round(0)
		s.clock = s.clock.Add(time.Hour)
		z.shown["mx"] = models.DNSPending
		round(1)
		health(models.DNSHealthPending)
		if len(*mails) != 0 {
			t.Fatal(*mails)
		}
		z.shown["mx"] = models.DNSOK
		s.clock = s.clock.Add(time.Minute)
		round(1)
		health(models.DNSHealthOK)
		for range 3 {
			s.clock = s.clock.Add(25 * time.Hour)
			round(1)
		}
		if len(*mails) != 1 || !strings.Contains((*mails)[0], "example.com") || !strings.HasPrefix((*mails)[0], "en a@users.example ") {
			t.Errorf("told: %q", *mails)
		}
		// Unknown for a while is no reason to tell again; missing is.
		z.shown["mx"] = models.DNSUnknown
		s.clock = s.clock.Add(25 * time.Hour)
		round(1)
		z.shown["mx"] = models.DNSOK
		s.clock = s.clock.Add(25 * time.Hour)
		round(1)
		if len(*mails) != 1 {
			t.Errorf("told: %q", *mails)
		}
		z.shown["mx"] = models.DNSMissing
		s.clock = s.clock.Add(25 * time.Hour)
		round(1)
		z.shown["mx"] = models.DNSOK
		s.clock = s.clock.Add(25 * time.Hour)
		round(1)
		if len(*mails) != 2 {
			t.Errorf("told: %q", *mails)
		}
		// A person who presses the button twice gets one look; the command line always looks.
		looks := z.looks
		s.clock = s.clock.Add(time.Minute)
		for range 3 {
			if _, err := s.CheckDNS(ctx, v, "example.com"); err != nil {
				t.Fatal(err)
			}
		}
		if z.looks != looks+1 {
			t.Errorf("%d looks", z.looks-looks)
		}
		// So does one who looks at one row; the mail that all is right follows from it too.
		z.shown["mx"] = models.DNSMissing
		s.clock = s.clock.Add(time.Minute)
		if _, err := s.CheckDNS(ctx, v, "example.com"); err != nil {
			t.Fatal(err)
		}
		z.shown["mx"], looks = models.DNSOK, z.looks
		at := s.clock
		s.clock = s.clock.Add(time.Minute)
		if row, err := s.CheckDNSRow(ctx, v, "example.com", "MX", "example.com"); err != nil || row.Verdict != models.DNSOK || z.looks != looks+1 || len(*mails) != 3 {
			t.Errorf("%+v, %v, %d looks, told %d", row, err, z.looks-looks, len(*mails))
		}
		if r, err := s.DNS(ctx, v, "example.com"); err != nil || r.Health != models.DNSHealthOK || r.CheckedAt != models.At(at) {
			t.Errorf("%+v, %v", r, err)
		}
		_, err = s.CheckDNSRow(ctx, v, "example.com", "A", "example.com")
		s.want(err, models.NotFound, "not_found")
		if err := s.SetDMARCObey(ctx, v, "example.com", models.DMARCObeyJunk); err != nil {
			t.Fatal(err)
		}
		if d, _ := s.Domain(ctx, v, "example.com"); d.DMARCObey != models.DMARCObeyJunk {
			t.Error(d.DMARCObey)
		}
		if err := s.RemoveDomain(ctx, v, "example.com", false); err != nil {
			t.Fatal(err)
		}
		s.clock = s.clock.Add(48 * time.Hour)
		round(0)
	})
}

func hasProblem(o *Overview, key string) bool {
	for _, p := range o.Problems {
		if p.Key == key {
			return true
		}
	}
	return false
}

// What an MX that points here proves, and what it does not.
func TestAnMXAloneProvesLittle(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		ctx := s.ctx
		z, _ := s.withDNS()
		_, a := s.addCustomer("A", "a@users.example")
		_, b := s.addCustomer("B", "b@users.example")
		check := func(v Viewer, name string, want models.DomainState, note string) *models.Domain {
			t.Helper()
			s.clock = s.clock.Add(time.Minute)
			r, err := s.CheckDNS(ctx, v, name)
			s.ok(err)
			if got := strings.Join(find(r, "mx").Notes, ","); got != note {
				t.Errorf("%s: note %q, want %q", name, got, note)
			}
			d, err := s.Domain(ctx, v, name)
			if err != nil || d.State != want {
				t.Fatalf("%s: %+v %v, want %s", name, d, err, want)
			}
			return &d.Domain
		}
		add := func(v Viewer, name string) *models.Domain {
			t.Helper()
			d, err := s.AddDomain(ctx, v, NewDomain{Name: name})
			s.ok(err)
			return d
		}
		_, err := s.AddDomain(ctx, s.admin, NewDomain{Name: "example.org", CustomerID: a.CustomerID})
		s.ok(err)
		z.shown["mx"] = models.DNSOK
		// Below and above a domain of another customer; beside one, and one's own.
		add(b, "sales.example.org")
		check(b, "sales.example.org", models.DomainPending, "mx_no_proof")
		add(a, "ours.example.org")
		check(a, "ours.example.org", models.DomainActive, "")
		add(b, "anexample.org")
		check(b, "anexample.org", models.DomainActive, "")
		add(a, "deep.in.example.net")
		check(a, "deep.in.example.net", models.DomainActive, "")
		add(b, "example.net")
		proven := check(b, "example.net", models.DomainPending, "mx_no_proof")
		z.shown[proven.ProofToken] = models.DNSOK
		check(b, "example.net", models.DomainActive, "")
		// After its customer has left, and the record has not.
		s.ok(s.RemoveDomain(ctx, a, "example.org", true))
		add(b, "example.org")
		check(b, "example.org", models.DomainPending, "mx_no_proof")
		s.ok(s.RemoveDomain(ctx, b, "example.org", true))
		add(a, "example.org")
		check(a, "example.org", models.DomainActive, "")
		// A claim that was there before the owner has set the MX, also if it is made again.
		z.shown["mx"] = models.DNSUnknown
		add(b, "later.test")
		check(b, "later.test", models.DomainPending, "")
		z.shown["mx"] = models.DNSWrong
		check(b, "later.test", models.DomainPending, "")
		z.shown["mx"] = models.DNSOK
		check(b, "later.test", models.DomainPending, "mx_late")
		s.ok(s.RemoveDomain(ctx, b, "later.test", true))
		again := add(b, "later.test")
		check(b, "later.test", models.DomainPending, "mx_late")
		z.shown[again.ProofToken] = models.DNSOK
		check(b, "later.test", models.DomainActive, "")
	})
}

// overtaken is a store whose reader of the last look is overtaken by another look.
type overtaken struct {
	Store
	inner func()
}

func (o *overtaken) SetDNSCheck(ctx context.Context, c *models.DNSCheck, was models.Micros) (bool, error) {
	if inner := o.inner; inner != nil {
		o.inner = nil
		inner()
	}
	return o.Store.SetDNSCheck(ctx, c, was)
}

// Of two looks at once that find everything right, one tells.
func TestTwoLooksTellOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		z, mails := s.withDNS()
		_, v := s.addCustomer("A", "a@users.example")
		_, err := s.AddDomain(s.ctx, Console(), NewDomain{Name: "example.com", CustomerID: v.CustomerID})
		s.ok(err)
		z.shown["mx"] = models.DNSOK
		d, err := s.Domain(s.ctx, v, "example.com")
		s.ok(err)
		o := &overtaken{Store: s.store}
		o.inner = func() { _, err := s.look(s.ctx, &d.Domain); s.ok(err) }
		s.store = o
		_, err = s.look(s.ctx, &d.Domain)
		s.ok(err)
		if len(*mails) != 1 {
			t.Errorf("told: %q", *mails)
		}
	})
}

// A domain whose look fails holds nobody else's up.
func TestAFailedLookHoldsNothingUp(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		z, _ := s.withDNS()
		_, v := s.addCustomer("A", "a@users.example")
		for _, name := range []string{"bad.example", "good.example"} {
			_, err := s.AddDomain(s.ctx, Console(), NewDomain{Name: name, CustomerID: v.CustomerID})
			s.ok(err)
		}
		s.config.Keys = brokenFor{s, "bad.example"}
		for range 2 {
			if _, err := s.CheckDue(s.ctx); err != nil {
				t.Fatal(err)
			}
		}
		if z.looks != 2 {
			t.Errorf("%d looks", z.looks)
		}
		if d, err := s.Domain(s.ctx, v, "good.example"); err != nil || d.DNS == models.DNSHealthUnknown {
			t.Errorf("%+v %v", d, err)
		}
		s.clock = s.clock.Add(lookAgain)
		s.config.Keys = noKeys{}
		if n, err := s.CheckDue(s.ctx); err != nil || n != 2 {
			t.Error(n, err)
		}
	})
}

// brokenFor fails to take in the looks at one domain.
type brokenFor struct {
	s    *site
	name string
}

func (brokenFor) NewKeys(models.ID) ([]models.DKIMKey, error) { return nil, nil }

func (brokenFor) Rotate(context.Context, models.ID) error { return nil }

func (b brokenFor) Seen(ctx context.Context, domain models.ID, _ map[string]models.DNSVerdict) error {
	d, err := b.s.store.DomainByID(ctx, models.Everything(), domain)
	if err == nil && d.Name == b.name {
		err = models.Errorf(models.Unavailable, "unavailable", "no")
	}
	return err
}
