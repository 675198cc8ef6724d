package imapd

import (
	"io"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// maxAppend is the most messages of one APPEND (RFC 3502).
const maxAppend = 200

// appending is one APPEND while it runs.
type appending struct {
	to       *mailstore.Folder
	quota    mailstore.Quota
	used     models.MailboxUsage
	messages []mailstore.Appended
}

// appendMessages answers APPEND: one message or several (RFC 3502), all or none. What will be
// refused for its size or the quota is refused before the client is asked to send it.
func (s *session) appendMessages(r *request) error {
	s.p.SP()
	name := s.p.Mailbox()
	if s.p.Err() != nil {
		return nil
	}
	a := &appending{}
	defer s.dropAppended(a)
	if err := s.prepareAppend(a, name); err != nil {
		return err
	}
	for s.p.Err() == nil && (len(a.messages) == 0 || s.p.Peek() == ' ') {
		if err := s.appendOne(a); err != nil {
			return err
		}
		if len(a.messages) >= maxAppend && !s.p.AtEnd() {
			return models.Errorf(models.Limited, "append.count", "At most %d messages can be added at once.", maxAppend)
		}
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	messages := a.messages
	a.messages = nil // the store settles their bytes
	validity, uids, err := s.store.Append(s.ctx, a.to.Place(), a.quota, messages...)
	if err != nil {
		return gone(err)
	}
	if s.box != nil && s.box.at.ID == a.to.ID {
		s.box.view.dirty.Store(true)
	}
	r.code = "APPENDUID " + itoa(int64(validity)) + " " + listOf(uids)
	return nil
}

func (s *session) prepareAppend(a *appending, name string) (err error) {
	if a.to, err = s.target(name); err != nil {
		return err
	}
	if a.quota, err = s.config.Accounts.Quota(s.ctx, s.account.ID); err != nil {
		return err
	}
	if a.quota == (mailstore.Quota{}) {
		return nil
	}
	used, err := s.store.Usage(s.ctx, s.account.ID)
	a.used = used[s.account.ID]
	return err
}

// dropAppended gives back the bytes of messages that were not kept.
func (s *session) dropAppended(a *appending) {
	staged := make([]blob.Staged, len(a.messages))
	for i, m := range a.messages {
		staged[i] = m.Blob
	}
	if len(staged) > 0 {
		s.config.Blobs.Discard(staged...)
	}
}

// appendOne takes one message with its flags and date.
func (s *session) appendOne(a *appending) error {
	var m mailstore.Appended
	s.p.SP()
	if s.p.Peek() == '(' {
		m.Flags, m.Keywords = splitFlags(s.p.Flags())
		s.p.SP()
	}
	if s.p.Peek() == '"' {
		m.Date = models.At(s.p.DateTime())
		s.p.SP()
	}
	wrapped := s.p.UTF8Literal()
	l := s.p.Literal()
	if s.p.Err() != nil {
		return s.p.Err()
	}
	if err := s.fits(a, l.Size); err != nil {
		return err
	}
	if !s.p.Take(l) {
		return s.p.Err()
	}
	s.transfer(true)
	letter, err := receive(&s.in, l.Size, s.config.SpoolDir)
	s.transfer(false)
	if err == nil {
		defer letter.Close()
	}
	if _, ended := err.(endSession); ended {
		return err
	}
	if err == nil {
		err = s.keep(a, m, letter, l)
	}
	s.p.AfterLiteral()
	if wrapped {
		s.p.Expect(')')
	}
	return err // literals that follow are skipped, or never asked for
}

// fits refuses a message that is too large or over the quota, together with those before it.
// The store looks at the quota again; this spares sending in vain.
func (s *session) fits(a *appending, size int64) error {
	if size > s.config.MaxMessage {
		return models.Errorf(models.TooLarge, "append.size", "Messages may have at most %d bytes.", s.config.MaxMessage)
	}
	if size == 0 {
		return models.Errorf(models.Invalid, "append.empty", "A message cannot be empty.")
	}
	a.used.Bytes += size
	a.used.Messages++
	if q := a.quota; q.Bytes > 0 && a.used.Bytes > q.Bytes || q.Messages > 0 && a.used.Messages > q.Messages {
		return models.Errorf(models.Full, "mailbox.full", "The mailbox is full.")
	}
	return nil
}

// keep makes the bytes of a message durable.
func (s *session) keep(a *appending, m mailstore.Appended, letter letter, l wire.Literal) error {
	if nul, err := hasNUL(letter, l.Size); err != nil {
		return spoolFailed("read", err)
	} else if nul {
		// RFC 9051, section 4.3.1: a message here is text, and only its parts may be binary,
		// in an encoding of their own.
		return models.Errorf(models.Invalid, "append.nul", "A message with NUL bytes cannot be stored.")
	}
	contents, err := mime.Build(letter, l.Size)
	if err != nil {
		return spoolFailed("read", err)
	}
	m.Contents = contents
	m.Blob, err = s.config.Blobs.Put(s.ctx, io.NewSectionReader(letter, 0, l.Size), l.Size)
	if err != nil {
		return modelOf(err)
	}
	a.messages = append(a.messages, m)
	return nil
}
