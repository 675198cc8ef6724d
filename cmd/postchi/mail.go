package main

import (
	"context"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/password"
	"github.com/postchi/postchi/panel/service"
)

// mailboxes shows the mail store to the service as the service wants to see it.
type mailboxes struct{ *mailstore.Store }

// Recount compares the counters of a mailbox with its messages.
func (m mailboxes) Recount(ctx context.Context, mailbox models.ID, fix bool) (models.Drift, error) {
	d, err := m.Store.Recount(ctx, mailbox, fix)
	return models.Drift{
		Bytes:    models.Count{Stored: d.Bytes.Stored, True: d.Bytes.True},
		Messages: models.Count{Stored: d.Messages.Stored, True: d.Messages.True},
		Folders:  len(d.Folders), Fixed: d.Fixed,
	}, err
}

func (b *base) serviceConfig(sender service.TestSender) service.Config {
	c := b.config
	return service.Config{
		Damaged: func(ctx context.Context) (int, error) { return b.damage.count(ctx, b.blobs) },
		Store:   b.store, Mail: mailboxes{b.mail}, Sender: sender, Hash: b.hash,
		Keys: b.keys, DNS: b.dns, Sessions: b.sessions,
		Passwords: password.Policy{Min: c.Auth.MinPassword},
		Defaults:  service.Defaults{Quota: int64(c.Defaults.Quota), BinDays: int(c.Keep.Bin / (24 * time.Hour))},
		Secrets:   b.secrets, Sending: c.sendingLimits(), Notices: b.notices, Queue: b.queue(), PublicURL: b.publicURL,
		Addresses: machineAddresses,
		Proof:     c.Domains.Proof, DevMode: c.Dev, Log: b.log,
	}
}

// queue returns the outbound queue of the server, in a command or without sending one that can
// hold and release what waits.
func (b *base) queue() *queue.Queue {
	if b.outbound == nil {
		b.outbound = queue.New(queue.Config{DB: b.db, Blobs: b.blobs, Events: b.recorder(), Hostname: b.config.Hostname, Log: b.log})
	}
	return b.outbound
}
