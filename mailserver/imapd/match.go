package imapd

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// node is a search key made ready for many messages.
type node struct {
	key      wire.Key
	args     []*node
	set      mailstore.Set
	flags    mailstore.Flags
	keywords int64
	from     models.Micros // internal dates: from ≤ date < until
	until    models.Micros
	day      time.Time
	number   int64
	needle   []byte
	field    string
	index    int // of BODY and TEXT: the needle's place in the finder
}

// compiler makes nodes of a program.
type compiler struct {
	s       *session
	charset string
	needles [][]byte
	err     error
}

// finder returns a finder of all texts that BODY and TEXT look for.
func (c *compiler) finder() *finder { return newFinder(c.needles) }

func (c *compiler) node(w *wire.Search) *node {
	n := &node{key: w.Key, number: int64(w.Number), field: w.Field, day: w.Date}
	for _, a := range w.Args {
		n.args = append(n.args, c.node(a))
	}
	switch w.Key {
	case wire.KeySeq, wire.KeyUID:
		set, err := c.s.set(w.Set, w.Key == wire.KeyUID)
		if err != nil && c.err == nil {
			c.err = err
		}
		n.set = set
	case wire.KeyFlag:
		c.flag(n, w.Text)
	case wire.KeyBefore, wire.KeyOn, wire.KeySince:
		n.days(w.Key, w.Date)
	case wire.KeyRecent:
		if !c.s.rev2 {
			n.number = int64(c.s.box.recentFrom)
		}
	case wire.KeyEmailID, wire.KeyThreadID:
		n.field = w.Text
	case wire.KeyHeader, wire.KeyFrom, wire.KeyTo, wire.KeyCc, wire.KeyBcc, wire.KeySubject, wire.KeyBody, wire.KeyText:
		n.needle = c.text(w.Text)
	}
	if w.Key == wire.KeyBody || w.Key == wire.KeyText {
		// TEXT is found in the header or the body: the same needle in one place for each.
		n.index = len(c.needles)
		c.needles = append(c.needles, n.needle)
	}
	return n
}

func (c *compiler) flag(n *node, name string) {
	flags, words := splitFlags([]string{name})
	n.flags = flags
	for _, w := range words {
		n.keywords = -1 << 63 // no message has it
		for i, have := range c.s.box.at.Keywords {
			if strings.EqualFold(have, w) {
				n.keywords = 1 << i
			}
		}
	}
}

// days is what a day means for internal dates, which are told in UTC.
func (n *node) days(key wire.Key, day time.Time) {
	start, end := models.Micros(day.UnixMicro()), models.Micros(day.AddDate(0, 0, 1).UnixMicro())
	const always = models.Micros(1<<63 - 1)
	switch key {
	case wire.KeyBefore:
		n.from, n.until = -always, start
	case wire.KeyOn:
		n.from, n.until = start, end
	case wire.KeySince:
		n.from, n.until = start, always
	}
}

// text folds a text, which is in the charset that the client named.
func (c *compiler) text(s string) []byte {
	switch c.charset {
	case "", "UTF-8", "US-ASCII":
	default:
		if !mime.KnownCharset(c.charset) {
			if c.err == nil {
				c.err = models.Errorf(models.Invalid, "search.charset", "That charset is not known here.")
			}
			return nil
		}
		s = mime.ToUTF8([]byte(s), c.charset)
	}
	return foldString(s)
}

// match says whether a message matches, as far as it is looked at.
func (n *node) match(sub *subject, d depth) verdict {
	switch n.key {
	case wire.KeyAnd:
		return n.all(sub, d)
	case wire.KeyOr:
		a := n.args[0].match(sub, d)
		if a == yes {
			return yes
		}
		b := n.args[1].match(sub, d)
		if b == yes || a == no {
			return b
		}
		return unknown
	case wire.KeyNot:
		return [...]verdict{unknown: unknown, yes: no, no: yes}[n.args[0].match(sub, d)]
	}
	if v := n.row(sub); v != unknown || d == byRow {
		return v
	}
	if v := n.contents(sub); v != unknown || d == byContents {
		return v
	}
	return n.bytes(sub)
}

