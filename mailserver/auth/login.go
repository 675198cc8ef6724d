package auth

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Login checks a name and a password, and returns the account as its row is now. Errors:
//
//   - Denied, login.denied: nobody has the name, the password is wrong, or the mailbox is in
//     the bin; the client cannot tell which.
//   - Denied, login.noat, login.name, login.nul, login.toolong (arg max): can be right for
//     nobody; said before anything is looked up.
//   - Suspended, login.suspended (arg reason) or login.suspended_bare: after the right
//     password only.
//   - Limited, login.blocked (args minutes, until) and login.many.
//   - Unavailable, login.busy and unavailable: too many wait for a worker, the database is
//     away, or ctx has ended.
//
// It may take as long as Limits.Delay and a place in the workers' line; ctx ends the wait.
func (s *Service) Login(ctx context.Context, a Attempt) (*models.Account, error) {
	now, network := s.now(), models.Network(a.Remote)
	if no := checkAttempt(&a); no != nil {
		s.guard.malformed(network, s.secret.sum("malformed", no.reason, a.Name).short(), now)
		return nil, s.refuse(&a, nil, network, no)
	}
	sub, err := s.lookUp(ctx, a.Kind, a.Name)
	if err != nil {
		return nil, unavailable(err)
	}
	no, err := s.prove(ctx, &a, sub, network)
	if err != nil {
		return nil, unavailable(err)
	}
	if no == nil && sub.account.LoginOff {
		no = &refusal{reasonSuspended, errSuspended(sub.account.Reason)}
	}
	if no != nil {
		return nil, s.refuse(&a, sub, network, no)
	}
	s.record(&a, sub, network, "")
	s.rehash(sub.account, a.Password)
	return sub.account, nil
}

// refuse records and logs a refusal. The line is always the same, so it can be banned by.
func (s *Service) refuse(a *Attempt, sub *subject, network netip.Prefix, no *refusal) error {
	s.record(a, sub, network, no.reason)
	s.log.Info("log-in refused", "proto", string(a.Protocol), "remote", a.Remote.Unmap().String(),
		"mailbox", clean(a.Name, maxLoginName), "reason", no.reason)
	return no.err
}

// subject is what a name leads to: an account, or nobody, whom no password fits.
type subject struct {
	id      models.ID // negative for nobody
	name    string    // normalized
	account *models.Account
	hash    string // the account's, or the dummy
	reason  string // why a password does not fit
}

// lookUp reads the row of a name. The row of nobody, and one that cannot be logged into at
// all, get the dummy hash.
func (s *Service) lookUp(ctx context.Context, kind models.AccountKind, name string) (*subject, error) {
	find := s.config.Accounts.MailboxAccount
	if kind == models.AccountUser {
		find = s.config.Accounts.UserAccount
	}
	addr, err := address.Parse(name)
	if err != nil {
		return s.nobody(kind, strings.ToLower(name)), nil
	}
	account, err := find(ctx, addr.String())
	if models.Is(err, models.NotFound) {
		return s.nobody(kind, addr.String()), nil
	}
	if err != nil {
		return nil, err
	}
	return s.somebody(account), nil
}

func (s *Service) nobody(kind models.AccountKind, name string) *subject {
	id := models.ID(s.secret.sum("nobody", string(kind), name).short() >> 1)
	return &subject{id: -max(id, 1), name: name, hash: s.dummy, reason: reasonUnknown}
}

func (s *Service) somebody(account *models.Account) *subject {
	sub := &subject{id: account.ID, name: account.Name, account: account, hash: account.Hash, reason: reasonBadPass}
	if account.Deleted {
		sub.hash, sub.reason = s.dummy, reasonDeleted
	} else if _, err := bcrypt.Cost([]byte(account.Hash)); err != nil {
		s.log.Warn("password hash not readable", "mailbox", account.Name, "err", err)
		sub.hash = s.dummy
	}
	return sub
}

// passwordSum is the sum of a password for an account with a hash.
func (s *Service) passwordSum(kind models.AccountKind, id models.ID, hash, password string) sum {
	return s.secret.sum("password", string(kind), strconv.FormatInt(int64(id), 10), hash, password)
}

// prove finds out whether the password is the subject's, and leaves in sub the row as it was
// after that. The refusal is for a password that is not, or not yet to be checked.
func (s *Service) prove(ctx context.Context, a *Attempt, sub *subject, network netip.Prefix) (*refusal, error) {
	key := s.passwordSum(a.Kind, sub.id, sub.hash, a.Password)
	if s.cache.has(key, s.now()) {
		s.cached.Add(1)
		return nil, nil
	}
	adm, no := s.guard.enter(pair{sub.id, network}, key.short(), s.now())
	if no != nil {
		return no, nil
	}
	defer adm.leave()
	if err := s.wait(ctx, adm); err != nil {
		return nil, err
	}
	ok := false
	if !adm.known {
		var err error
		ok, err = s.check(ctx, a, sub, key, adm)
		if models.Is(err, models.Unavailable) && err.(*models.Error).Key == "login.busy" {
			return &refusal{reasonBusy, errBusy()}, nil
		}
		if err != nil {
			return nil, err
		}
	}
	if !ok {
		if !adm.stale {
			adm.wrong(s.now())
		}
		return &refusal{sub.reason, errDenied()}, nil
	}
	adm.right(s.now())
	return nil, nil
}

// wait lets the delay pass, without a worker.
func (s *Service) wait(ctx context.Context, adm *admission) error {
	if adm.delay == 0 {
		return nil
	}
	defer adm.waited()
	return s.config.Sleep(ctx, adm.delay)
}

// check verifies the password, and reads the row again afterwards: the password may have been
// changed while the attempt waited. Then it is verified against the new hash, once.
func (s *Service) check(ctx context.Context, a *Attempt, sub *subject, key sum, adm *admission) (bool, error) {
	for range 2 {
		ok, err := s.verify(ctx, key, sub.hash, a.Password, adm.pair.network, adm.familiar)
		if !ok || err != nil || sub.account == nil {
			return false, err
		}
		fresh, err := s.config.Accounts.AccountByID(ctx, a.Kind, sub.account.ID)
		if models.Is(err, models.NotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		old := sub.hash
		*sub = *s.somebody(fresh)
		if sub.hash == old {
			s.cache.add(key, s.now())
			return true, nil
		}
		adm.stale = true
		key = s.passwordSum(a.Kind, sub.id, sub.hash, a.Password)
	}
	return false, nil
}

// record tells the database of an attempt, later.
func (s *Service) record(a *Attempt, sub *subject, network netip.Prefix, reason string) {
	now := s.now()
	l := models.Login{
		Name: clean(a.Name, maxLoginName), Protocol: a.Protocol, Network: models.NetworkName(network),
		Client: clean(a.Client, maxLoginClient), OK: reason == "", Reason: reason,
		Hour: models.At(now.Truncate(time.Hour)), FirstAt: models.At(now), LastAt: models.At(now), Count: 1,
	}
	switch {
	case sub == nil:
	case sub.account == nil:
		if reason == reasonBlocked || reason == reasonMany || reason == reasonBusy {
			l.Name = "" // one row, whatever number of names is tried
		}
	case sub.account.Kind == models.AccountUser:
		l.UserID = sub.account.ID
	default:
		l.MailboxID = sub.account.ID
	}
	s.recorder.add(l)
}
