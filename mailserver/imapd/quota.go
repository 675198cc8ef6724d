package imapd

import (
	"github.com/postchi/postchi/models"
)

// quotaRoot is the one quota root (RFC 9208): the mailbox as a whole.
const quotaRoot = "mailbox"

// getQuota answers GETQUOTA.
func (s *session) getQuota(*request) error {
	s.p.SP()
	root := s.p.AString()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	if root != quotaRoot {
		return models.Errorf(models.NotFound, "quota.root", "There is no such quota root.")
	}
	return s.writeQuota()
}

// getQuotaRoot answers GETQUOTAROOT. RFC 9208, section 4.1.3: the mailbox need not be there.
func (s *session) getQuotaRoot(*request) error {
	s.p.SP()
	name := s.p.Mailbox()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	s.out.WriteString("* QUOTAROOT ")
	s.out.Mailbox(name)
	s.out.WriteString(" " + quotaRoot + "\r\n")
	return s.writeQuota()
}

// setQuota answers SETQUOTA, which nobody may: quotas are set in the panel.
func (s *session) setQuota(*request) error {
	s.p.SP()
	s.p.AString()
	s.p.SP()
	s.p.List(func() {
		s.p.Atom()
		s.p.SP()
		s.p.Number64()
	})
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	return models.Errorf(models.Denied, "quota.set", "The quota cannot be changed here.")
}

// writeQuota writes the resources that are limited; STORAGE counts in KiB, rounded up so that
// what is over the limit shows as that.
func (s *session) writeQuota() error {
	q, err := s.config.Accounts.Quota(s.ctx, s.account.ID)
	if err != nil {
		return err
	}
	used, err := s.store.Usage(s.ctx, s.account.ID)
	if err != nil {
		return err
	}
	u := used[s.account.ID]
	s.out.WriteString("* QUOTA " + quotaRoot + " (")
	space := ""
	if q.Bytes > 0 {
		s.out.Strings("STORAGE ", itoa((u.Bytes+1023)/1024), " ", itoa(q.Bytes/1024))
		space = " "
	}
	if q.Messages > 0 {
		s.out.Strings(space, "MESSAGE ", itoa(u.Messages), " ", itoa(q.Messages))
	}
	s.out.WriteString(")\r\n")
	return nil
}
