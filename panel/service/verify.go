package service

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
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

	// linksOfCustomer is how many links are mailed for one customer in a day, to whomever: this
	// server is no means to write to strangers. What was removed again counts.
	linksOfCustomer = 50
)

// askAgainAfter are the waits after a link could not be mailed; after the last it is given up.
var askAgainAfter = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

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

func (s *Service) dayAgo() models.Micros { return models.At(s.config.Now().Add(-24 * time.Hour)) }

// mayAsk refuses with Limited target.often an address that was asked too often today, by any
// customer and process: nobody can have an address flooded by adding and removing it. Limited
// target.daily is for a customer that has asked too many.
func (s *Service) mayAsk(ctx context.Context, t *models.Target) error {
	all, n, err := s.store.LinksSent(ctx, t.CustomerID, t.Address, s.dayAgo())
	if err == nil && all >= linksOfCustomer {
		return tooManyAsked()
	}
	if err == nil && n >= linksOfADay {
		err = models.Errorf(models.Limited, "target.often", "%s was asked %d times today already; try again tomorrow.", t.Address, linksOfADay).
			With("address", t.Address).With("n", linksOfADay).On("targets")
	}
	return err
}

// ask mails the links that wait, as far as this process can. What fails is the job's to repeat.
func (s *Service) ask(ctx context.Context) {
	if _, err := s.SendLinks(ctx); err != nil {
		s.log.Warn("links not mailed", "err", err)
	}
}

// SendLinks mails the link to each address elsewhere whose owner has not been asked yet, and
// returns how many it mailed. A command adds addresses without being able to mail: the server
// that runs calls this every few seconds. What cannot be mailed now waits for its own next time
// and holds nothing up; the first such error comes back.
func (s *Service) SendLinks(ctx context.Context) (n int, err error) {
	if s.config.Notices == nil {
		return 0, nil
	}
	list, err := s.store.TargetsToAsk(ctx, s.now(), linksAtOnce)
	if err != nil {
		return 0, err
	}
	for i := range list {
		sent, failure := s.sendLink(ctx, &list[i])
		if sent {
			n++
		}
		if err == nil {
			err = failure
		}
		if ctx.Err() != nil {
			break
		}
	}
	return n, err
}

// sendLink mails one link. The token's hash is kept first: a link whose mail failed is made
// anew at the next attempt, and of two processes that ask at once one finds it asked.
func (s *Service) sendLink(ctx context.Context, t *models.Target) (sent bool, err error) {
	token := rand.Text() // 130 bits
	noted, err := s.takeLink(ctx, t, token)
	if err != nil || noted == 0 {
		return false, err
	}
	by, err := s.ownerName(ctx, t.OwnerID)
	if err == nil {
		subject, text := linkMail(by, t.Address, s.config.PublicURL+ConfirmPath+token, s.linkLanguage(ctx, t))
		err = s.config.Notices.Notice(ctx, t.Address, subject, text, "")
	}
	if err == nil {
		s.log.Info("target asked", "target", t.Address, "for", by)
		return true, nil
	}
	s.log.Warn("target not asked", "target", t.Address, "err", err)
	if back := s.postpone(context.WithoutCancel(ctx), t, noted, err); back != nil && !models.Is(back, models.NotFound) {
		s.log.Warn("target stays asked", "target", t.Address, "err", back)
	}
	if !models.KindOf(err).Temporary() {
		err = nil // said at the target
	}
	return false, err
}

// takeLink makes a target one that was asked, and counts the link; 0 if there is nothing to do
// now: another process was first, or so many were mailed today that it has to wait.
func (s *Service) takeLink(ctx context.Context, t *models.Target, token string) (noted models.ID, err error) {
	err = s.store.Write(ctx, func(ctx context.Context) error {
		noted = 0
		if err := s.store.LockCustomer(ctx, t.CustomerID); err != nil {
			return err
		}
		now, err := s.targetNow(ctx, t)
		if err != nil || now == nil || now.AskedAt != 0 || now.VerifiedAt != 0 || now.AskAt > s.now() {
			return err
		}
		*t = *now
		customer, address, err := s.store.LinksSent(ctx, t.CustomerID, t.Address, s.dayAgo())
		if err != nil {
			return err
		}
		if customer >= linksOfCustomer || address >= linksOfADay {
			now.AskAt = models.At(s.config.Now().Add(linkPause))
			return s.store.UpdateTarget(ctx, now)
		}
		t.TokenHash, t.AskedAt = tokenHash(token), s.now()
		if noted, err = s.store.NoteLink(ctx, t, t.AskedAt, s.dayAgo()); err != nil {
			return err
		}
		return s.store.UpdateTarget(ctx, t)
	})
	return noted, err
}

// postpone takes a link back that could not be mailed: it has a next time of its own, and an end.
// Who has nobody to read it yet is not asked at all, nor who refuses for good; who wants that can
// have it asked again.
func (s *Service) postpone(ctx context.Context, t *models.Target, noted models.ID, why error) error {
	asked := t.AskedAt
	t.TokenHash, t.AskedAt, t.AskTries = "", 0, t.AskTries+1
	if int(t.AskTries) > len(askAgainAfter) || !models.KindOf(why).Temporary() || isNobodyYet(why) {
		t.AskedAt, t.AskTries = asked, models.AskGivenUp
	} else {
		t.AskAt = models.At(s.config.Now().Add(askAgainAfter[t.AskTries-1]))
	}
	return s.store.Write(ctx, func(ctx context.Context) error {
		if err := s.store.ForgetLink(ctx, noted); err != nil {
			return err
		}
		return s.store.UpdateTarget(ctx, t)
	})
}

// isNobodyYet reports whether an address is of a domain here without a mailbox to read it.
func isNobodyYet(err error) bool {
	all := models.Errors(err)
	return len(all) == 1 && all[0].Key == "recipient.nobody_yet"
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
	if until := t.AskedAt.Time().Add(linkPause); t.AskedAt != 0 && t.AskTries != models.AskGivenUp && s.config.Now().Before(until) {
		return models.Errorf(models.Limited, "target.soon", "%s was asked a moment ago.", t.Address).With("address", t.Address).With("until", until)
	}
	if err := s.mayAsk(ctx, t); err != nil {
		return err
	}
	t.TokenHash, t.AskedAt, t.AskAt, t.AskTries = "", 0, 0, 0
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
