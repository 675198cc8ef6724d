package auth

import (
	"context"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	flushEvery = 250 * time.Millisecond
	retryAfter = 250 * time.Millisecond // when the database was away
	rowTimeout = 5 * time.Second
	lastFlush  = 5 * time.Second // for what is left at the end
)

// Run keeps blocks, records of attempts and open sessions in step with the database until ctx
// ends, then writes what is left and returns nil. Call it once.
func (s *Service) Run(ctx context.Context) error {
	if s.config.Watch != nil {
		stop := s.config.Watch.Watch(s.changes)
		defer stop()
	}
	s.again(s.reload)
	var others sync.WaitGroup
	others.Go(func() { s.keepSessions(ctx) })
	others.Go(func() { s.keepBlocks(ctx) })
	s.keepRecords(ctx)
	others.Wait()
	s.stop()
	s.rehashed.slot <- struct{}{} // none is being made, and none will be
	return nil
}

func (s *Service) again(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// changes is told by the database what has changed. It only notes: others wait to be told too.
func (s *Service) changes(list []db.Change) {
	for _, c := range list {
		switch c.Kind {
		case db.ChangedAll:
			s.again(s.reload)
			s.sessions.touch(s.now(), func(accountKey, *models.Account) bool { return true })
		case db.ChangedLimits:
			s.again(s.reload)
		case db.ChangedCustomer:
			s.sessions.touch(s.now(), func(_ accountKey, a *models.Account) bool { return a.CustomerID == c.ID })
		case db.ChangedMailbox:
			s.sessions.touchOne(s.now(), accountKey{models.AccountMailbox, c.ID})
		case db.ChangedUser:
			s.sessions.touchOne(s.now(), accountKey{models.AccountUser, c.ID})
		}
	}
}

// touch marks the accounts with open sessions that match.
func (r *sessions) touch(now time.Time, match func(accountKey, *models.Account) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = now
	for key, open := range r.open {
		for sess := range open {
			if match(key, sess.info.Account) {
				r.mark(key)
			}
			break // they share the account
		}
	}
}

func (r *sessions) touchOne(now time.Time, key accountKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = now
	if len(r.open[key]) > 0 {
		r.mark(key)
	}
}

// takeDirty returns the accounts to be read again, each once however often it has changed.
func (r *sessions) takeDirty() []accountKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]accountKey, 0, len(r.dirty))
	for key := range r.dirty {
		keys = append(keys, key)
	}
	clear(r.dirty)
	return keys
}

func (r *sessions) putDirty(keys []accountKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		r.dirty[key] = struct{}{}
	}
}

// keepSessions reads the rows of accounts that have changed and ends the sessions they no
// longer allow. A row that cannot be read ends nobody: it is read again a little later.
func (s *Service) keepSessions(ctx context.Context) {
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.sessions.wake:
		case <-retry:
		}
		retry = nil
		keys := s.sessions.takeDirty()
		for i, key := range keys {
			if err := s.recheck(ctx, key); err != nil {
				s.log.Warn("account not read", "err", err)
				s.sessions.putDirty(keys[i:])
				retry = time.After(retryAfter)
				break
			}
		}
	}
}

// recheck reads one row and ends what it does not allow.
func (s *Service) recheck(ctx context.Context, key accountKey) error {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	account, err := s.config.Accounts.AccountByID(ctx, key.kind, key.id)
	switch {
	case models.Is(err, models.NotFound) || err == nil && account.Deleted:
		s.end(key, func(*models.Account) *models.Error { return errDeleted() })
	case err != nil:
		return err
	case account.LoginOff:
		s.end(key, func(*models.Account) *models.Error { return errSuspended(account.Reason) })
	default:
		s.end(key, func(then *models.Account) *models.Error {
			switch {
			case !s.rehashed.same(then.Hash, account.Hash):
				return errPasswordChanged()
			case then.Logouts != account.Logouts:
				return errLoggedOut()
			}
			return nil
		})
	}
	return nil
}

// end ends the sessions of an account for which why returns an error, given the account as it
// was at the log-in. They stay in the registry until they close.
func (s *Service) end(key accountKey, why func(*models.Account) *models.Error) {
	s.endIf(key, func(info *SessionInfo) *models.Error { return why(info.Account) })
}

// endIf is end for what only sessions differ in.
func (s *Service) endIf(key accountKey, why func(*SessionInfo) *models.Error) {
	r := s.sessions
	r.mu.Lock()
	defer r.mu.Unlock()
	for sess := range r.open[key] {
		if sess.ended {
			continue
		}
		if reason := why(&sess.info); reason != nil {
			sess.ended = true
			s.log.Info("session ended", "proto", string(sess.info.Protocol), "mailbox", sess.info.Account.Name, "reason", reason.Key)
			if sess.end != nil {
				go sess.end(reason)
			}
		}
	}
}

// keepBlocks saves new blocks and takes over those of other processes.
func (s *Service) keepBlocks(ctx context.Context) {
	var retry <-chan time.Time
	for {
		load := false
		select {
		case <-ctx.Done():
			return
		case <-s.guard.changed:
		case <-s.reload:
			load = true
		case <-retry:
			load = true
		}
		retry = nil
		err := s.saveBlocks(ctx)
		if err == nil && load {
			err = s.loadBlocks(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("blocks not kept", "err", err)
			retry = time.After(time.Second)
		}
	}
}

// keepRecords flushes attempts, the last time after ctx has ended.
func (s *Service) keepRecords(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			if err := s.flush(last); err != nil {
				s.log.Warn("log-ins not recorded", "err", err)
			}
			return
		case <-tick.C:
		}
		err := s.flush(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Warn("log-ins not recorded", "err", err) // once, not four times a second
		}
		failing = err != nil
	}
}
