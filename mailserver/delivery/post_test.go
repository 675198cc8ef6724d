package delivery

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

func TestLetters(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.exec("UPDATE mailboxes SET quota_messages = 1 WHERE id = ?", w.account("sara").ID)
		ran := 0
		letter := Letter{Kind: models.QueueBounce, Body: []byte("From: <postmaster@example.com>\r\nSubject: x\r\n\r\nbody\r\n"), MailboxID: 5, CustomerID: 6, EnvelopeID: 7, Language: "fa",
			Also: func(ctx context.Context, tx *db.Tx) error {
				if tx != db.TxOf(ctx) {
					t.Error("another transaction")
				}
				ran++
				return nil
			}}
		for _, to := range []string{"sara@example.com", "sara@example.com", "x@out.test"} {
			letter.To = to
			w.ok(w.Post(w.ctx, letter))
		}
		if ran != 3 || w.holds("sara", "INBOX") != 2 { // its quota does not matter
			t.Error(ran, w.holds("sara", "INBOX"))
		}
		items := w.items()
		if len(items) != 1 || items[0].Kind != models.QueueBounce || items[0].Sender != "" || items[0].MailboxID != 5 || items[0].CustomerID != 6 || items[0].EnvelopeID != 7 ||
			!strings.HasPrefix(string(items[0].Prefix), "DKIM-Signature: d=example.com") {
			t.Errorf("%+v", items)
		}
		// What fails leaves nothing behind, here and elsewhere.
		letter.Also = func(context.Context, *db.Tx) error { return errors.New("no") }
		for _, to := range []string{"omid@example.com", "y@out.test"} {
			letter.To = to
			if err := w.Post(w.ctx, letter); !models.KindOf(err).Temporary() {
				t.Error(err)
			}
		}
		if w.holds("omid", "INBOX") != 0 || len(w.items()) != 1 {
			t.Error("a letter without its rows")
		}
		letter.Also = nil
		for to, temporary := range map[string]bool{"nobody@example.com": false, "": false, "x@": false} {
			letter.To = to
			if err := w.Post(w.ctx, letter); err == nil || models.KindOf(err).Temporary() != temporary {
				t.Errorf("%q: %v", to, err)
			}
		}
		w.exact()
	})
}

const question = "From: Bob <bob@there.test>\r\nTo: sara@example.com\r\nMessage-ID: <q@there.test>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\nbody\r\n"

func (w *world) autoReply(local string, set string) {
	w.t.Helper()
	id := w.account(local).ID
	w.exec("INSERT INTO auto_replies (mailbox_id, enabled, body, outside, updated_at) VALUES (?, 1, ?, '', 1)", id, "من نیستم.\nSara")
	if set != "" {
		w.exec("UPDATE auto_replies SET "+set+" WHERE mailbox_id = ?", id)
	}
}