func (n *node) all(sub *subject, d depth) verdict {
	v := yes
	for _, a := range n.args {
		switch a.match(sub, d) {
		case no:
			return no
		case unknown:
			v = unknown
		}
	}
	return v
}

// row answers what the row of a message tells.
func (n *node) row(sub *subject) verdict {
	m := sub.m
	switch n.key {
	case wire.KeySeq, wire.KeyUID:
		return verdictOf(n.set.Contains(m.UID))
	case wire.KeyFlag:
		return verdictOf(m.Flags&n.flags == n.flags && m.Keywords&n.keywords == n.keywords)
	case wire.KeyBefore, wire.KeyOn, wire.KeySince:
		return verdictOf(m.InternalDate >= n.from && m.InternalDate < n.until)
	case wire.KeyLarger:
		return verdictOf(m.Size > n.number)
	case wire.KeySmaller:
		return verdictOf(m.Size < n.number)
	case wire.KeyModSeq:
		return verdictOf(int64(m.ModSeq) >= n.number)
	case wire.KeyEmailID:
		return verdictOf(objectID('M', m.EmailID) == n.field)
	case wire.KeyRecent:
		return verdictOf(n.number != 0 && int64(m.UID) >= n.number)
	}
	return unknown
}

// contents answers what mime has made of a message.
func (n *node) contents(sub *subject) verdict {
	switch n.key {
	case wire.KeyThreadID:
		return verdictOf(sub.c.ThreadID != 0 && objectID('T', models.ID(sub.c.ThreadID)) == n.field)
	case wire.KeySentBefore, wire.KeySentOn, wire.KeySentSince:
		return n.sent(sub.c.SentDate)
	case wire.KeyHeader:
		if strings.EqualFold(n.field, "Message-ID") && sub.envelope() != nil {
			id := sub.env.MessageID
			return verdictOf(id != nil && bytes.Contains(foldString(string(id)), n.needle))
		}
		return unknown
	}
	e := sub.envelope()
	if e == nil {
		return unknown
	}
	switch n.key {
	case wire.KeySubject:
		return verdictOf(e.Subject != nil && bytes.Contains(foldString(mime.DecodeWords(e.Subject)), n.needle))
	case wire.KeyFrom:
		return n.addresses(e.From)
	case wire.KeyTo:
		return n.addresses(e.To)
	case wire.KeyCc:
		return n.addresses(e.Cc)
	case wire.KeyBcc:
		return n.addresses(e.Bcc)
	}
	return unknown
}

func (sub *subject) envelope() *mime.Envelope {
	if sub.env == nil {
		e, err := mime.DecodeEnvelope(sub.c.Envelope)
		if err != nil {
			e = &mime.Envelope{}
		}
		sub.env = e
	}
	return sub.env
}

// sent compares days without their zones (RFC 9051, section 6.4.4). A message without a date
// was sent on none.
func (n *node) sent(t time.Time) verdict {
	if t.IsZero() {
		return no
	}
	y, m, d := t.Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	switch n.key {
	case wire.KeySentBefore:
		return verdictOf(day.Before(n.day))
	case wire.KeySentOn:
		return verdictOf(day.Equal(n.day))
	}
	return verdictOf(!day.Before(n.day))
}

// addresses looks for the text in each address as people write it.
func (n *node) addresses(list []mime.Address) verdict {
	var b []byte
	for i := range list {
		a := &list[i]
		b = append(b[:0], mime.DecodeWords(a.Name)...)
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(append(append(append(append(b, '<'), a.Mailbox...), '@'), a.Host...), '>')
		if bytes.Contains(foldString(string(b)), n.needle) {
			return yes
		}
	}
	return no
}

// headerField is a field of a message's header.
type headerField struct {
	name  string
	value []byte // decoded and folded
}

// bytes answers what needs the message itself, which decide has read.
func (n *node) bytes(sub *subject) verdict {
	switch n.key {
	case wire.KeyHeader:
		for _, f := range sub.header {
			if strings.EqualFold(f.name, n.field) && bytes.Contains(f.value, n.needle) {
				return yes
			}
		}
		return no
	case wire.KeyBody, wire.KeyText:
		return verdictOf(sub.finder.found[n.index])
	}
	return no
}

