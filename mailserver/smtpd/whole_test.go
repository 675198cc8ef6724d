package smtpd

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// The whole way with everything real: durable and visible at the 250, on both databases.
func TestTheWholeWay(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		addr, in, accounts := whole(t, config)
		r := &rig{t: t, addr: addr, mode: ModeSubmissions}
		c := r.login()
		ctx := context.Background()
		box, err := accounts.MailboxAccount(ctx, omid)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= 3; i++ {
			if got := c.mail(sara, omid, plain); !strings.HasPrefix(got, "250 ") {
				t.Fatal(got)
			}
			folder, err := in.Store.Folder(ctx, box.ID, "INBOX")
			if err != nil || folder.Messages != int64(i) {
				t.Fatal(err, folder)
			}
		}
		folder, err := in.Store.Folder(ctx, box.ID, "INBOX")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := in.Store.Messages(ctx, folder.ID, 1, 10)
		if err != nil || len(rows) != 3 {
			t.Fatal(err, len(rows))
		}
		m, err := in.Store.Open(ctx, &rows[2])
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		text, err := io.ReadAll(m)
		if err != nil || !strings.HasPrefix(string(text), "Return-Path: <sara@example.com>\r\nDelivered-To: omid@example.com\r\nReceived: from example.com\r\n") ||
			!strings.HasSuffix(string(text), plain) {
			t.Errorf("%v %q", err, text)
		}
		c.ask("MAIL FROM:<"+sara+">", "250 ")
		c.ask("RCPT TO:<nobody@example.com>", "550 5.1.1 ")
		c.ask("RCPT TO:<x@elsewhere.test>", "550 5.7.1 ")
		c.ask("RCPT TO:<postmaster@example.com>", "250 ")
		c.ask("RSET", "250 ")
		events := func() []models.Event {
			all, err := accounts.Events(ctx, models.Everything(), models.EventQuery{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		until(t, "eleven events are written", func() bool { return len(events()) == 11 }) // three of each message, and two refusals

		row, err := accounts.Mailbox(ctx, models.Everything(), sara)
		if err != nil {
			t.Fatal(err)
		}
		row.Mailbox.LoginOff, row.Mailbox.Reason = true, "on leave"
		if err := accounts.UpdateMailbox(ctx, &row.Mailbox); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if got := c.want("421 4.7.0 "); !strings.Contains(got, "on leave") {
			t.Error(got)
		}
		c.gone()
		t.Log("the session ended after", time.Since(began))
	})
}
