package main

import (
	"context"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/panel/service"
)

// routing gives the house aliases in every state, forwards, an auto-reply, a held mailbox and
// smarthosts.
func (h *house) routing() {
	h.t.Helper()
	ctx, me := context.Background(), service.Console()
	add := func(local string, kind models.AliasKind, name string, targets ...string) {
		h.t.Helper()
		_, err := h.b.service.AddAlias(ctx, me, service.NewAlias{Local: local, Domain: "example.com", Kind: kind, Name: name, Targets: targets})
		h.must(err)
	}
	add("info", models.AliasPlain, "پذیرش", "sara", "omid")
	add("everybody", models.AliasGroup, "The whole house", "info", "parisa", "support", "partner.with.a.long.name@a-long-name-of-a-host.elsewhere.example", "second@elsewhere.example", longAddress)
	add("old", models.AliasPlain, "", "parisa")
	h.must(h.b.service.SwitchAlias(ctx, me, "old@example.com", true))
	add("gone", models.AliasPlain, "", "out@elsewhere.example")
	h.must(h.b.service.SetForward(ctx, me, "sara@example.com", []string{"omid", "sara.ahmadi@elsewhere.example"}, true))
	h.must(h.b.service.SetAutoReply(ctx, me, "sara@example.com", models.AutoReply{Enabled: true, Subject: "در مرخصی هستم",
		Body: "سلام،\nتا پایان هفته در دسترس نیستم. برای کارهای فوری به info@example.com بنویسید.\n\nسارا", Outside: "Thank you for your message. I am back next week.\n\nSara Ahmadi", EndsAt: models.At(time.Now().AddDate(0, 0, 6))}))
	h.must(h.b.service.HoldSending(ctx, me, "parisa@example.com", "300 of 310 messages came back"))
	h.must(h.b.service.SetRelay(ctx, me, service.NewRelay{Host: "smtp.relay.example", Security: models.RelayStartTLS, Username: "postchi", Password: "relay-password-of-the-house"}))
	h.must(h.b.service.SetRelay(ctx, me, service.NewRelay{Owner: "example.net", Host: "192.0.2.25", Security: models.RelayNone, Clear: true}))
	h.must(h.b.service.SetAliasOf(ctx, me, "example.net", "example.com"))
	h.must(h.b.service.SetCatchAll(ctx, me, "example.com", "support"))
	sara, err := h.b.service.Mailbox(ctx, me, "sara@example.com")
	h.must(err)
	h.must(h.b.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		now := models.At(time.Now())
		for _, q := range []struct {
			text string
			args []any
		}{
			{"UPDATE targets SET asked_at = ? WHERE external = 1", []any{now}},
			{"UPDATE auto_replies SET answered = 12", nil},
			{"INSERT INTO limits_used (subject_id, period, start, recipients) VALUES (?, 'day', ?, 140)", []any{sara.ID, models.PeriodDay.Start(now)}},
			{"INSERT INTO suppressions (mailbox_id, address, customer_id, code, enhanced, detail, at) VALUES (?, 'no-such-person@elsewhere.example', ?, 550, '5.1.1', 'The email account that you tried to reach does not exist.', ?)",
				[]any{sara.ID, sara.CustomerID, now - 3_600_000_000}},
		} {
			if _, err := tx.ExecContext(ctx, q.text, q.args...); err != nil {
				return err
			}
		}
		return nil
	}))
}

// routing looks at the pages about where mail goes.
func (l *look) routing() {
	l.t.Helper()
	for _, p := range [][2]string{
		{"aliases", "/aliases"}, {"alias-new", "/aliases/new"}, {"alias", "/aliases/everybody@example.com"},
		{"alias-test", "/aliases/test?address=everybody%40example.com"}, {"forward", "/mailboxes/sara@example.com/forward"},
		{"autoreply", "/mailboxes/sara@example.com/autoreply"}, {"sending", "/mailboxes/sara@example.com/sending"},
		{"relays", "/relays"}, {"domain-alias", "/domains/example.net"},
	} {
		l.see(p[0], p[1])
	}
	l.open("/aliases/new?domain=example.com")
	l.submit(409, "#alias-form", "local", "sara", "targets", "omid, nobody@example.com\nno address@")
	l.at("alias-wrong")
	l.open("/mailboxes/omid@example.com/autoreply")
	l.submit(422, "#autoreply-form", "enabled", "on", "starts", "soon", "ends", "1405/13/1")
	l.at("autoreply-wrong")
	l.expecting(404, func() int { return l.open("/confirm/NOTHING") })
	l.at("confirm-over")
}

// boxOwner is what the owner of a mailbox sees.
func (l *look) boxOwner(h *house) {
	l.t.Helper()
	l.login("sara@example.com", h.password)
	l.at("own")
	l.see("own-autoreply", "/autoreply")
	l.open("/")
	l.press("#logout")
}
