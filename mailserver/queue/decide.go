package queue

import (
	"strings"
	"time"

	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/models"
)

// outcome is what becomes of a recipient after an attempt.
type outcome struct {
	*claim
	result outbound.Result
	status outbound.Status
	state  string        // the recipient's next state, if it stays
	stays  bool          // its row does: it is tried again, or its sender is still to be told
	next   models.Micros // of one that is tried again
	warn   bool          // its sender is to hear that it is late
}

// decide is the whole rule. It changes nothing. spread, from 0 to 1, is where within its random part
// the next attempt falls.
func (q *Queue) decide(item *models.QueueItem, c *claim, r outbound.Result, now time.Time, spread float64) outcome {
	o := outcome{claim: c, result: r, status: r.Status}
	if o.status == outbound.Deferred && models.At(now) >= item.ExpiresAt {
		o.status = outbound.Failed
	}
	switch o.status {
	case outbound.Delivered:
		// RFC 3461, section 5.2.2: if the other side reports we do not.
		if wants(c.Notify, "SUCCESS") && !r.DSN && reportable(item) {
			o.stays, o.state = true, models.RecipientRelayed
		}
	case outbound.Failed:
		if reportable(item) && wantsFailure(c.Notify) {
			o.stays, o.state = true, models.RecipientFailed
		}
	default:
		o.stays, o.next = true, q.config.Plan.next(now, c.Attempts+1, item.ExpiresAt, spread)
		if q.config.Plan.WarnAfter > 0 && c.WarnedAt == 0 && item.Kind == models.QueueSubmitted && reportable(item) && (c.Notify == "" || wants(c.Notify, "DELAY")) {
			// An attempt falls on the time of the warning, which is to say how things stand then; but
			// none comes sooner than 30 minutes after another (RFC 5321, section 4.5.4.1).
			late := models.At(item.CreatedAt.Time().Add(q.config.Plan.WarnAfter))
			if o.warn = models.At(now) >= late; !o.warn {
				o.next = min(o.next, max(late, models.At(now.Add(30*time.Minute))))
			}
		}
	}
	return o
}

// reportable reports whether anybody may be told: never for a null sender, nor of our own
// reports and notices (RFC 5321, section 6.1).
func reportable(item *models.QueueItem) bool {
	return item.Sender != "" && (item.Kind == models.QueueSubmitted || item.Kind == models.QueueForward)
}

// wantsFailure reports whether a sender is told of failures: unless NOTIFY leaves them out.
func wantsFailure(notify string) bool { return notify == "" || wants(notify, "FAILURE") }

// wants reports whether NOTIFY (RFC 3461, section 4.1) names an event.
func wants(notify, event string) bool {
	for _, word := range strings.Split(notify, ",") {
		if strings.EqualFold(strings.TrimSpace(word), event) {
			return true
		}
	}
	return false
}

// suppresses reports whether an answer says that the address itself takes no mail, now or ever:
// then nothing more is to be sent there. A policy's or a full mailbox's no is none of these.
func suppresses(item *models.QueueItem, r *outbound.Result) bool {
	if item.Kind != models.QueueSubmitted || item.MailboxID == 0 || r.Status != outbound.Failed {
		return false
	}
	switch r.Enhanced {
	case "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10":
		return true
	case "5.2.1": // switched off; Gmail says it of a mailbox that gets too much at the moment as well
		return !strings.Contains(r.Text, "at a rate")
	}
	return false
}
