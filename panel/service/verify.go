package service

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// The mailed link by which the owner of an address elsewhere agrees to get an alias's or a
// mailbox's mail.
const (
	linkLife    = 7 * 24 * time.Hour
	linkPause   = time.Hour // before it can be mailed again
	linksOfADay = 3         // to one address, whoever asks for them
	linksAtOnce = 20
)

// ConfirmPath is where the panel shows the page of a link; the token follows.
const ConfirmPath = "/confirm/"

// Notices mails words of the server itself.
type Notices interface {
	// Notice sends a text to an address, here or elsewhere; language is of the text.
	Notice(ctx context.Context, to, subject, text, language string) error
}

func (s *Service) linkOver(t *models.Target) bool {
	return t.AskedAt != 0 && t.AskedAt.Time().Add(linkLife).Before(s.config.Now())
}

// tokenHash is what is kept of a link's token.
func tokenHash(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

// asked remembers for a day whom this process has mailed links to: nobody can have an address
// elsewhere flooded by adding and removing it.
type asked struct {
	mu  sync.Mutex
	all map[string][]time.Time
}

// allow refuses with Limited target.often an address that was asked too often today.
func (a *asked) allow(addr string, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, at := range a.all[addr] {
		if now.Sub(at) < 24*time.Hour {
			n++
		}
	}
	if n >= linksOfADay {
		return models.Errorf(models.Limited, "target.often", "%s was asked %d times today already; try again tomorrow.", addr, linksOfADay).
			With("address", addr).With("n", linksOfADay).On("targets")
	}
	return nil
}

func (a *asked) note(addr string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) > 10_000 {
		for name, times := range a.all {
			if now.Sub(times[len(times)-1]) >= 24*time.Hour {
				delete(a.all, name)
			}
		}
	}
	times := append(a.all[addr], now)
	a.all[addr] = times[max(0, len(times)-linksOfADay):]
}

// ask mails the links that wait, as far as this process can. What fails is the job's to repeat.
func (s *Service) ask(ctx context.Context) {
	if _, err := s.SendLinks(ctx); err != nil {
		s.log.Warn("links not mailed", "err", err)
	}
}

