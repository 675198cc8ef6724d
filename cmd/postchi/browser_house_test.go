package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/dkim"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/panel/service"
)

// house fills a server with something of every kind and state that pages show, in English and
// in Persian. It writes as a command beside the server does.
type house struct {
	t        testing.TB
	in       *instance
	b        *base
	example  models.ID // customer whose user is owner
	ceased   models.ID // customer that is suspended
	ownerID  models.ID
	strange  models.ID // customer with limits that are reached
	item     models.ID // a message that waits
	message  models.ID // one of which every step is known
	password string    // of every user and mailbox
}

const (
	houseOwner   = "reza@company.example" // of the customer Example
	houseLimited = "zahra@limited.example"
	longAddress  = "a-very-long-mailbox-name-that-somebody-really-wants@example.com"
)

// beside opens the database of an instance with the rules over it, as commands do.
func (in *instance) beside(t testing.TB, url string) *base {
	t.Helper()
	c := defaults()
	c.dev()
	c.DataDir, c.Database.URL = in.dir, url
	b, err := openBase(context.Background(), c, slog.New(slog.DiscardHandler), "command")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.close() })
	b.keys = dkim.NewKeeper(dkim.KeeperConfig{Records: b.store, Box: b.secrets, Bits: 1024}) // so many domains are made
	if err := b.openService(nil); err != nil {
		t.Fatal(err)
	}
	return b
}

func newHouse(t testing.TB, in *instance, url string) *house {
	t.Helper()
	h := &house{t: t, in: in, b: in.beside(t, url), password: testPassword}
	h.customers()
	h.mailboxes()
	h.routing()
	h.logins()
	h.mail()
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) customers() {
	h.t.Helper()
	ctx, me := context.Background(), service.Console()
	add := func(name, external string, limits models.CustomerLimits, user string, domains ...string) models.ID {
		h.t.Helper()
		n := service.NewCustomer{Name: name, ExternalID: external, Limits: limits}
		if user != "" {
			n.User = &service.NewUser{Email: user, Name: "Reza Karimi", Password: h.password}
		}
		c, err := h.b.service.AddCustomer(ctx, me, n)
		h.must(err)
		for _, d := range domains {
			_, err := h.b.service.AddDomain(ctx, me, service.NewDomain{Name: d, CustomerID: c.ID})
			h.must(err)
		}
		return c.ID
	}
	h.example = add("Example", "whmcs-4711", models.CustomerLimits{Domains: 5, Mailboxes: 50, Storage: 80 << 30}, houseOwner, "example.com", "example.net", "münchen.example")
	h.ceased = add("شرکت نمونهٔ پیشرو", "", models.CustomerLimits{}, "", "nemooneh.ir")
	h.strange = add("Limited", "", models.CustomerLimits{Domains: 1, Mailboxes: 1}, houseLimited, "limited.example")
	u, err := h.b.service.UserByEmail(ctx, me, houseOwner)
	h.must(err)
	h.ownerID = u.ID
	h.must(h.b.service.SuspendCustomer(ctx, me, h.ceased, "صورت\u200cحساب مهر پرداخت نشده است", true))
}

// mailbox is one of the house with the share of its quota that is used.
func (h *house) mailbox(local, domain, name string, percent int64) {
	h.t.Helper()
	ctx := context.Background()
	quota := int64(2 << 30)
	m, err := h.b.service.AddMailbox(ctx, service.Console(), service.NewMailbox{Local: local, Domain: domain, Name: name, Password: h.password, QuotaBytes: &quota})
	h.must(err)
	h.must(h.b.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE mailbox_state SET bytes = ?, messages = ? WHERE mailbox_id = ?", quota/100*percent, percent*37, m.ID)
		return err
	}))
}

func (h *house) mailboxes() {
	h.t.Helper()
	ctx, me := context.Background(), service.Console()
	h.mailbox("sara", "example.com", "سارا احمدی", 12)
	h.mailbox("omid", "example.com", "Omid", 84)
	h.mailbox("a-very-long-mailbox-name-that-somebody-really-wants", "example.com", "The long one, of the people who know no short names", 97)
	h.mailbox("parisa", "example.com", "Parisa Karimi", 101)
	h.mailbox("bahram", "example.com", "", 3)
	h.mailbox("support", "example.com", "Support team", 45)
	h.mailbox("info", "nemooneh.ir", "دفتر", 20)
	h.mailbox("zahra", "limited.example", "", 1)
	h.must(h.b.service.SetMailboxSwitches(ctx, me, "omid@example.com", service.Switches{SendOff: true, Reason: "Too many bounces since Monday"}))
	h.must(h.b.service.SetMailboxSwitches(ctx, me, "support@example.com", service.Switches{LoginOff: true, SendOff: true, ReceiveOff: true, Reason: "این صندوق تا پایان ماه بسته است"}))
	h.must(h.b.service.DeleteMailbox(ctx, me, "bahram@example.com"))
}