// has reports whether a key is anywhere in the program.
func (n *node) has(key wire.Key) bool {
	if n.key == key {
		return true
	}
	for _, a := range n.args {
		if a.has(key) {
			return true
		}
	}
	return false
}

// decide reads a message as far as a program needs it: its header, and its text once for all
// that is looked for.
func (sub *subject) decide(root *node, f *finder) (verdict, error) {
	r, err := sub.s.store.Open(sub.s.ctx, sub.m)
	if err != nil {
		return no, err
	}
	defer r.Close()
	f.reset()
	sub.finder = f
	tree, err := sub.s.structure(sub.m, sub.c)
	if err != nil {
		return no, err
	}
	skip := int64(len(sub.m.Prefix))
	if root.has(wire.KeyHeader) {
		if err := sub.readHeader(r, skip+tree.HeaderLen); err != nil {
			return no, err
		}
	}
	if f.left > 0 {
		body := offsetReader{r, skip}
		if err := scanText(body, tree, f, false); err != nil {
			return no, err
		}
		if f.left > 0 && root.has(wire.KeyText) {
			sub.scanHeader(r, skip+tree.HeaderLen, root)
		}
	}
	return root.match(sub, byText), nil
}

// readHeader reads the header, prefix included.
func (sub *subject) readHeader(r io.ReaderAt, size int64) error {
	raw := make([]byte, min(size, mime.MaxHeaderBlock))
	if n, err := r.ReadAt(raw, 0); n < len(raw) {
		return models.Unavailablef(err, "A message cannot be read at the moment.")
	}
	eachField(raw, func(name, whole []byte) {
		if len(name) > 0 {
			value := whole[bytes.IndexByte(whole, ':')+1:]
			sub.header = append(sub.header, headerField{string(name), foldString(mime.DecodeWords(bytes.TrimSpace(value)))})
		}
	})
	return nil
}

// scanHeader looks in the header for what TEXT seeks; what BODY seeks is not to be found there.
func (sub *subject) scanHeader(r io.ReaderAt, size int64, root *node) {
	if sub.header == nil {
		if sub.readHeader(r, size) != nil {
			return
		}
	}
	root.each(func(n *node) {
		if n.key != wire.KeyText || sub.finder.found[n.index] {
			return
		}
		for _, f := range sub.header {
			if bytes.Contains(f.value, n.needle) || bytes.Contains(append(foldString(f.name+": "), f.value...), n.needle) {
				sub.finder.found[n.index] = true
				return
			}
		}
	})
}

func (n *node) each(fn func(*node)) {
	fn(n)
	for _, a := range n.args {
		a.each(fn)
	}
}

// scanText looks in the texts of a part and those below it. The headers of messages inside and
// of their parts belong to the body of the outermost one.
func scanText(r io.ReaderAt, p *mime.Part, f *finder, inside bool) error {
	if f.left == 0 {
		return nil
	}
	if inside && p.HeaderLen > 0 {
		raw := make([]byte, min(p.HeaderLen, mime.MaxHeaderBlock))
		if n, err := r.ReadAt(raw, p.Offset); n < len(raw) {
			return models.Unavailablef(err, "A message cannot be read at the moment.")
		}
		eachField(raw, func(_, whole []byte) {
			f.gap()
			io.WriteString(f, mime.DecodeWords(whole))
		})
		f.gap()
	}
	for _, child := range p.Children {
		if err := scanText(r, child, f, true); err != nil {
			return err
		}
	}
	if len(p.Children) > 0 || !strings.EqualFold(string(p.Type), "text") {
		return nil
	}
	f.gap()
	buf := pieces.Get().(*[32 << 10]byte)
	defer pieces.Put(buf)
	// The finder folds bytes that are no UTF-8 to U+FFFD, so nothing need make them that before.
	text := mime.NewRawTextReader(p, io.NewSectionReader(r, p.Body(), p.Size))
	for f.left > 0 {
		n, err := text.Read(buf[:])
		f.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return models.Unavailablef(err, "A message cannot be read at the moment.")
		}
	}
	return nil
}