// SendLinks mails the link to each address elsewhere whose owner has not been asked yet, and
// returns how many it mailed. A command adds addresses without being able to mail: the server
// that runs calls this every few seconds. Call it again while it returns linksAtOnce.
func (s *Service) SendLinks(ctx context.Context) (n int, err error) {
	if s.config.Notices == nil {
		return 0, nil
	}
	list, err := s.store.TargetsToAsk(ctx, linksAtOnce)
	if err != nil {
		return 0, err
	}
	for i := range list {
		if err := s.sendLink(ctx, &list[i]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// sendLink mails one link. The token's hash is kept first: a link whose mail failed is made
// anew at the next attempt, and of two processes that ask at once one finds it asked.
func (s *Service) sendLink(ctx context.Context, t *models.Target) error {
	token := rand.Text() // 130 bits
	mine := false
	err := s.store.Write(ctx, func(ctx context.Context) error {
		now, err := s.targetNow(ctx, t)
		if mine = err == nil && now != nil && now.AskedAt == 0 && now.VerifiedAt == 0; err != nil || !mine {
			return err
		}
		now.TokenHash, now.AskedAt = tokenHash(token), s.now()
		*t = *now
		return s.store.UpdateTarget(ctx, now)
	})
	if err != nil || !mine {
		return err
	}
	by, err := s.ownerName(ctx, t.OwnerID)
	if err == nil {
		subject, text := linkMail(by, t.Address, s.config.PublicURL+ConfirmPath+token, s.linkLanguage(ctx, t))
		err = s.config.Notices.Notice(ctx, t.Address, subject, text, "")
	}
	if err == nil {
		s.asked.note(t.Address, s.config.Now())
		s.log.Info("target asked", "target", t.Address, "for", by)
		return nil
	}
	if !models.KindOf(err).Temporary() { // nobody can be asked there
		s.log.Warn("target cannot be asked", "target", t.Address, "err", err)
		return nil
	}
	t.TokenHash, t.AskedAt = "", 0
	if back := s.store.Write(ctx, func(ctx context.Context) error { return s.store.UpdateTarget(ctx, t) }); back != nil && !models.Is(back, models.NotFound) {
		s.log.Warn("target stays asked", "target", t.Address, "err", back)
	}
	return err
}

// targetNow reads a target again in the transaction that ctx carries; nil if it is gone.
func (s *Service) targetNow(ctx context.Context, t *models.Target) (*models.Target, error) {
	list, err := s.store.Targets(ctx, t.OwnerID)
	for i := range list {
		if list[i].ID == t.ID {
			return &list[i], nil
		}
	}
	return nil, err
}

// linkLanguage is the language that stands first in the mail: that of the customer's first user.
func (s *Service) linkLanguage(ctx context.Context, t *models.Target) string {
	users, err := s.store.Users(ctx, models.OfCustomer(t.CustomerID), 0)
	if err != nil || len(users) == 0 {
		return ""
	}
	return users[0].Language
}

// AskAgain mails a target's link anew; the old one is worth nothing then. owner is the address
// of the alias or mailbox. Limited target.soon (argument until), target.often; NotFound if the
// target has agreed or is none.
func (s *Service) AskAgain(ctx context.Context, v Viewer, owner, target string) error {
	id, customer, err := s.findOwner(ctx, v, owner)
	if err != nil {
		return err
	}
	err = s.store.Write(ctx, func(ctx context.Context) error {
		if err := s.store.LockCustomer(ctx, customer); err != nil {
			return err
		}
		list, err := s.store.Targets(ctx, id)
		if err != nil {
			return err
		}
		for i := range list {
			if t := &list[i]; t.Address == target && !t.Ready() {
				return s.unask(ctx, t)
			}
		}
		return notFound()
	})
	if err == nil {
		s.ask(ctx)
	}
	return err
}

// unask makes a target one that was never asked, if enough time has passed.
func (s *Service) unask(ctx context.Context, t *models.Target) error {
	if until := t.AskedAt.Time().Add(linkPause); t.AskedAt != 0 && s.config.Now().Before(until) {
		return models.Errorf(models.Limited, "target.soon", "%s was asked a moment ago.", t.Address).With("address", t.Address).With("until", until)
	}
	if err := s.asked.allow(t.Address, s.config.Now()); err != nil {
		return err
	}
	t.TokenHash, t.AskedAt = "", 0
	return s.store.UpdateTarget(ctx, t)
}

// findOwner returns the alias or mailbox that has targets.
func (s *Service) findOwner(ctx context.Context, v Viewer, addr string) (id, customer models.ID, err error) {
	a, err := s.findAlias(ctx, v, manageMailboxes, addr)
	if err == nil {
		return a.ID, a.CustomerID, nil
	}
	if !models.Is(err, models.NotFound) {
		return 0, 0, err
	}
	m, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return 0, 0, err
	}
	return m.ID, m.CustomerID, nil
}

// Request is what a mailed link asks.
type Request struct {
	From    string // alias or mailbox whose mail would come
	To      string // address elsewhere
	Already bool   // its owner has agreed before
}

// LinkRequest returns what the link with a token asks; for everybody who has the link. NotFound
// if it is none, is over, or was replaced by a newer one.
func (s *Service) LinkRequest(ctx context.Context, token string) (*Request, error) {
	t, err := s.byToken(ctx, token)
	if err != nil {
		return nil, err
	}
	by, err := s.ownerName(ctx, t.OwnerID)
	if err != nil {
		return nil, err
	}
	return &Request{From: by, To: t.Address, Already: t.VerifiedAt != 0}, nil
}

func (s *Service) byToken(ctx context.Context, token string) (*models.Target, error) {
	if len(token) != len(rand.Text()) {
		return nil, notFound()
	}
	t, err := s.store.TargetByToken(ctx, tokenHash(token))
	if err != nil {
		return nil, err
	}
	if s.linkOver(t) {
		return nil, notFound()
	}
	return t, nil
}

// AgreeTo is the consent of the owner of an address elsewhere: from now on mail goes there.
// Errors are those of LinkRequest.
func (s *Service) AgreeTo(ctx context.Context, token string) (*Request, error) {
	var agreed models.Target
	err := s.store.Write(ctx, func(ctx context.Context) error {
		t, err := s.byToken(ctx, token)
		if err != nil {
			return err
		}
		if t.VerifiedAt == 0 {
			t.VerifiedAt = s.now()
			err = s.store.UpdateTarget(ctx, t)
		}
		agreed = *t
		return err
	})
	if err != nil {
		return nil, err
	}
	s.log.Info("target verified", "target", agreed.Address)
	by, err := s.ownerName(ctx, agreed.OwnerID)
	return &Request{From: by, To: agreed.Address, Already: true}, err
}

// linkWords are the words of the mail in one language; %[1]s is the address whose mail would
// come, %[2]s the one it would come to, %[3]s the link.
type linkWords struct{ subject, text string }

// linkMail returns the mail with a link. Who gets it is a stranger, so it speaks both
// languages, the asker's first, and holds no words that the asker could choose.
func linkMail(from, to, link, language string) (subject, text string) {
	first, second := linkEnglish, linkPersian
	if language == "fa" {
		first, second = second, first
	}
	from = readable(from)
	return fill(first.subject, from, to, link), fill(first.text, from, to, link) + "\n\n* * *\n\n" + fill(second.text, from, to, link) + "\n"
}

// readable prints an address with its domain in Unicode.
func readable(addr string) string {
	a, err := address.Parse(addr)
	if err != nil {
		return addr
	}
	return a.Display()
}
