package delivery

import (
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
)

func TestMailGoesHereAndElsewhereAtOnce(t *testing.T) {
	eachWorld(t, models.SendingLimits{MailboxHour: 100}, func(t *testing.T, w *world) {
		away := w.mailbox("away")
		w.exec("UPDATE mailboxes SET forward_only = 1 WHERE id = ?", away)
		w.targets(away, "!me@gmail.test")
		w.alias("info", models.AliasPlain, "omid@example.com", "!info@out.test", "away@example.com")
		w.alias("team", models.AliasGroup, "sara@example.com", "!member@out.test")

		w.ok(w.send("sara@example.com", text, "omid@example.com", "x@out.test", "Y@out.test", "info@example.com", "team@example.com", "omid+x@example.com"))
		want := []string{
			"forward <postmaster@example.com> member@out.test", "forward <sara@example.com> info@out.test", "forward <sara@example.com> me@gmail.test",
			"submitted <sara@example.com> Y@out.test x@out.test",
		}
		if got := w.queued(); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if a, b, c := w.holds("omid", "INBOX"), w.holds("sara", "INBOX"), w.holds("away", "INBOX"); a != 1 || b != 1 || c != 0 {
			t.Error(a, b, c)
		}
		if n := w.count("SELECT refs FROM blobs"); n != 2+4 {
			t.Errorf("%d references", n)
		}
		if n := w.count("SELECT recipients FROM limits_used WHERE period = 'hour' AND subject_id = ?", w.account("sara").ID); n != 5 {
			t.Errorf("%d counted", n)
		}
		w.exact()
		items := w.items()
		for _, it := range items {
			prefix := string(it.Prefix)
			if !strings.HasPrefix(prefix, "DKIM-Signature: d=example.com;") || it.Size != int64(len(text)+len(prefix)) || it.MessageID != "1@b.test" || it.BlobID != it.EnvelopeID || it.CustomerID != w.domain.CustomerID {
				t.Errorf("%+v %q", it, prefix)
			}
			if via := it.Kind == models.QueueForward; via != strings.Contains(prefix, "\r\nDelivered-To: ") {
				t.Errorf("%q", prefix)
			}
		}

		// From another server the same addresses, forwarded in a name of ours, not signed.
		w.exec("DELETE FROM queue_recipients")
		w.exec("DELETE FROM queue")
		w.ok(w.send("Bob@there.test", text, "info@example.com", "away@example.com", "team@example.com"))
		all := w.queued()
		if len(all) != 3 || all[2] != "forward <postmaster@example.com> member@out.test" || !strings.HasPrefix(all[1], "forward <SRS0=") || !strings.Contains(all[1], "=there.test=Bob@example.com> ") {
			t.Errorf("%q", all)
		}
		for _, it := range w.items() {
			if !strings.HasPrefix(string(it.Prefix), "Delivered-To: ") {
				t.Errorf("%q", it.Prefix)
			}
		}
		// A bounce goes on with <>, and is not rewritten.
		w.ok(w.send("", text, "away@example.com"))
		if got := w.queued(); !slices.Contains(got, "forward <> me@gmail.test") {
			t.Errorf("%q", got)
		}
	})
}

// Who wrote to an alias hears of that alias: without ORCPT its address is kept for the report. A
// group's postmaster has to hear which member failed.
func TestReportsNameWhatWasWrittenTo(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.targets(w.mailbox("away"), "!me@gmail.test")
		w.alias("info", models.AliasPlain, "!info@out.test")
		w.alias("team", models.AliasGroup, "!member@out.test")
		send := func(from, orcpt string, to ...string) {
			t.Helper()
			e := Envelope{ID: w.store.NewID(), Sender: parse(t, from), Account: w.account("sara")}
			for _, a := range to {
				r, err := w.Route(w.ctx, parse(t, a), Asked{Account: e.Account})
				w.ok(err)
				e.Recipients = append(e.Recipients, Recipient{Route: r, Original: orcpt})
			}
			w.ok(w.Accept(w.ctx, e, strings.NewReader(text)))
		}
		expect := func(want map[string]string) {
			t.Helper()
			for to, original := range want {
				if n := w.count("SELECT COUNT(*) FROM queue_recipients WHERE address = ? AND original = ?", to, original); n != 1 {
					t.Errorf("%s: %d with %q", to, n, original)
				}
			}
			w.exec("DELETE FROM queue_recipients")
		}
		all := []string{"away+tag@example.com", "info@example.com", "team@example.com", "x@out.test"}
		send("sara@example.com", "", all...)
		expect(map[string]string{"me@gmail.test": "rfc822;away+tag@example.com", "info@out.test": "rfc822;info@example.com", "member@out.test": "", "x@out.test": ""})
		send("sara@example.com", "rfc822;first@y.test", all...)
		expect(map[string]string{"me@gmail.test": "rfc822;first@y.test", "info@out.test": "rfc822;first@y.test", "member@out.test": "", "x@out.test": "rfc822;first@y.test"})
	})
}

