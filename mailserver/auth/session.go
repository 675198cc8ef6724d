package auth

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
)

// SessionInfo is what is known of a session that has logged in.
type SessionInfo struct {
	ID       int64           // within the process; set by Open
	Account  *models.Account // as Login returned it
	Protocol models.Protocol
	Remote   netip.Addr
	Client   string
	Since    time.Time // set by Open
}

// Session is an open session in the registry. Close must be called at its end.
type Session struct {
	service *Service
	info    SessionInfo
	network netip.Prefix
	end     func(*models.Error)
	ended   bool // end was called; under the registry's lock
	closed  bool
}

type accountKey struct {
	kind models.AccountKind
	id   models.ID
}

func keyOf(a *models.Account) accountKey { return accountKey{a.Kind, a.ID} }

// sessions is the registry of open sessions.
type sessions struct {
	perAccount, perNetwork int
	wake                   chan struct{} // there are dirty accounts

	mu      sync.Mutex
	open    map[accountKey]map[*Session]struct{}
	nets    map[netip.Prefix]int
	dirty   map[accountKey]struct{} // whose rows are to be read again
	changed time.Time               // some account changed last
	count   int
	last    int64 // id of a session
}

func newSessions(perAccount, perNetwork int) *sessions {
	return &sessions{
		perAccount: perAccount, perNetwork: perNetwork, wake: make(chan struct{}, 1),
		open: map[accountKey]map[*Session]struct{}{}, nets: map[netip.Prefix]int{}, dirty: map[accountKey]struct{}{},
	}
}

// openRace is how long after a change the row of a new session is read once more: the change
// may have been told between its log-in and its entry in the registry.
const openRace = 10 * time.Second

// Open enters a session after its log-in. end is called once, from a goroutine of its own and
// within a second, when the account may no longer be logged in: Suspended with login.suspended
// (arg reason) or login.suspended_bare, Denied with login.ended_password, login.ended_logout
// or login.ended_deleted. Errors: login.sessions and login.sessions_network (arg max) of kind
// Limited.
func (s *Service) Open(info SessionInfo, end func(reason *models.Error)) (*Session, error) {
	info.Since = s.now()
	sess := &Session{service: s, info: info, network: models.Network(info.Remote), end: end}
	r := s.sessions
	r.mu.Lock()
	defer r.mu.Unlock()
	key := keyOf(info.Account)
	if r.perAccount >= 0 && len(r.open[key]) >= r.perAccount {
		return nil, models.Errorf(models.Limited, "login.sessions",
			"More than %d connections of this mailbox are open.", r.perAccount).With("max", r.perAccount)
	}
	if r.perNetwork >= 0 && r.nets[sess.network] >= r.perNetwork {
		return nil, models.Errorf(models.Limited, "login.sessions_network",
			"More than %d connections from your network are open.", r.perNetwork).With("max", r.perNetwork)
	}
	r.last++
	sess.info.ID = r.last
	if r.open[key] == nil {
		r.open[key] = map[*Session]struct{}{}
	}
	r.open[key][sess] = struct{}{}
	r.nets[sess.network]++
	r.count++
	if info.Since.Sub(r.changed) < openRace {
		r.mark(key)
	}
	return sess, nil
}

// Close takes the session out of the registry; again is harmless.
func (sess *Session) Close() {
	r := sess.service.sessions
	r.mu.Lock()
	defer r.mu.Unlock()
	if sess.closed {
		return
	}
	sess.closed = true
	r.count--
	key := keyOf(sess.info.Account)
	delete(r.open[key], sess)
	if len(r.open[key]) == 0 {
		delete(r.open, key)
	}
	if r.nets[sess.network]--; r.nets[sess.network] == 0 {
		delete(r.nets, sess.network)
	}
}

// Account reads the session's account again, as for the send switch at each message, with
// what Service.Account says of its age. Errors:
// login.ended_deleted of kind Denied when it is gone or in the bin, else kind Unavailable.
func (sess *Session) Account(ctx context.Context) (*models.Account, error) {
	return sess.service.Account(ctx, sess.info.Account.Kind, sess.info.Account.ID)
}

// Recent is an ability of Accounts: to answer for up to half a second what it has read before, if
// it has not been told of a change.
type Recent interface {
	RecentAccount(ctx context.Context, kind models.AccountKind, id models.ID) (*models.Account, error)
}

// Account reads an account as its row is now, or was a moment ago if Accounts are Recent. Errors
// are as for Session.Account.
func (s *Service) Account(ctx context.Context, kind models.AccountKind, id models.ID) (*models.Account, error) {
	read := s.config.Accounts.AccountByID
	if recent, ok := s.config.Accounts.(Recent); ok {
		read = recent.RecentAccount
	}
	account, err := read(ctx, kind, id)
	switch {
	case models.Is(err, models.NotFound) || err == nil && account.Deleted:
		return nil, errDeleted()
	case err != nil:
		return nil, unavailable(err)
	}
	return account, nil
}

// Live returns the open sessions of a mailbox, without its hash.
func (s *Service) Live(mailbox models.ID) []SessionInfo {
	r := s.sessions
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []SessionInfo
	for sess := range r.open[accountKey{models.AccountMailbox, mailbox}] {
		info := sess.info
		account := *info.Account
		account.Hash = ""
		info.Account = &account
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b SessionInfo) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// EndSession ends one session of a mailbox like Open's end does, with login.ended_logout; false
// if this process has no such session.
func (s *Service) EndSession(mailbox models.ID, id int64) (found bool) {
	s.endIf(accountKey{models.AccountMailbox, mailbox}, func(info *SessionInfo) *models.Error {
		if info.ID != id {
			return nil
		}
		found = true
		return errLoggedOut()
	})
	return found
}

// Named notes what the client calls itself when it says so after its log-in, as most do that
// speak IMAP. The record of the log-in gets the name if it was not written yet.
func (sess *Session) Named(client string) {
	s := sess.service
	client = clean(client, maxLoginClient)
	s.sessions.mu.Lock()
	before := sess.info
	sess.info.Client = client
	s.sessions.mu.Unlock()
	if client == "" || client == before.Client {
		return
	}
	now := s.now()
	s.recorder.rename(models.Login{
		MailboxID: before.Account.ID, Name: before.Account.Name, Protocol: before.Protocol, Network: models.NetworkName(sess.network),
		Client: clean(before.Client, maxLoginClient), OK: true,
		Hour: models.At(now.Truncate(time.Hour)), FirstAt: models.At(now), LastAt: models.At(now), Count: 1,
	}, client)
}

func (r *sessions) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// mark has an account's row read again; the lock is held.
func (r *sessions) mark(key accountKey) {
	r.dirty[key] = struct{}{}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
