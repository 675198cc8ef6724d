package delivery

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/mailserver/srs"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
)

// world is a delivery with everything real around it: records, mail store, queue. Nothing is sent.
type world struct {
	*Delivery
	*mailstoretest.Instance
	t     testing.TB
	ctx   context.Context
	store *store.Store
	queue *queue.Queue
	trail *trail

	mu     sync.Mutex
	now    time.Time
	domain *models.Domain
}

// signer signs with a word.
type signer struct{}

func (signer) Sign(_ context.Context, domain string, _ models.ID, r io.ReaderAt, size int64) ([]byte, error) {
	if domain != "example.com" {
		return nil, nil
	}
	return fmt.Appendf(nil, "DKIM-Signature: d=%s; l=%d\r\n", domain, size), nil
}

func newWorld(t testing.TB, config db.Config, limits models.SendingLimits) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), now: time.Date(2026, 3, 14, 9, 30, 0, 0, time.UTC), trail: &trail{}}
	config.Now = w.clock
	w.Instance = mailstoretest.Seg(t, config)
	var err error
	if w.store, err = store.New(w.DB, nil); err != nil {
		t.Fatal(err)
	}
	w.queue = queue.New(queue.Config{DB: w.DB, Blobs: w.Blobs, Hostname: "mail.example.net"})
	w.Delivery = New(Config{
		Hostname: "mail.example.net", Resolver: w.store, Records: w.store, Blobs: w.Blobs, Mailboxes: w.Store, Queue: w.queue, Signer: signer{},
		SRS: &srs.Rewriter{Key: []byte("key"), Now: w.clock}, Events: w.trail, Limits: limits, Now: w.clock,
	})
	return w
}

func eachWorld(t *testing.T, limits models.SendingLimits, fn func(t *testing.T, w *world)) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		w := newWorld(t, config, limits)
		w.populate()
		fn(t, w)
	})
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.ok(w.DB.Write(w.ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		tx.Changed(db.ChangedAll, 0)
		return err
	}))
}

func (w *world) count(query string, args ...any) (n int64) {
	w.t.Helper()
	w.ok(w.DB.SQL().QueryRowContext(w.ctx, query, args...).Scan(&n))
	return n
}

// populate makes the mailboxes sara and omid of example.com.
func (w *world) populate() {
	c := &models.Customer{ID: w.store.NewID(), Name: "Example"}
	w.ok(w.store.InsertCustomer(w.ctx, c))
	w.domain = &models.Domain{ID: w.store.NewID(), CustomerID: c.ID, Name: "example.com", State: models.DomainActive, DMARCObey: models.DMARCObeyAll}
	w.domain.ActiveName = &w.domain.Name
	w.ok(w.store.InsertDomain(w.ctx, w.domain))
	w.mailbox("sara")
	w.mailbox("omid")
}

func (w *world) mailbox(local string) models.ID {
	w.t.Helper()
	m := &models.Mailbox{ID: w.store.NewID(), CustomerID: w.domain.CustomerID, DomainID: w.domain.ID, Address: local + "@" + w.domain.Name, PasswordHash: "x", Language: "fa"}
	w.ok(w.store.Write(w.ctx, func(ctx context.Context) error {
		a := &models.Address{ID: w.store.NewID(), DomainID: w.domain.ID, Local: local, Kind: models.AddressMailbox, MailboxID: &m.ID}
		if err := w.store.InsertAddress(ctx, a); err != nil {
			return err
		}
		if err := w.store.InsertMailbox(ctx, m); err != nil {
			return err
		}
		return w.Store.CreateMailbox(ctx, m.ID)
	}))
	return m.ID
}

// another makes a domain of another customer; what is made next is in it.
func (w *world) another(name string) *models.Domain {
	w.t.Helper()
	c := &models.Customer{ID: w.store.NewID(), Name: name}
	w.ok(w.store.InsertCustomer(w.ctx, c))
	w.domain = &models.Domain{ID: w.store.NewID(), CustomerID: c.ID, Name: name, State: models.DomainActive, DMARCObey: models.DMARCObeyAll}
	w.domain.ActiveName = &w.domain.Name
	w.ok(w.store.InsertDomain(w.ctx, w.domain))
	return w.domain
}