// logins are good, wrong and blocked ones of Sara.
func (h *house) logins() {
	h.t.Helper()
	ctx := context.Background()
	row, err := h.b.service.Mailbox(ctx, service.Console(), "sara@example.com")
	h.must(err)
	now := time.Now()
	login := func(age time.Duration, protocol models.Protocol, network, reason, client string, count int64) models.Login {
		at := models.At(now.Add(-age))
		return models.Login{ID: h.b.store.NewID(), MailboxID: row.ID, Name: row.Address, Protocol: protocol, Network: network, OK: reason == "",
			Reason: reason, FirstAt: at, LastAt: at, Hour: models.At(now.Add(-age).Truncate(time.Hour)), Count: count, Client: client}
	}
	h.must(h.b.store.RecordLogins(ctx, []models.Login{
		login(5*time.Minute, models.ProtoPOP3, "203.0.113.7", "", "Thunderbird", 3),
		login(2*time.Hour, models.ProtoSubmission, "2001:db8:0:7::/64", "badpass", "", 4),
		login(50*time.Hour, models.ProtoSubmission, "198.51.100.200", "", "laptop.example", 1),
	}))
	h.must(h.b.store.SaveBlock(ctx, models.LoginBlock{Network: "2001:db8:0:7::/64", MailboxID: row.ID, Failures: 8, Until: models.At(now.Add(14 * time.Minute)), At: models.At(now)}))
}

// mail are messages in every state: delivered, in the junk folder, refused, waiting, given up.
func (h *house) mail() {
	h.t.Helper()
	ctx := context.Background()
	row, err := h.b.service.Mailbox(ctx, service.Console(), "sara@example.com")
	h.must(err)
	at := func(age time.Duration) models.Micros { return models.At(time.Now().Add(-age)) }
	in := models.Event{EnvelopeID: 71, Direction: "in", Sender: "ali@far.example", Subject: "صورت\u200cحساب مرداد ۱۴۰۵", MessageID: "CAF+x1@far.example", Remote: "2001:db8::25", Size: 48_000}
	accepted, verdict, stored := in, in, in
	accepted.At, accepted.Kind, accepted.Code, accepted.Enhanced = at(50*time.Minute), models.EventAccepted, 250, "2.0.0"
	verdict.At, verdict.Kind, verdict.Detail = at(50*time.Minute), models.EventVerdict, "spf=pass dkim=fail dmarc=fail"
	stored.At, stored.Kind, stored.Recipient, stored.Folder, stored.CustomerID, stored.MailboxID = at(50*time.Minute), models.EventDelivered, row.Address, "Junk", h.example, row.ID
	refused := models.Event{At: at(3 * time.Hour), Kind: models.EventRefused, Direction: "in", Sender: "newsletter@shop.example", Recipient: "sarra@example.com", Remote: "192.0.2.9",
		Code: 550, Enhanced: "5.1.1", Words: "recipient.unknown", Detail: "There is no mailbox sarra@example.com here."}
	out := models.Event{At: at(26 * time.Hour), EnvelopeID: 72, Direction: "out", CustomerID: h.example, MailboxID: row.ID, Sender: row.Address, Subject: "Offer for three hundred chairs", MessageID: "72@example.com", Size: 9_300}
	var all []models.Event
	step := func(kind models.EventKind, to, host string, code int, enhanced, detail string, after time.Duration) {
		e := out
		e.At, e.Kind, e.Recipient, e.Host, e.Code, e.Enhanced, e.Detail = out.At+models.Micros(after.Microseconds()), kind, to, host, code, enhanced, detail
		if kind == models.EventDeferred {
			e.Next = e.At + 300e6
		}
		if host != "" {
			e.TLS = "TLS1.3 opportunistic"
		}
		all = append(all, e)
	}
	step(models.EventAccepted, "", "", 250, "2.0.0", "", 0)
	for _, to := range []string{"maryam@gmail.com", "chairs@far.example", "nobody@outlook.com"} {
		step(models.EventQueued, to, "", 0, "", "", 0)
	}
	step(models.EventSent, "chairs@far.example", "mx.far.example", 250, "2.0.0", "OK queued as 4FF2", time.Second)
	step(models.EventDeferred, "maryam@gmail.com", "gmail-smtp-in.l.google.com", 421, "4.7.28", "Gmail has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited.", time.Second)
	step(models.EventBounced, "nobody@outlook.com", "outlook-com.olc.protection.outlook.com", 550, "5.5.0", "Requested action not taken: mailbox unavailable (S2017062302).", 2*time.Second)
	step(models.EventReturned, "nobody@outlook.com", "", 0, "", "", 3*time.Second)
	all[len(all)-1].Words = "returned.failed"
	h.message = out.EnvelopeID
	h.must(h.b.store.InsertEvents(ctx, append(all, accepted, verdict, stored, refused)))
	h.item = h.b.enqueue(h.t, row, "Offer for three hundred chairs", "maryam@gmail.com", "omid@gmail.com", "info@far.example").ID
}
