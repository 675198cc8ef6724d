package pop3d_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"

	"github.com/postchi/postchi/mailserver/pop3d"
	"github.com/postchi/postchi/models"
)

// letter is one stored message.
type letter struct {
	uid  uint32
	text string
}

// house is a set of accounts with their maildrops, in memory. It stands in for the store and
// the accounts where a test wants to break them.
type house struct {
	mu        sync.Mutex
	password  map[string]string
	loginErr  map[string]error
	drops     map[string][]letter
	locked    map[string]bool
	ends      map[string]func(*models.Error)
	sessions  int
	openErr   error
	readErr   error // after half of a message
	removeErr error
	busy      chan struct{} // if set, Remove says here that it has begun
	goOn      chan struct{} // and waits for this
}

func newHouse() *house {
	return &house{password: map[string]string{}, loginErr: map[string]error{}, drops: map[string][]letter{},
		locked: map[string]bool{}, ends: map[string]func(*models.Error){}}
}

// person adds an account with messages.
func (h *house) person(name, password string, texts ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.password[name] = password
	for i, text := range texts {
		h.drops[name] = append(h.drops[name], letter{uid: uint32(10*i + 1), text: text})
	}
}

// left returns the texts a maildrop has now.
func (h *house) left(name string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var texts []string
	for _, l := range h.drops[name] {
		texts = append(texts, l.text)
	}
	return texts
}

func (h *house) set(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
}

func (h *house) Login(_ context.Context, a pop3d.Attempt) (*models.Account, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	want, known := h.password[a.Name]
	switch {
	case len(a.Password) > 72:
		return nil, models.Errorf(models.Denied, "login.toolong", "Passwords have at most 72 bytes.")
	case !known || want != a.Password:
		return nil, models.Errorf(models.Denied, "login.denied", "Name or password is wrong.")
	case h.loginErr[a.Name] != nil:
		return nil, h.loginErr[a.Name]
	case a.Name == "panic@example.com":
		panic("a fault of ours")
	}
	return &models.Account{Kind: models.AccountMailbox, ID: 7, Name: a.Name}, nil
}

func (h *house) Open(_ context.Context, account *models.Account, _ netip.Addr, end func(*models.Error)) (func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions++
	h.ends[account.Name] = end
	return func() { h.set(func() { h.sessions-- }) }, nil
}

// end ends the session of an account as the accounts do when it is suspended.
func (h *house) end(name string) {
	h.mu.Lock()
	end := h.ends[name]
	h.mu.Unlock()
	end(models.Errorf(models.Suspended, "login.suspended", "The mailbox was suspended."))
}

func (h *house) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions
}

// drops is the Maildrops side of a house.
type drops struct{ *house }

func (d drops) Open(_ context.Context, account *models.Account) (pop3d.Maildrop, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.openErr != nil:
		return nil, d.openErr
	case d.locked[account.Name]:
		return nil, models.Errorf(models.Conflict, "pop3.in_use", "Another program is reading this mailbox.")
	}
	d.locked[account.Name] = true
	return &drop{house: d.house, name: account.Name, letters: append([]letter(nil), d.drops[account.Name]...)}, nil
}

type drop struct {
	*house
	name    string
	letters []letter
}

func (d *drop) UIDValidity() uint32 { return 42 }

func (d *drop) Messages() []pop3d.Message {
	var all []pop3d.Message
	for _, l := range d.letters {
		all = append(all, pop3d.Message{UID: l.uid, Size: int64(len(l.text))})
	}
	return all
}

type reader struct {
	*bytes.Reader
	err error
}

func (r reader) WriteTo(w io.Writer) (int64, error) {
	n, err := r.Reader.WriteTo(w)
	return n, errors.Join(err, r.err)
}

func (reader) Close() error { return nil }

func (d *drop) Open(_ context.Context, i int) (pop3d.Reader, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := d.letters[i].text
	if d.readErr != nil {
		return reader{bytes.NewReader([]byte(text[:len(text)/2])), d.readErr}, nil
	}
	return reader{bytes.NewReader([]byte(text)), nil}, nil
}

func (d *drop) Remove(ctx context.Context, positions []int) error {
	d.mu.Lock()
	busy, goOn := d.busy, d.goOn
	d.mu.Unlock()
	if busy != nil {
		busy <- struct{}{}
		<-goOn
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(ctx.Err(), d.removeErr); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	gone := map[uint32]bool{}
	for _, i := range positions {
		gone[d.letters[i].uid] = true
	}
	var left []letter
	for _, l := range d.drops[d.name] {
		if !gone[l.uid] {
			left = append(left, l)
		}
	}
	d.drops[d.name] = left
	return nil
}

func (d *drop) Close() { d.set(func() { d.locked[d.name] = false }) }
