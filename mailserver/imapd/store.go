package imapd

import (
	"strings"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

var storeModes = [...]mailstore.FlagMode{wire.StoreAdd: mailstore.AddFlags, wire.StoreRemove: mailstore.RemoveFlags, wire.StoreReplace: mailstore.ReplaceFlags}

// splitFlags parts system flags from keywords.
func splitFlags(names []string) (flags mailstore.Flags, keywords []string) {
next:
	for _, n := range names {
		for _, f := range systemFlags {
			if n == f.name {
				flags |= f.bit
				continue next
			}
		}
		keywords = append(keywords, n)
	}
	return flags, keywords
}

// storeFlags answers STORE and UID STORE, conditional (RFC 7162) or not.
func (s *session) storeFlags(r *request) error {
	wanted := s.setArgument()
	s.p.SP()
	st := s.p.Store()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	b := s.box
	if err := b.writable(); err != nil {
		return err
	}
	set, err := s.set(wanted, r.uid)
	if err != nil {
		return err
	}
	if st.Conditional {
		s.condStore = true
	}
	change := mailstore.FlagChange{Mode: storeModes[st.Mode], Conditional: st.Conditional, UnchangedSince: mailstore.ModSeq(min(st.UnchangedSince, 1<<63-1))}
	change.Flags, change.Keywords = splitFlags(st.Flags)
	done, err := s.store.SetFlags(s.ctx, b.view.place, set, change)
	b.view.dirty.Store(true)
	if done != nil {
		s.tellStored(r, st, done)
	}
	if err != nil {
		return err
	}
	if len(done.Modified) > 0 {
		r.code, r.text = "MODIFIED "+s.numbers(done.Modified, r.uid), "Some messages were changed meanwhile"
	} else if !r.uid && b.known(set) > len(done.Messages) {
		return errExpunged()
	}
	return nil
}

// errExpunged says that a command named messages that are gone, which could not be announced
// yet: RFC 5530, EXPUNGEISSUED.
func errExpunged() error {
	return models.Errorf(models.NotFound, "imap.expunged", "Some of these messages were removed meanwhile.")
}

// tellStored writes the flags that STORE made.
func (s *session) tellStored(r *request, st wire.Store, done *mailstore.Flagged) {
	b, at := s.box, 0
	if len(done.Messages) > 0 {
		s.tellKeywords(done.Words)
	}
	s.own = done.Messages
	if st.Silent && !s.condStore {
		return
	}
	for _, f := range done.Messages {
		seq := b.find(f.UID, at)
		if seq == 0 {
			continue
		}
		at = seq
		if !st.Silent {
			s.writeFlags(seq, f, r.uid)
			continue
		}
		// RFC 7162, section 3.1.3: the new modseq is told even then.
		s.out.WriteString("* ")
		s.out.Int(int64(seq))
		s.out.WriteString(" FETCH (")
		if r.uid || s.qresync || s.rev2 {
			s.out.WriteString("UID ")
			s.out.Int(int64(f.UID))
			s.out.WriteString(" ")
		}
		s.out.WriteString("MODSEQ (")
		s.out.Int(int64(f.ModSeq))
		s.out.WriteString("))\r\n")
	}
}

// numbers writes a set as the client counts.
func (s *session) numbers(set mailstore.Set, uid bool) string {
	if uid {
		return rangesOf(set)
	}
	var seqs wire.Set
	at := 0
	for _, r := range set {
		for u := r.First; u <= r.Last; u++ {
			if seq := s.box.find(u, at); seq != 0 {
				at = seq
				if n := len(seqs.Ranges); n > 0 && seqs.Ranges[n-1].Last+1 == uint32(seq) {
					seqs.Ranges[n-1].Last++
					continue
				}
				seqs.Ranges = append(seqs.Ranges, wire.Range{First: uint32(seq), Last: uint32(seq)})
			}
		}
	}
	return seqs.String()
}

// rangesOf writes a set of UIDs.
func rangesOf(set mailstore.Set) string {
	var b strings.Builder
	for i, r := range set {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(itoa(int64(r.First)))
		if r.Last != r.First {
			b.WriteByte(':')
			b.WriteString(itoa(int64(r.Last)))
		}
	}
	return b.String()
}
