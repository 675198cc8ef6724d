package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

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
