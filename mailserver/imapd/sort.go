package imapd

import (
	"cmp"
	"slices"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// sort answers SORT and UID SORT (RFC 5256), with RETURN (RFC 5267) or without.
func (s *session) sort(r *request) error {
	s.p.SP()
	by, prog := s.p.Sort()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	if err := knownCharset(prog.Charset); err != nil {
		return err
	}
	hits, err := s.runSearch(prog)
	if prog.Return.Save {
		s.saved = nil
	}
	if err != nil {
		return err
	}
	if err := s.sortHits(hits, by); err != nil {
		return err
	}
	if prog.Return.Save {
		s.save(prog.Return, hits)
	}
	numbers, highest := s.count(hits, r.uid, prog)
	if prog.Return.Given {
		s.writeESearch(r, prog.Return, numbers, highest, true)
		return nil
	}
	s.out.WriteString("* SORT")
	s.out.Numbers(numbers)
	if highest > 0 {
		s.out.Strings(" (MODSEQ ", itoa(int64(highest)), ")")
	}
	s.out.WriteString("\r\n")
	return nil
}

// knownCharset refuses a charset that cannot be read, whether a text is in it or not.
func knownCharset(name string) error {
	if name != "US-ASCII" && name != "UTF-8" && !mime.KnownCharset(name) {
		return models.Errorf(models.Invalid, "search.charset", "That charset is not known here.")
	}
	return nil
}

// keyed is a hit with what it is sorted by.
type keyed struct {
	hit
	sent         models.Micros
	subject      string
	from, to, cc string
	messageID    string
	references   []string
	reply        bool // its subject marks a reply or a forward
}

// sortHits puts hits in order; those that are equal stay by UID, which is by message number.
func (s *session) sortHits(hits []hit, by []wire.SortBy) error {
	contents := slices.ContainsFunc(by, func(b wire.SortBy) bool { return b.Key != wire.SortArrival && b.Key != wire.SortSize })
	keys, err := s.keys(hits, contents, false)
	if err != nil {
		return err
	}
	slices.SortStableFunc(keys, func(a, b keyed) int {
		for _, k := range by {
			if c := compareBy(k.Key, &a, &b); c != 0 {
				if k.Reverse {
					return -c
				}
				return c
			}
		}
		return 0
	})
	for i := range keys {
		hits[i] = keys[i].hit
	}
	return nil
}

func compareBy(key wire.SortKey, a, b *keyed) int {
	switch key {
	case wire.SortArrival:
		return cmp.Compare(a.date, b.date)
	case wire.SortSize:
		return cmp.Compare(a.size, b.size)
	case wire.SortDate:
		return cmp.Compare(a.sent, b.sent)
	case wire.SortSubject:
		return cmp.Compare(a.subject, b.subject)
	case wire.SortFrom:
		return cmp.Compare(a.from, b.from)
	case wire.SortTo:
		return cmp.Compare(a.to, b.to)
	}
	return cmp.Compare(a.cc, b.cc)
}

// keysBatch is how many contents are read at once.
const keysBatch = 512

// keys reads what hits are sorted or threaded by.
func (s *session) keys(hits []hit, contents, threads bool) ([]keyed, error) {
	out := make([]keyed, len(hits))
	for i, h := range hits {
		out[i] = keyed{hit: h, sent: h.date}
	}
	if !contents {
		return out, nil
	}
	for piece := range slices.Chunk(out, keysBatch) {
		ids := make([]models.ID, len(piece))
		for i := range piece {
			ids[i] = piece[i].blob
		}
		all, err := s.store.Contents(s.ctx, ids...)
		if err != nil {
			return nil, err
		}
		for i := range piece {
			if c := all[piece[i].blob]; c != nil {
				piece[i].take(c, threads)
			}
		}
	}
	return out, nil
}

// take takes over what is needed of the contents. RFC 5256, section 2.2: without a Date the
// internal date counts. Section 3: of addresses the local part of the first counts.
func (k *keyed) take(c *mime.Contents, threads bool) {
	if !c.SentDate.IsZero() {
		k.sent = models.Micros(c.SentDate.UnixMicro())
	}
	k.subject = c.BaseSubject
	e, err := mime.DecodeEnvelope(c.Envelope)
	if err != nil {
		return
	}
	if threads {
		k.messageID, k.references = c.MessageID, c.References
		_, k.reply = mime.BaseSubject(e.Subject)
		return
	}
	k.from, k.to, k.cc = firstLocal(e.From), firstLocal(e.To), firstLocal(e.Cc)
}

func firstLocal(list []mime.Address) string {
	if len(list) == 0 {
		return ""
	}
	return mime.Casemap(string(list[0].Mailbox))
}
