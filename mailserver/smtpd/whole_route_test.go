package smtpd

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/mailserver/srs"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
)

// mx is an MX with everything real behind it but what sends: mailboxes sara and omid, an alias
// info that leads to omid and outside, a group team, a mailbox away that forwards outside.
type mx struct {
	*rig
	*mailstoretest.Instance
	store  *store.Store
	domain models.ID
}

func wholeMX(t *testing.T, config db.Config) *mx {
	addr, in, s := whole(t, config)
	_ = addr
	w := &mx{Instance: in, store: s}
	q := queue.New(queue.Config{DB: in.DB, Blobs: in.Blobs})
	server, err := New(Config{
		Mode: ModeMX, Hostname: "mail.example.net", TLS: serverTLS(), IDs: in.DB.IDs(), SpoolDir: t.TempDir(), MaxErrors: 1_000_000,
		Delivery: delivery.New(delivery.Config{
			Resolver: s, Records: s, Blobs: in.Blobs, Mailboxes: in.Store, Queue: q, SRS: &srs.Rewriter{Key: []byte("key"), Now: time.Now},
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- server.Serve(context.Background(), conn.NewGate(conn.Limits{PerNetwork: -1}, nil, nil).Listener(ln, ListenOptions(ModeMX)))
	}()
	t.Cleanup(func() {
		ctx, cancel := contextOf(5 * time.Second)
		defer cancel()
		server.Shutdown(ctx)
		<-done
	})
	w.rig = &rig{t: t, addr: ln.Addr().String(), mode: ModeMX}
	w.exec("UPDATE domains SET catch_all = 'sara@example.com'")
	if err := in.DB.SQL().QueryRow("SELECT id FROM domains").Scan(&w.domain); err != nil {
		t.Fatal(err)
	}
	w.alias("info", "alias", omid, "!info@out.test")
	w.alias("team", "group", sara, "!team@out.test")
	w.alias("self", "alias", "self@example.com")
	w.alias("ping", "alias", "pong@example.com")
	w.alias("pong", "alias", "ping@example.com")
	return w
}

func (w *mx) exec(query string, args ...any) {
	w.t.Helper()
	err := w.DB.Write(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		tx.Changed(db.ChangedAll, 0)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *mx) alias(local, kind string, targets ...string) {
	w.t.Helper()
	id := w.store.NewID()
	w.exec("INSERT INTO aliases (id, customer_id, domain_id, address, kind, created_at, updated_at) SELECT ?, customer_id, id, ?, ?, 1, 1 FROM domains", id, local+"@example.com", kind)
	w.exec("INSERT INTO addresses (id, domain_id, local_part, kind, alias_id, created_at) VALUES (?, ?, ?, 'alias', ?, 1)", w.store.NewID(), w.domain, local, id)
	for _, to := range targets {
		at := strings.TrimPrefix(to, "!")
		w.exec("INSERT INTO targets (id, owner_id, customer_id, address, external, verified_at, created_at) VALUES (?, ?, 1, ?, ?, 1, 1)", w.store.NewID(), id, at, at != to)
	}
}

// queued returns the recipients in the queue and the senders they are written to from.
func (w *mx) queued() (all []string) {
	w.t.Helper()
	rows, err := w.DB.SQL().Query("SELECT q.sender, r.address FROM queue q JOIN queue_recipients r ON r.queue_id = q.id ORDER BY r.address")
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var from, to string
		if err := rows.Scan(&from, &to); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, from+" > "+to)
	}
	return all
}

func (w *mx) messages(name string) int64 {
	w.t.Helper()
	box, err := w.store.MailboxAccount(context.Background(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := w.Store.Folder(context.Background(), box.ID, "INBOX")
	if err != nil {
		w.t.Fatal(err)
	}
	return f.Messages
}

// Aliases, forwards and a catch-all that takes whatever is before @ make no relay: none of the
// forms of relayForms leads anywhere but to a mailbox here.
func TestAliasesMakeNoRelay(t *testing.T) {
	if len(relayForms) < 30 {
		t.Fatal(len(relayForms))
	}
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		w := wholeMX(t, config)
		c := w.dial()
		c.ask("EHLO x", "250 ")
		for _, sender := range []string{"<>", "<spam@elsewhere.test>", "<sara@example.com>"} {
			for _, to := range relayForms {
				c.send("RSET\r\nMAIL FROM:" + sender + "\r\nRCPT TO:<" + to + ">\r\nDATA\r\n")
				c.want("250 ")
				c.want("250 ")
				answer := c.want("")
				if ready := c.want(""); strings.HasPrefix(ready, "354 ") {
					c.send("Subject: x\r\n\r\nx\r\n.\r\n") // the catch-all took it: it stays here
					c.want("250 ")
				} else if !strings.HasPrefix(answer, "550 ") && !strings.HasPrefix(answer, "501 ") && !strings.HasPrefix(answer, "553 ") {
					t.Errorf("from %s to %s: %s", sender, to, answer)
				}
			}
		}
		if all := w.queued(); len(all) != 0 {
			t.Errorf("relayed: %q", all)
		}
	})
}

func TestTheWayOfForwards(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		w := wholeMX(t, config)
		c := w.dial()
		c.ask("EHLO there.test", "250 ")
		for to, want := range map[string]string{"self": "554 5.4.6 ", "ping": "554 5.4.6 ", "pong": "554 5.4.6 "} {
			c.ask("MAIL FROM:<a@b.test>", "250 ")
			c.ask("RCPT TO:<"+to+"@example.com>", want)
			c.ask("RSET", "250 ")
		}
		if got := c.mail("Bob@b.test", "info@example.com", plain); !strings.HasPrefix(got, "250 ") {
			t.Fatal(got)
		}
		all := w.queued()
		if len(all) != 1 || !strings.HasPrefix(all[0], "SRS0=") || !strings.HasSuffix(all[0], "=b.test=Bob@example.com > info@out.test") || w.messages(omid) != 1 {
			t.Fatalf("%q", all)
		}
		// What out.test sends back to us by a forward of its own ends the loop here.
		var prefix []byte
		if err := w.DB.SQL().QueryRow("SELECT prefix FROM queue").Scan(&prefix); err != nil {
			t.Fatal(err)
		}
		if got := c.mail("SRS0=x=y=b.test=Bob@out.test", "info@example.com", string(prefix)+"Delivered-To: info@out.test\r\n"+plain); !strings.HasPrefix(got, "554 5.4.6 ") {
			t.Error(got)
		}
		if w.messages(omid) != 1 || len(w.queued()) != 1 {
			t.Error("the loop goes on")
		}
		// A bounce of the forwarded message goes on to its sender, anything else does not.
		back, _, _ := strings.Cut(all[0], " > ")
		c.ask("MAIL FROM:<eve@b.test>", "250 ")
		c.ask("RCPT TO:<"+back+">", "550 5.7.1 ")
		c.ask("RSET", "250 ")
		w.exec("DELETE FROM queue_recipients")
		if got := c.mail("", strings.ToUpper(back), plain); !strings.HasPrefix(got, "250 ") {
			t.Error(got)
		}
		if all := w.queued(); len(all) != 1 || !strings.EqualFold(all[0], " > bob@b.test") {
			t.Errorf("%q", all)
		}
		c.ask("MAIL FROM:<>", "250 ")
		c.ask("RCPT TO:<SRS0=aaaaaaaa=aa=b.test=victim@example.com>", "550 5.1.1 ") // and not the catch-all
	})
}

// What is smuggled behind a forged end of data reaches neither a mailbox nor another server, with
// aliases that lead there.
func TestNothingIsSmuggledThroughAliases(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		w := wholeMX(t, config)
		for _, end := range ends() {
			c := w.dial()
			c.ask("EHLO x", "250 ")
			c.ask("MAIL FROM:<a@b.test>", "250 ")
			c.ask("RCPT TO:<info@example.com>", "250 ")
			c.ask("RCPT TO:<team@example.com>", "250 ")
			c.ask("DATA", "354 ")
			c.send("Subject: x\r\n\r\nbody" + end + "MAIL FROM:<admin@example.com>\r\nRCPT TO:<info@example.com>\r\nDATA\r\nsmuggled\r\n.\r\n")
			c.want("554 5.6.0 ")
			c.gone()
		}
		if all := w.queued(); len(all) != 0 || w.messages(sara)+w.messages(omid) != 0 {
			t.Errorf("%q", all)
		}
	})
}
