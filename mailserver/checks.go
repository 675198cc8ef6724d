package mailserver

import (
	"context"
	"strings"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/filter"
	"github.com/postchi/postchi/mailserver/smtpd"
	"github.com/postchi/postchi/mailserver/verify"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// verifier says where a message comes from; *verify.Verifier does.
type verifier interface {
	Verify(ctx context.Context, m verify.Message) (*verify.Result, error)
}

// smtpChecks judges mail from other servers: what verify finds out, what the recipients' domains
// make of it, and the opinions of filters.
type smtpChecks struct {
	hostname string
	verify   verifier      // nil = nothing is verified
	filters  *filter.Chain // nil = none
}

// Check implements smtpd.Checks. Its errors are temporary.
func (c *smtpChecks) Check(ctx context.Context, m smtpd.Incoming) (*smtpd.Judgement, error) {
	result, err := &verify.Result{}, error(nil)
	if c.verify != nil {
		result, err = c.verify.Verify(ctx, verify.Message{
			Remote: m.Remote, HELO: m.HELO, Sender: m.Sender, Body: m.Body, Size: m.Body.Size(), Header: m.Header,
		})
	}
	if err != nil && (obeyed(m.Recipients) || !isPolicy(err)) {
		return nil, err
	}
	j := &smtpd.Judgement{
		Fields: result.Fields, Cut: verify.Forged(m.Header, c.hostname), Summary: result.Summary,
		Verified: result.SPF == "pass" || result.DMARC == "pass", Forged: forgedSender(result, m.Sender),
	}
	c.policy(j, result, m)
	if j.Refuse != nil {
		return j, nil
	}
	return j, c.filter(ctx, j, result, m)
}

// forgedSender reports whether the envelope sender's domain says that the message is not from it,
// and no DMARC shows otherwise for that domain; or the author's domain says so, and nothing shows
// that the sender is who he says. The signature of another proves nothing here:
// anybody can sign his own From and put the address of somebody else into MAIL.
func forgedSender(result *verify.Result, sender address.Address) bool {
	if result.SPF != "fail" && result.SPF != "softfail" {
		return result.DMARC == "fail" && result.SPF != "pass"
	}
	same := sender.Domain == result.From || strings.HasSuffix(sender.Domain, "."+result.From)
	return result.DMARC != "pass" || result.From == "" || !same
}

// isPolicy reports whether all that is not known is what the author's domain asks for.
func isPolicy(err error) bool {
	all := models.Errors(err)
	return len(all) == 1 && all[0].Key == "verify.dns"
}

// obeyed reports whether the policy of the author's domain matters to a recipient.
func obeyed(recipients []delivery.Recipient) bool {
	for i := range recipients {
		if recipients[i].DMARCObey != models.DMARCObeyOff {
			return true
		}
	}
	return false
}

// policy does with a message that fails DMARC what its author's domain asks for, as far as the
// domain of each recipient obeys. There is one answer for all: it is refused only if it is for
// everybody; otherwise those who would refuse it find it in Junk.
func (c *smtpChecks) policy(j *smtpd.Judgement, result *verify.Result, m smtpd.Incoming) {
	if result.Disposition == verify.None || len(m.Recipients) == 0 {
		return
	}
	j.Junk = make([]bool, len(m.Recipients))
	refused := result.Disposition == verify.Reject
	for i := range m.Recipients {
		obey := m.Recipients[i].DMARCObey
		j.Junk[i] = obey != models.DMARCObeyOff
		refused = refused && j.Junk[i] && obey != models.DMARCObeyJunk
	}
	if refused {
		j.Refuse = models.Errorf(models.Denied, "dmarc.refused",
			"The message says it is from %s, but neither SPF nor DKIM shows that it is, and the policy of that domain (DMARC) is to refuse such mail.", result.From).With("domain", result.From)
	}
}

// filter takes in the opinions of filters.
func (c *smtpChecks) filter(ctx context.Context, j *smtpd.Judgement, result *verify.Result, m smtpd.Incoming) error {
	if c.filters == nil || len(c.filters.Entries) == 0 {
		return nil
	}
	to := make([]string, len(m.Recipients))
	for i := range m.Recipients {
		to[i] = m.Recipients[i].Address
	}
	v, err := c.filters.Check(ctx, &filter.Message{
		ID: m.ID.String(), Remote: m.Remote, HELO: m.HELO, Sender: m.Sender, Recipients: to, Body: m.Body, Size: m.Body.Size(), Verify: result,
	})
	if err != nil {
		return err
	}
	j.Refuse = v.Refuse
	j.Fields = append(j.Fields, v.Fields...)
	j.Summary = strings.TrimSpace(j.Summary + " " + v.Summary)
	if v.Junk {
		j.Junk = make([]bool, len(m.Recipients))
		for i := range j.Junk {
			j.Junk[i] = true
		}
	}
	return nil
}