// items reads the messages of the queue.
func (w *world) items() (all []models.QueueItem) {
	w.t.Helper()
	rows, err := w.DB.SQL().QueryContext(w.ctx, "SELECT id, blob_id, envelope_id, kind, sender, mailbox_id, customer_id, prefix, size, message_id, held, envid, ret FROM queue ORDER BY id")
	w.ok(err)
	defer rows.Close()
	for rows.Next() {
		var it models.QueueItem
		w.ok(rows.Scan(&it.ID, &it.BlobID, &it.EnvelopeID, &it.Kind, &it.Sender, &it.MailboxID, &it.CustomerID, &it.Prefix, &it.Size, &it.MessageID, &it.Held, &it.EnvID, &it.Ret))
		all = append(all, it)
	}
	w.ok(rows.Err())
	return all
}

func TestSuspectMailStays(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		away := w.mailbox("away")
		w.exec("UPDATE mailboxes SET forward_only = 1 WHERE id = ?", away)
		w.targets(away, "!me@gmail.test")
		w.alias("out", models.AliasPlain, "!x@out.test")
		w.ok(w.send("bob@there.test", "junk:"+text, "away@example.com", "sara@example.com"))
		// An alias that leads outside alone would get nothing: then nobody gets it, and the sender hears.
		for _, to := range [][]string{{"out@example.com"}, {"sara@example.com", "out@example.com"}, {"out@example.com", "away@example.com"}} {
			if err := w.send("bob@there.test", "junk:"+text, to...); keyOf(err) != "forward.suspect" || !models.Is(err, models.Denied) {
				t.Error(to, err)
			}
		}
		if got := w.queued(); len(got) != 0 {
			t.Errorf("%q", got)
		}
		if a, b, c := w.holds("away", "Junk"), w.holds("sara", "Junk"), w.holds("away", "INBOX"); a != 1 || b != 1 || c != 0 {
			t.Error(a, b, c)
		}
		var kinds []string
		for _, e := range w.trail.all {
			kinds = append(kinds, string(e.Kind)+" "+e.Words+" "+e.Folder)
		}
		want := []string{
			"accepted accepted ", "delivered delivered Junk", "delivered delivered Junk", "refused forward.suspect ",
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("%q", kinds)
		}
		// Of two domains each has it done its own way.
		e := Envelope{ID: w.store.NewID(), Sender: addressOf("bob@there.test")}
		for to, junk := range map[string]bool{"sara@example.com": true, "out@example.com": false} {
			r, err := w.Route(w.ctx, addressOf(to), Asked{Sender: e.Sender})
			w.ok(err)
			e.Recipients = append(e.Recipients, Recipient{Route: r, Junk: junk})
		}
		w.ok(w.Accept(w.ctx, e, strings.NewReader(text)))
		if got := w.queued(); len(got) != 1 || !strings.HasSuffix(got[0], "x@out.test") || w.holds("sara", "Junk") != 2 {
			t.Errorf("%q", got)
		}
	})
}

