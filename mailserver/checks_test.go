package mailserver

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/filter"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/mailserver/smtpd"
	"github.com/postchi/postchi/mailserver/verify"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// found is a verifier that finds what it is told.
type found struct {
	result verify.Result
	err    error
}

func (f found) Verify(context.Context, verify.Message) (*verify.Result, error) {
	return &f.result, f.err
}

// opinion is a filter with one.
type opinion struct {
	filter.Verdict
	err error
}

func (opinion) Name() string { return "opinion" }
func (o opinion) Check(context.Context, *filter.Message) (filter.Verdict, error) {
	return o.Verdict, o.err
}

func TestChecksWeighPoliciesAndFilters(t *testing.T) {
	away := models.Errorf(models.Unavailable, "verify.dns", "later")
	fail := func(d verify.Disposition) verify.Result {
		return verify.Result{SPF: "fail", DMARC: "fail", Disposition: d, From: "bank.test", Fields: []byte("A: x\r\n"), Summary: "dmarc=fail"}
	}
	pass := verify.Result{SPF: "pass", DMARC: "pass", Fields: []byte("A: x\r\n"), Summary: "dmarc=pass"}
	spam := &filter.Chain{Entries: []filter.Entry{{Filter: opinion{Verdict: filter.Verdict{Junk: true, Fields: []byte("B: y\r\n"), Summary: "opinion=9"}}}}}
	closed := &filter.Chain{Entries: []filter.Entry{{Filter: opinion{err: errors.New("down")}, Closed: true}}}
	for name, c := range map[string]struct {
		found     found
		filters   *filter.Chain
		obey      []models.DMARCObey
		junk      []bool
		refused   string
		temporary bool
		summary   string
	}{
		"pass":                      {found: found{result: pass}, obey: []models.DMARCObey{"obey"}, summary: "dmarc=pass"},
		"reject":                    {found: found{result: fail(verify.Reject)}, obey: []models.DMARCObey{"obey", ""}, refused: "dmarc.refused", junk: []bool{true, true}, summary: "dmarc=fail"},
		"reject, junk here":         {found: found{result: fail(verify.Reject)}, obey: []models.DMARCObey{"junk"}, junk: []bool{true}, summary: "dmarc=fail"},
		"reject, off here":          {found: found{result: fail(verify.Reject)}, obey: []models.DMARCObey{"off"}, junk: []bool{false}, summary: "dmarc=fail"},
		"reject, not by all":        {found: found{result: fail(verify.Reject)}, obey: []models.DMARCObey{"obey", "off", "junk"}, junk: []bool{true, false, true}, summary: "dmarc=fail"},
		"quarantine":                {found: found{result: fail(verify.Quarantine)}, obey: []models.DMARCObey{"obey", "off"}, junk: []bool{true, false}, summary: "dmarc=fail"},
		"dns away":                  {found: found{result: pass, err: away}, obey: []models.DMARCObey{"off", "obey"}, temporary: true},
		"dns away, nobody cares":    {found: found{result: pass, err: away}, obey: []models.DMARCObey{"off"}, summary: "dmarc=pass"},
		"junk by a filter":          {found: found{result: pass}, filters: spam, obey: []models.DMARCObey{"obey", "off"}, junk: []bool{true, true}, summary: "dmarc=pass opinion=9"},
		"a filter that must answer": {found: found{result: pass}, filters: closed, obey: []models.DMARCObey{"obey"}, temporary: true},
	} {
		m := smtpd.Incoming{Header: &mime.Header{}, Body: bytes.NewReader(nil)}
		for _, o := range c.obey {
			m.Recipients = append(m.Recipients, delivery.Recipient{Route: &models.Route{DMARCObey: o}})
		}
		checks := &smtpChecks{hostname: "mail.example.net", verify: c.found, filters: c.filters}
		j, err := checks.Check(t.Context(), m)
		if c.temporary {
			if !models.KindOf(err).Temporary() || err == nil {
				t.Errorf("%s: %+v %v", name, j, err)
			}
			continue
		}
		refused := ""
		if j != nil && j.Refuse != nil {
			refused = j.Refuse.Key
		}
		if err != nil || !slices.Equal(j.Junk, c.junk) || refused != c.refused || j.Summary != c.summary {
			t.Errorf("%s: %+v %v", name, j, err)
		}
	}
}

// Who is named as the sender of a message that his domain denies is not answered.
func TestForgedSenders(t *testing.T) {
	for _, c := range []struct {
		sender, spf, dmarc, from string
		want                     bool
	}{
		{"bank.test", "pass", "fail", "bank.test", false},
		{"bank.test", "none", "none", "bank.test", false},
		{"bank.test", "none", "fail", "bank.test", true},
		{"there.test", "pass", "fail", "bank.test", false},
		{"bank.test", "fail", "fail", "bank.test", true},
		{"bank.test", "softfail", "none", "bank.test", true},
		{"bank.test", "fail", "pass", "bank.test", false}, // forwarded, and still signed
		{"bounces.bank.test", "fail", "pass", "bank.test", false},
		{"bank.test", "fail", "pass", "evil.test", true}, // signed by another
		{"bank.test", "fail", "pass", "evil.bank.test", true},
		{"bank.test", "fail", "pass", "k.test", true},
		{"bank.test", "fail", "pass", "", true},
	} {
		r := &verify.Result{SPF: c.spf, DMARC: c.dmarc, From: c.from}
		if got := forgedSender(r, address.Address{Local: "x", Domain: c.sender}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
