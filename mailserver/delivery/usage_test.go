package delivery

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// meter is a store whose one mailbox has a size, and which counts the questions for it.
type meter struct {
	broken
	used  models.MailboxUsage
	asked int
}

func (m *meter) Deliver(_ context.Context, a mailstore.Arrival) error {
	m.used.Messages++
	return m.deliver
}

func (m *meter) Usage(context.Context, ...models.ID) (map[models.ID]models.MailboxUsage, error) {
	m.asked++
	return map[models.ID]models.MailboxUsage{1: m.used}, nil
}

func TestUsageIsBelievedForAMomentOnly(t *testing.T) {
	now := time.UnixMicro(42)
	m := &meter{}
	book := directory{"sara@example.com": {MailboxID: 1, QuotaMessages: 3}}
	d := New(Config{Resolver: book, Blobs: m, Mailboxes: m, Now: func() time.Time { return now }})
	rcpt := func(ok bool, asked int) {
		t.Helper()
		_, err := d.Route(context.Background(), parse(t, "sara@example.com"), Asked{})
		if (err == nil) != ok || err != nil && !models.Is(err, models.Full) || m.asked != asked {
			t.Errorf("%v, asked %d times, want %d", err, m.asked, asked)
		}
	}
	accept := func() error {
		return d.Accept(context.Background(), Envelope{Recipients: []Recipient{to(models.Recipient{MailboxID: 1})}}, bytes.NewReader([]byte(text)))
	}
	rcpt(true, 1)
	for range 2 {
		if err := accept(); err != nil {
			t.Fatal(err)
		}
		rcpt(true, 1)
	}
	accept()
	rcpt(false, 2) // counted up to the quota; that it is full is read
	rcpt(false, 3)
	m.used.Messages = 0
	rcpt(true, 4)
	now = now.Add(usageAge)
	rcpt(true, 5)
	m.deliver = models.Errorf(models.Full, "mailbox.full", "full")
	accept()
	rcpt(true, 6) // read again after a refusal
}