func TestAutoReplies(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.autoReply("sara", "")
		w.alias("info", models.AliasPlain, "sara@example.com")
		w.alias("team", models.AliasGroup, "sara@example.com")
		send := func(from, text string, to ...string) int64 {
			t.Helper()
			before := w.count("SELECT COUNT(*) FROM queue_recipients")
			w.ok(w.send(from, text, to...))
			w.later()
			return w.count("SELECT COUNT(*) FROM queue_recipients") - before
		}
		if n := send("Bob@there.test", question, "sara@example.com"); n != 1 {
			t.Fatal(n)
		}
		it := w.items()[0]
		if it.Sender != "" || it.Kind != models.QueueNotice || it.MailboxID != w.account("sara").ID {
			t.Errorf("%+v", it)
		}
		w.isReply(it)
		if send("bob@there.test", question, "sara@example.com") != 0 {
			t.Error("answered twice")
		}
		w.pass(7*24*time.Hour - time.Minute)
		if send("bob@there.test", question, "sara@example.com") != 0 {
			t.Error("answered twice in seven days")
		}
		w.pass(2 * time.Minute)
		if send("bob@there.test", question, "sara@example.com") != 1 {
			t.Error("not answered after seven days")
		}
		for name, c := range map[string]struct {
			from, text string
			to         string
			want       int64
		}{
			"null sender":       {"", question, "sara@example.com", 0},
			"not named":         {"a1@there.test", strings.Replace(question, "sara@", "list@", 1), "sara@example.com", 0},
			"named in Cc":       {"a2@there.test", strings.Replace(question, "To: ", "Cc: x@y.test, Sara <SARA+x@Example.com>, ", 1), "sara@example.com", 1},
			"by an alias":       {"a3@there.test", strings.Replace(question, "sara@", "info@", 1), "info@example.com", 1},
			"by a group":        {"a4@there.test", strings.Replace(question, "sara@", "team@", 1), "team@example.com", 0},
			"junk":              {"a5@there.test", "junk:" + question, "sara@example.com", 0},
			"forged":            {"a6@there.test", "forged:" + question, "sara@example.com", 0},
			"auto-generated":    {"a7@there.test", "Auto-Submitted: auto-generated\r\n" + question, "sara@example.com", 0},
			"auto-replied":      {"a8@there.test", "auto-submitted: auto-replied (x)\r\n" + question, "sara@example.com", 0},
			"not automatic":     {"a9@there.test", "Auto-Submitted: no\r\n" + question, "sara@example.com", 1},
			"list":              {"b1@there.test", "List-Id: <x.y.test>\r\n" + question, "sara@example.com", 0},
			"newsletter":        {"b2@there.test", "List-Unsubscribe: <http://x.test>\r\n" + question, "sara@example.com", 0},
			"bulk":              {"b3@there.test", "Precedence: Bulk\r\n" + question, "sara@example.com", 0},
			"suppressed":        {"b4@there.test", "X-Auto-Response-Suppress: DR, OOF, AutoReply\r\n" + question, "sara@example.com", 0},
			"report":            {"b5@there.test", "Content-Type: multipart/report; boundary=x\r\n" + question, "sara@example.com", 0},
			"no-reply":          {"no-reply@there.test", question, "sara@example.com", 0},
			"donotreply":        {"DoNotReply+1@there.test", question, "sara@example.com", 0},
			"daemon":            {"MAILER-DAEMON@there.test", question, "sara@example.com", 0},
			"list owner":        {"owner-x@there.test", question, "sara@example.com", 0},
			"list bounces":      {"x-bounces+sara=example.com@there.test", question, "sara@example.com", 0},
			"list request":      {"x-request@there.test", question, "sara@example.com", 0},
			"somebody else":     {"b6@there.test", question, "sara@example.com", 1},
			"no auto-reply":     {"b7@there.test", strings.Replace(question, "sara@", "omid@", 1), "omid@example.com", 0},
			"a header of blobs": {"b8@there.test", "To: " + strings.Repeat("a@b.test, ", 500) + "sara@example.com\r\nFrom: x@y.test\r\n\r\n", "sara@example.com", 1},
		} {
			if n := send(c.from, c.text, c.to); n != c.want {
				t.Errorf("%s: %d answers", name, n)
			}
		}
		// Two away from their desks do not answer each other.
		w.autoReply("omid", "")
		w.ok(w.send("omid@example.com", strings.Replace(question, "bob@there.test", "omid@example.com", 1), "sara@example.com"))
		w.later()
		w.later()
		if a, b := w.holds("omid", "INBOX"), w.holds("sara", "INBOX"); a != 2 || b == 0 {
			t.Error(a, b)
		}
		for set, want := range map[string]int64{"enabled = 0": 0, "enabled = 1, starts_at = 1": 1, "starts_at = 9000000000000000": 0, "starts_at = 0, ends_at = 1000": 0} {
			w.exec("UPDATE auto_replies SET " + set)
			if n := send(strings.ReplaceAll(set, " ", "")+"@there.test", question, "sara@example.com"); n != want {
				t.Errorf("%s: %d answers", set, n)
			}
			w.exec("UPDATE auto_replies SET enabled = 1, starts_at = 0, ends_at = 0")
		}
	})
}

// Who writes from a domain of the same customer gets the one text, everybody else the other.
func TestAutoRepliesToPeopleOutside(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		example := w.domain
		w.another("neighbour.test")
		w.mailbox("bob")
		w.domain = example
		for name, state := range map[string]models.DomainState{"second.test": models.DomainActive, "claimed.test": models.DomainPending} {
			d := &models.Domain{ID: w.store.NewID(), CustomerID: example.CustomerID, Name: name, State: state, DMARCObey: models.DMARCObeyAll}
			if state == models.DomainActive {
				d.ActiveName = &d.Name
			}
			w.ok(w.store.InsertDomain(w.ctx, d))
		}
		w.autoReply("sara", "body = 'call my room', outside = 'call the office'")
		ask := func(from string) string {
			t.Helper()
			w.ok(w.send(from, question, "sara@example.com"))
			w.later()
			var b models.ID
			w.ok(w.DB.SQL().QueryRowContext(w.ctx, "SELECT MAX(id) FROM blobs").Scan(&b))
			r, err := w.Blobs.Open(w.ctx, b)
			w.ok(err)
			defer r.Close()
			all, err := io.ReadAll(r)
			w.ok(err)
			_, body, _ := strings.Cut(string(all), "\r\n\r\n")
			text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(body))
			w.ok(err)
			return strings.TrimSpace(string(text))
		}
		for _, c := range [][2]string{
			{"omid@example.com", "call my room"}, {"bob@neighbour.test", "call the office"}, {"x@sub.example.com", "call the office"},
			{"y@claimed.test", "call the office"}, {"eve@there.test", "call the office"},
		} {
			if got := ask(c[0]); got != c[1] {
				t.Errorf("%s got %q", c[0], got)
			}
		}
		w.exec("UPDATE auto_replies SET outside = ''")
		if got := ask("fay@there.test"); got != "call my room" {
			t.Errorf("everybody gets %q", got)
		}
	})
}

