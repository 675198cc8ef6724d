package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// directory resolves the addresses it has.
type directory map[string]*models.Recipient

func (d directory) Route(_ context.Context, a address.Address) (*models.Route, error) {
	r := d[a.WithoutTag().String()]
	if r == nil {
		return nil, models.Errorf(models.NotFound, "recipient.unknown", "There is no mailbox %s here.", a)
	}
	c := *r
	c.Address = a.String()
	return &models.Route{Address: c.Address, Local: []models.Recipient{c}}, nil
}

type trail struct {
	mu  sync.Mutex
	all []models.Event
}

func (t *trail) Record(e models.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, e)
}

type place struct {
	*mailstoretest.Instance
	*Delivery
	book  directory
	trail *trail
}

// open makes two mailboxes on a fresh store.
func open(t *testing.T, config db.Config) *place {
	p := &place{Instance: mailstoretest.Seg(t, config), book: directory{}, trail: &trail{}}
	for _, name := range []string{"sara", "omid"} {
		box := name + "@example.com"
		p.book[box] = &models.Recipient{Mailbox: box, MailboxID: p.Mailbox(t), CustomerID: 7}
	}
	p.Delivery = New(Config{Resolver: p.book, Blobs: p.Blobs, Mailboxes: p.Store, Events: p.trail, Now: func() time.Time { return time.UnixMicro(42) }})
	return p
}

func each(t *testing.T, fn func(t *testing.T, p *place)) {
	for name, config := range map[string]func(testing.TB) db.Config{"sqlite": dbtest.SQLite, "mysql": dbtest.MySQL} {
		t.Run(name, func(t *testing.T) { fn(t, open(t, config(t))) })
	}
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// to is a recipient that is one mailbox.
func to(r models.Recipient) Recipient {
	return Recipient{Route: &models.Route{Address: r.Address, CustomerID: r.CustomerID, Local: []models.Recipient{r}}}
}

// envelope resolves recipients as RCPT does.
func (p *place) envelope(t *testing.T, declared int64, to ...string) Envelope {
	t.Helper()
	e := Envelope{ID: 99, Sender: parse(t, "a@b.test"), Declared: declared, Direction: "in", Remote: "192.0.2.1"}
	for _, s := range to {
		r, err := p.Route(context.Background(), parse(t, s), Asked{Declared: declared})
		if err != nil {
			t.Fatal(err)
		}
		e.Recipients = append(e.Recipients, Recipient{Route: r})
	}
	return e
}

// inbox reads all messages of a mailbox's inbox.
func (p *place) inbox(t *testing.T, box string) []string {
	t.Helper()
	ctx := context.Background()
	f, err := p.Store.Folder(ctx, p.book[box].MailboxID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := p.Store.Messages(ctx, f.ID, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range rows {
		r, err := p.Store.Open(ctx, &rows[i])
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		r.Close()
		if err != nil || int64(len(b)) != rows[i].Size {
			t.Fatal(err, len(b), rows[i].Size)
		}
		all = append(all, string(b))
	}
	return all
}

const text = "From: a@b.test\r\nMessage-ID: <1@b.test>\r\nSubject: Re: hi\r\n\r\nbody\r\n"

func TestAcceptMakesTheMessageVisible(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		e := p.envelope(t, 0, "sara@example.com", "omid+x@example.com")
		if err := p.Accept(context.Background(), e, bytes.NewReader([]byte(text))); err != nil {
			t.Fatal(err)
		}
		for box, want := range map[string]string{
			"sara@example.com": "Return-Path: <a@b.test>\r\nDelivered-To: sara@example.com\r\n" + text,
			"omid@example.com": "Return-Path: <a@b.test>\r\nDelivered-To: omid@example.com\r\nX-Original-To: omid+x@example.com\r\n" + text,
		} {
			if got := p.inbox(t, box); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %q", box, got)
			}
		}
		if len(p.trail.all) != 3 {
			t.Fatalf("%+v", p.trail.all)
		}
		first, last := p.trail.all[0], p.trail.all[2]
		if first.Kind != models.EventAccepted || first.At != 42 || first.Size != int64(len(text)) || first.MessageID != "1@b.test" || first.EnvelopeID == 0 {
			t.Errorf("%+v", first)
		}
		if last.Kind != models.EventDelivered || last.Recipient != "omid+x@example.com" || last.CustomerID != 7 || last.MailboxID != p.book["omid@example.com"].MailboxID {
			t.Errorf("%+v", last)
		}
	})
}

func TestReturnPathOfABounceIsEmpty(t *testing.T) {
	got := string(prefix(address.Address{}, &models.Recipient{Address: "x@y.z", Mailbox: "x@y.z"}))
	if got != "Return-Path: <>\r\nDelivered-To: x@y.z\r\n" {
		t.Error(got)
	}
	long := address.Address{Local: strings.Repeat("\"", 64), Domain: strings.Repeat("x", 189)}
	if n := len(prefix(long, &models.Recipient{Address: strings.Repeat("y", 254), Mailbox: strings.Repeat("z", 254)})); n > mailstore.MaxPrefix {
		t.Error(n)
	}
}