func TestWhatCannotGo(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.exec("INSERT INTO suppressions (mailbox_id, address, customer_id, detail, at) VALUES (?, 'dead@out.test', 1, '', 1)", w.account("sara").ID)
		off := w.mailbox("off")
		w.exec("UPDATE mailboxes SET receive_off = 1 WHERE id = ?", off)
		full := w.mailbox("full")
		w.exec("UPDATE mailboxes SET quota_messages = 1 WHERE id = ?", full)
		w.ok(w.send("bob@there.test", text, "full@example.com"))
		ahead := w.mailbox("ahead")
		w.exec("UPDATE mailboxes SET forward_only = 1 WHERE id = ?", ahead)
		w.targets(ahead, "full@example.com")
		w.alias("mixed", models.AliasPlain, "sara@example.com", "off@example.com")
		w.alias("later", models.AliasPlain, "sara@example.com", "full@example.com")
		w.alias("none", models.AliasPlain, "off@example.com")
		w.alias("group", models.AliasGroup, "full@example.com", "off@example.com", "sara@example.com")
		for _, c := range []struct{ from, to, key string }{
			{"bob@there.test", "x@out.test", "recipient.relay"},
			{"", "x@out.test", "recipient.relay"},
			{"sara@example.com", "dead@out.test", "recipient.suppressed"},
			{"sara@example.com", "Dead@out.test", "recipient.suppressed"},
			{"omid@example.com", "dead@out.test", "<nil>"},
			{"bob@there.test", "off@example.com", "recipient.off"},
			{"bob@there.test", "none@example.com", "recipient.off"},
			{"bob@there.test", "mixed@example.com", "<nil>"},
			{"bob@there.test", "full@example.com", "mailbox.full"},
			{"bob@there.test", "later@example.com", "mailbox.full"},
			{"bob@there.test", "group@example.com", "<nil>"},
			{"bob@there.test", "ahead@example.com", "<nil>"}, // kept, as it could not go on
			{"", "SRS0=aaaaaaaa=aa=out.test=x@example.com", "srs.unknown"},
			{"", "SRS0=aaaaaaaa=aa=out.test=x@out.test", "recipient.relay"},
			{"sara@example.com", "SRS0=aaaaaaaa=aa=out.test=x@out.test", "<nil>"},
		} {
			err := w.send(c.from, text, c.to)
			if keyOf(err) != c.key {
				t.Errorf("%s to %s: %v, want %s", c.from, c.to, err, c.key)
			}
			if err != nil && strings.Contains(err.Error(), "full@") && c.to != "full@example.com" {
				t.Errorf("%s: %v", c.to, err)
			}
		}
		if w.holds("ahead", "INBOX") != 1 {
			t.Error("lost")
		}
		unproven := w.account("sara")
		unproven.Unproven = true
		for to, key := range map[string]string{"omid@example.com": "<nil>", "x@out.test": "sender.unproven"} {
			if _, err := w.Route(w.ctx, parse(t, to), Asked{Account: unproven}); keyOf(err) != key {
				t.Errorf("%s: %v", to, err)
			}
		}
		closed := New(Config{Resolver: w.store, Records: w.store, Mailboxes: w.Store})
		w.alias("out", models.AliasPlain, "!x@out.test")
		for _, to := range []string{"x@out.test", "out@example.com"} {
			if _, err := closed.Route(w.ctx, parse(t, to), Asked{Account: w.account("sara")}); keyOf(err) != "recipient.outbound" {
				t.Errorf("%s: %v", to, err)
			}
		}
	})
}

// A bounce to an address that stands for a sender goes on to him, nothing else does.
func TestBouncesFindTheirWayBack(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.alias("out", models.AliasPlain, "!x@out.test")
		w.ok(w.send("Bob.With.A.Very.Long.Name+tag=of-some-mailing.list=here@there.test", text, "out@example.com"))
		sender := w.items()[0].Sender
		if len(sender) < 65 {
			t.Fatal(sender)
		}
		w.exec("DELETE FROM queue_recipients")
		for _, from := range []string{"eve@there.test", ""} {
			r, err := w.Route(w.ctx, addressOf(sender), Asked{Sender: addressOf(from)})
			switch {
			case from != "":
				if keyOf(err) != "srs.bounces_only" {
					t.Error(r, err)
				}
			case err != nil || len(r.Remote) != 1 || r.Remote[0].Kind != models.RemoteReturn || r.Remote[0].Address != "Bob.With.A.Very.Long.Name+tag=of-some-mailing.list=here@there.test":
				t.Errorf("%+v %v", r, err)
			default:
				w.ok(w.Accept(w.ctx, Envelope{Recipients: []Recipient{{Route: r}}}, strings.NewReader(text)))
			}
		}
		if got := w.queued(); len(got) != 1 || !strings.HasPrefix(got[0], "forward <> Bob.") {
			t.Errorf("%q", got)
		}
	})
}