// A reply that could not be stored is not counted as sent: the sender gets it for his next message.
func TestAnAutoReplyIsNotedWithItsLetter(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.autoReply("sara", "")
		good := w.config.Queue
		w.config.Queue = brokenQueue{good}
		w.ok(w.send("bob@there.test", question, "sara@example.com"))
		w.later()
		w.config.Queue = good
		if n := w.count("SELECT COUNT(*) FROM auto_replied"); n != 0 || len(w.items()) != 0 {
			t.Errorf("%d noted, %d queued", n, len(w.items()))
		}
		w.ok(w.send("bob@there.test", question, "sara@example.com"))
		w.later()
		if n := w.count("SELECT COUNT(*) FROM auto_replied"); n != 1 || len(w.items()) != 1 {
			t.Errorf("%d noted, %d queued", n, len(w.items()))
		}
		w.exact()
	})
}

// brokenQueue takes nothing.
type brokenQueue struct{ Queue }

func (brokenQueue) Insert(context.Context, *db.Tx, *models.QueueItem, []models.QueueRecipient) error {
	return errors.New("the database is away")
}

// An auto-reply goes by the smarthost of its mailbox's domain, and waits while that is held.
func TestAnAutoReplyBelongsToItsMailbox(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.autoReply("sara", "")
		w.ok(w.send("bob@there.test", question, "sara@example.com"))
		w.later()
		if n := w.count("SELECT COUNT(*) FROM queue WHERE kind = 'notice' AND domain_id = ? AND held = 0", w.domain.ID); n != 1 {
			t.Error("not the domain's")
		}
		if held, err := w.store.HoldSending(w.ctx, w.account("sara").ID, "x"); !held || err != nil {
			t.Fatal(held, err)
		}
		w.ok(w.send("eve@there.test", question, "sara@example.com"))
		w.later()
		last := w.trail.all[len(w.trail.all)-2]
		if n := w.count("SELECT COUNT(*) FROM queue_recipients WHERE address = 'eve@there.test' AND held = 1"); n != 1 || last.Kind != models.EventHeld {
			t.Errorf("not held: %+v", last)
		}
		// What the mailbox forwards was sent by others, and goes on; so do reports.
		w.targets(w.account("sara").ID, "!me@gmail.test")
		w.ok(w.send("dan@there.test", text, "sara@example.com"))
		w.ok(w.Post(w.ctx, Letter{Kind: models.QueueBounce, To: "fay@out.test", Body: []byte("From: <x@y.test>\r\n\r\n"), MailboxID: w.account("sara").ID}))
		for to, kind := range map[string]models.QueueKind{"me@gmail.test": models.QueueForward, "fay@out.test": models.QueueBounce} {
			if n := w.count("SELECT COUNT(*) FROM queue q JOIN queue_recipients r ON r.queue_id = q.id WHERE q.kind = ? AND r.address = ? AND r.held = 0 AND q.held = 0 AND q.domain_id = ?", string(kind), to, w.domain.ID); n != 1 {
				t.Errorf("%s is held, or not the domain's", kind)
			}
		}
	})
}