func TestOneFullMailboxRefusesTheWhole(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		e := p.envelope(t, 0, "sara@example.com", "omid@example.com")
		p.book["omid@example.com"].QuotaMessages = 1
		one := p.envelope(t, 0, "omid@example.com")
		if err := p.Accept(context.Background(), one, bytes.NewReader([]byte(text))); err != nil {
			t.Fatal(err)
		}
		e.Recipients[1].Local[0].QuotaMessages = 1
		if err := p.Accept(context.Background(), e, bytes.NewReader([]byte(text))); !models.Is(err, models.Full) {
			t.Fatal(err)
		}
		if got := p.inbox(t, "sara@example.com"); len(got) != 0 {
			t.Error("stored for one of two")
		}
		_, err := p.Route(context.Background(), parse(t, "omid@example.com"), Asked{})
		if !models.Is(err, models.Full) {
			t.Error("the retry is not told which one:", err)
		}
	})
}

// RCPT and commit must not disagree: a sender would try again for days.
func TestTheQuotaRuleIsOne(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		box := p.book["sara@example.com"]
		copySize := int64(len(text) + len(prefix(parse(t, "a@b.test"), &models.Recipient{Address: box.Mailbox, Mailbox: box.Mailbox})))
		for _, test := range []struct {
			quota, declared int64
			ok              bool
		}{
			{copySize, 0, false}, {copySize + 1, 0, true}, {2 * copySize, copySize + 1, false}, {3 * copySize, copySize, true}, {0, 1 << 40, true},
		} {
			fresh := p.Mailbox(t)
			r := models.Recipient{Address: box.Mailbox, Mailbox: box.Mailbox, MailboxID: fresh}
			e := Envelope{Sender: parse(t, "a@b.test"), Recipients: []Recipient{to(r)}}
			if err := p.Accept(context.Background(), e, bytes.NewReader([]byte(text))); err != nil {
				t.Fatal(err)
			}
			box.MailboxID, box.QuotaBytes = fresh, test.quota
			_, err := p.Route(context.Background(), parse(t, "sara@example.com"), Asked{Declared: test.declared})
			e.Recipients[0].Local[0].QuotaBytes, e.Declared = test.quota, test.declared
			atCommit := p.Accept(context.Background(), e, bytes.NewReader([]byte(text)))
			if (err == nil) != test.ok || (atCommit == nil) != test.ok || !test.ok && (!models.Is(err, models.Full) || !models.Is(atCommit, models.Full)) {
				t.Errorf("%+v: RCPT %v, commit %v", test, err, atCommit)
			}
		}
	})
}

func TestReceivingSwitchedOff(t *testing.T) {
	p := open(t, dbtest.SQLite(t))
	p.book["sara@example.com"].ReceiveOff, p.book["sara@example.com"].Reason = true, "moved away"
	_, err := p.Route(context.Background(), parse(t, "sara@example.com"), Asked{})
	var e *models.Error
	if !errors.As(err, &e) || e.Kind != models.Suspended || e.Key != "recipient.off" || !strings.Contains(e.Msg, "moved away") {
		t.Error(err)
	}
	if _, err := p.Route(context.Background(), parse(t, "nobody@example.com"), Asked{}); !models.Is(err, models.NotFound) {
		t.Error(err)
	}
}

// broken fails where it is told to.
type broken struct {
	put, deliver error
	delivered    int
}

func (b *broken) Prepare(context.Context, io.Reader, int64) (*blob.Prepared, error) {
	return &blob.Prepared{}, b.put
}

func (b *broken) Deliver(context.Context, mailstore.Arrival) error {
	b.delivered++
	return b.deliver
}

func (b *broken) Usage(context.Context, ...models.ID) (map[models.ID]models.MailboxUsage, error) {
	return nil, b.deliver
}

type badBody struct{ io.ReaderAt }

func (badBody) Size() int64                       { return 10 }
func (badBody) ReadAt([]byte, int64) (int, error) { return 0, errors.New("disk") }

func TestFailuresAreTemporary(t *testing.T) {
	away := models.Unavailablef(errors.New("gone"), "away")
	book := directory{"sara@example.com": {MailboxID: 1, QuotaBytes: 1}}
	for name, b := range map[string]*broken{"blob": {put: away}, "rows": {deliver: away}} {
		d := New(Config{Resolver: book, Blobs: b, Mailboxes: b, Events: &trail{}})
		err := d.Accept(context.Background(), Envelope{Recipients: []Recipient{to(models.Recipient{})}}, bytes.NewReader([]byte(text)))
		if !models.Is(err, models.Unavailable) {
			t.Error(name, err)
		}
		if b.put != nil && b.delivered != 0 {
			t.Error("rows without a blob")
		}
		if n := len(d.config.Events.(*trail).all); n != 0 {
			t.Error(n, "events of a message that was not accepted")
		}
	}
	b := &broken{deliver: away}
	d := New(Config{Resolver: book, Blobs: b, Mailboxes: b})
	if _, err := d.Route(context.Background(), parse(t, "sara@example.com"), Asked{}); !models.Is(err, models.Unavailable) {
		t.Error(err)
	}
	if err := d.Accept(context.Background(), Envelope{}, badBody{}); !models.Is(err, models.Unavailable) {
		t.Error(err)
	}
}