// alias makes an alias or group; "!a@b" is a target outside whose owner has agreed.
func (w *world) alias(local string, kind models.AliasKind, targets ...string) models.ID {
	w.t.Helper()
	id := w.store.NewID()
	w.exec("INSERT INTO aliases (id, customer_id, domain_id, address, kind, created_at, updated_at) VALUES (?, ?, ?, ?, ?, 1, 1)",
		id, w.domain.CustomerID, w.domain.ID, local+"@"+w.domain.Name, string(kind))
	w.exec("INSERT INTO addresses (id, domain_id, local_part, kind, alias_id, created_at) VALUES (?, ?, ?, 'alias', ?, 1)", w.store.NewID(), w.domain.ID, local, id)
	w.targets(id, targets...)
	return id
}

func (w *world) targets(owner models.ID, targets ...string) {
	w.t.Helper()
	for _, to := range targets {
		at := strings.TrimPrefix(to, "!")
		w.exec("INSERT INTO targets (id, owner_id, customer_id, address, external, verified_at, created_at) VALUES (?, ?, ?, ?, ?, ?, 1)",
			w.store.NewID(), owner, w.domain.CustomerID, at, at != to, 1)
	}
}

func (w *world) account(name string) *models.Account {
	w.t.Helper()
	a, err := w.store.MailboxAccount(w.ctx, name+"@example.com")
	w.ok(err)
	return a
}

// send sends a message as smtpd does: from an account of ours, or from another server if from is
// elsewhere. Words in text before a colon are options: "junk:", "forged:".
func (w *world) send(from string, text string, to ...string) error {
	w.t.Helper()
	e := Envelope{ID: w.store.NewID(), Direction: "in", Remote: "192.0.2.1"}
	if from != "" {
		e.Sender = addressOf(from)
	}
	if local, ours := strings.CutSuffix(from, "@example.com"); ours {
		e.Account, e.Author, e.Direction = w.account(local), "example.com", "out"
	}
	text, junk := strings.CutPrefix(text, "junk:")
	text, e.Forged = strings.CutPrefix(text, "forged:")
	for _, line := range to {
		address, notify, _ := strings.Cut(line, " ")
		r, err := w.Route(w.ctx, addressOf(address), Asked{Sender: e.Sender, Account: e.Account, Outside: outsideOf(e.Recipients)})
		if err != nil {
			return err
		}
		e.Recipients = append(e.Recipients, Recipient{Route: r, Notify: notify, Junk: junk})
	}
	return w.Accept(w.ctx, e, strings.NewReader(text))
}

func outsideOf(recipients []Recipient) (n int64) {
	for i := range recipients {
		n += int64(len(recipients[i].Remote))
	}
	return n
}

// queued prints what lies in the queue: "kind sender > recipients".
func (w *world) queued() []string {
	w.t.Helper()
	page, err := w.queue.Rows(w.ctx, models.Everything(), models.QueueFilter{}, models.Query{Size: 500, Sort: "address"})
	w.ok(err)
	lines := map[models.ID]string{}
	for _, r := range page.Items {
		if lines[r.QueueID] == "" {
			lines[r.QueueID] = fmt.Sprintf("%s <%s>", r.Kind, r.Sender)
		}
		lines[r.QueueID] += " " + r.Address
	}
	var all []string
	for _, line := range lines {
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

// holds returns how many messages lie in a folder of a mailbox.
func (w *world) holds(local, folder string) int64 {
	w.t.Helper()
	f, err := w.Store.Folder(w.ctx, w.account(local).ID, folder)
	w.ok(err)
	return f.Messages
}

// exact fails the test unless the references of all blobs are right.
func (w *world) exact() {
	w.t.Helper()
	refs, err := w.Store.RecountBlobs(w.ctx, false)
	w.ok(err)
	if len(refs) > 0 {
		w.t.Errorf("references drifted: %+v", refs)
	}
}

// later does what is left for Run.
func (w *world) later() {
	for {
		select {
		case do := <-w.Delivery.later:
			ctx, cancel := context.WithTimeout(w.ctx, 500*time.Millisecond) // what waits for a commit waits for an undone one too
			do(ctx)
			cancel()
		default:
			return
		}
	}
}

// addressOf cuts an address without any rule.
func addressOf(s string) address.Address {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return address.Address{}
	}
	return address.Address{Local: s[:at], Domain: s[at+1:]}
}

func keyOf(err error) string {
	all := models.Errors(err)
	if len(all) == 0 {
		return fmt.Sprint(err)
	}
	return all[0].Key
}