// isReply checks an answer as it lies in the queue.
func (w *world) isReply(it models.QueueItem) {
	w.t.Helper()
	r, err := w.Blobs.Open(w.ctx, it.BlobID)
	w.ok(err)
	defer r.Close()
	b := make([]byte, 4096)
	n, _ := r.Read(b)
	got := string(b[:n])
	for _, want := range []string{
		"\r\nFrom: <sara@example.com>\r\nTo: <Bob@there.test>\r\nSubject: =?utf-8?b?UmU6IGNhZsOp?=\r\n", "\r\nIn-Reply-To: <q@there.test>\r\nReferences: <q@there.test>\r\nAuto-Submitted: auto-replied\r\n",
		"\r\n\r\n2YXZhiDZhtuM2LPYqtmFLg0KU2FyYQ0K\r\n",
	} {
		if !strings.Contains(got, want) {
			w.t.Errorf("%q is not in %q", want, got)
		}
	}
	if w.count("SELECT answered FROM auto_replies") != 1 {
		w.t.Error("not counted")
	}
	i := slices.IndexFunc(w.trail.all, func(e models.Event) bool { return e.Kind == models.EventReplied })
	if i < 0 || w.trail.all[i].Recipient != "Bob@there.test" || w.trail.all[i].EnvelopeID == 0 {
		w.t.Errorf("%+v", w.trail.all)
	}
}

// A report about forwarded mail goes to whom the message was from.
func TestReportsOfForwardsGoToTheSender(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.alias("out", models.AliasPlain, "!x@out.test")
		w.ok(w.send("A.Sender.With.A.Long.Name+and-a-long-tag-that-makes-it-so@there.test", text, "out@example.com"))
		letter := Letter{Kind: models.QueueBounce, To: w.items()[0].Sender, Body: []byte("From: <x@y.test>\r\n\r\n")}
		w.ok(w.Post(w.ctx, letter))
		if got := w.queued(); len(got) != 2 || got[0] != "bounce <> A.Sender.With.A.Long.Name+and-a-long-tag-that-makes-it-so@there.test" {
			t.Errorf("%q", got)
		}
	})
}

func TestReportsOfDeliveries(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.alias("many", models.AliasPlain, "omid@example.com", "!x@out.test")
		w.alias("one", models.AliasPlain, "!y@out.test")
		var got []*Delivered
		w.config.Report = func(d *Delivered) [][]byte {
			got = append(got, d)
			return [][]byte{[]byte("From: <mailer-daemon@mail.example.net>\r\n\r\nreport\r\n")}
		}
		w.ok(w.send("sara@example.com", text, "omid@example.com SUCCESS,FAILURE", "many@example.com SUCCESS,FAILURE", "one@example.com SUCCESS", "z@out.test SUCCESS"))
		w.later()
		if len(got) != 1 || len(got[0].Recipients) != 1 || got[0].Recipients[0].Address != "omid@example.com" || len(got[0].Expanded) != 1 || got[0].Expanded[0].Address != "many@example.com" ||
			got[0].Language != "fa" || got[0].MessageID != "1@b.test" || !strings.HasPrefix(string(got[0].Header), "From: ") || strings.Contains(string(got[0].Header), "body") {
			t.Fatalf("%+v", got)
		}
		if w.holds("sara", "INBOX") != 1 {
			t.Error("no report")
		}
		w.ok(w.store.InsertEvents(w.ctx, w.trail.all))
		told := w.told(models.OfMailbox(w.account("sara").ID), models.TraceQuery{})
		if len(told) != 1 || !slices.Contains(told[0], "returned omid@example.com") || !slices.Contains(told[0], "returned many@example.com") || !slices.Contains(told[0], "delivered sara@example.com") {
			t.Errorf("%q", told)
		}
		notify := map[string]string{}
		rows, err := w.DB.SQL().QueryContext(w.ctx, "SELECT address, notify FROM queue_recipients")
		w.ok(err)
		defer rows.Close()
		for rows.Next() {
			var a, n string
			w.ok(rows.Scan(&a, &n))
			notify[a] = n
		}
		if notify["x@out.test"] != "FAILURE" || notify["y@out.test"] != "SUCCESS" || notify["z@out.test"] != "SUCCESS" {
			t.Errorf("%v", notify)
		}
		// Nobody hears of a delivery only because somebody else has used his address.
		w.ok(w.send("bob@there.test", text, "omid@example.com SUCCESS"))
		w.ok(w.send("sara@example.com", text, "omid@example.com"))
		// Nor does who has the address, if all that the sender has is a claim of its domain.
		a := w.account("sara")
		a.Unproven = true
		r, err := w.Route(w.ctx, addressOf("omid@example.com"), Asked{Account: a})
		w.ok(err)
		e := Envelope{ID: w.store.NewID(), Sender: addressOf("sara@example.com"), Account: a, Recipients: []Recipient{{Route: r, Notify: "SUCCESS"}}}
		w.ok(w.Accept(w.ctx, e, strings.NewReader(text)))
		w.later()
		if len(got) != 1 {
			t.Error("reported")
		}
	})
}
