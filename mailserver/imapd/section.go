package imapd

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// offsetReader reads from an offset on. Offsets of parts count from the blob, which follows the
// prefix of this copy.
type offsetReader struct {
	r    io.ReaderAt
	skip int64
}

func (o offsetReader) ReadAt(p []byte, off int64) (int, error) { return o.r.ReadAt(p, off+o.skip) }

// opened is a message whose sections are sent.
type opened struct {
	m    *mailstore.Message
	c    *mime.Contents
	r    mailstore.Reader
	tree *mime.Part
}

// sections writes the sections asked for.
func (x *fetching) sections(m *mailstore.Message, c *mime.Contents, item func(string)) error {
	if len(x.f.Sections) == 0 {
		return nil
	}
	r, err := x.s.store.Open(x.s.ctx, m)
	if err != nil {
		return err
	}
	defer r.Close()
	o := &opened{m: m, c: c, r: r}
	for i := range x.f.Sections {
		sec := &x.f.Sections[i]
		item("")
		x.s.text = append(sec.AppendName(x.s.text[:0]), ' ')
		x.s.out.Write(x.s.text)
		if err := x.section(o, sec); err != nil {
			return err
		}
	}
	return nil
}

func (x *fetching) section(o *opened, sec *wire.Section) error {
	if sec.Form == wire.FormBinary || sec.Form == wire.FormBinarySize {
		return x.binary(o, sec)
	}
	if wholeMessage(sec) {
		return x.s.piece(o.r, 0, o.r.Size(), sec)
	}
	if err := o.parse(x.s); err != nil {
		return err
	}
	kind := mime.SectionBody
	switch sec.Part {
	case wire.PartHeader, wire.PartFields, wire.PartFieldsNot:
		kind = mime.SectionHeader
	case wire.PartText:
		kind = mime.SectionText
	case wire.PartMIME:
		kind = mime.SectionMIME
	}
	at, ok := o.tree.Section(sec.Path, kind)
	if !ok {
		x.s.out.WriteString("NIL")
		return nil
	}
	from, size := at.Offset+int64(len(o.m.Prefix)), at.Length
	if len(sec.Path) == 0 && kind == mime.SectionHeader {
		from, size = 0, size+int64(len(o.m.Prefix)) // the prefix is a piece of the header
	}
	if sec.Part == wire.PartFields || sec.Part == wire.PartFieldsNot {
		return x.fields(o, from, size, sec)
	}
	return x.s.piece(o.r, from, size, sec)
}

func (o *opened) parse(s *session) (err error) {
	if o.tree == nil {
		o.tree, err = s.structure(o.m, o.c)
	}
	return err
}

// window applies <offset.count> to a size.
func window(sec *wire.Section, size int64) (from, count int64) {
	if !sec.Partial {
		return 0, size
	}
	from = min(sec.Offset, size)
	return from, min(sec.Count, size-from)
}

var pieces = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// piece sends bytes of a message as a literal, through a buffer of one size whatever theirs.
func (s *session) piece(r io.ReaderAt, from, size int64, sec *wire.Section) error {
	skip, count := window(sec, size)
	s.out.Literal(count)
	return s.copyOut(io.NewSectionReader(r, from+skip, count), count, false)
}

// copyOut sends exactly count bytes of r.
func (s *session) copyOut(r io.Reader, count int64, nul bool) error {
	buf := pieces.Get().(*[32 << 10]byte)
	defer pieces.Put(buf)
	for count > 0 {
		n, err := r.Read(buf[:min(count, int64(len(buf)))])
		if !nul {
			wire.WithoutNUL(buf[:n])
		}
		count -= int64(n)
		if _, failed := s.out.Write(buf[:n]); failed != nil {
			return endSession{failed}
		}
		if err != nil && count > 0 {
			return models.Unavailablef(err, "A message cannot be read at the moment.")
		}
	}
	return nil
}

// fields sends the header fields that are named, or all others, as they stand in the header,
// and the empty line after them.
func (x *fetching) fields(o *opened, from, size int64, sec *wire.Section) error {
	header := make([]byte, min(size, mime.MaxHeaderBlock))
	if n, err := o.r.ReadAt(header, from); n < len(header) {
		return models.Unavailablef(err, "A message cannot be read at the moment.")
	}
	kept := header[:0]
	eachField(header, func(name, whole []byte) {
		if named(sec.Fields, name) == (sec.Part == wire.PartFields) {
			kept = append(kept, whole...)
		}
	})
	kept = append(kept, "\r\n"...)
	skip, count := window(sec, int64(len(kept)))
	x.s.out.Literal(count)
	wire.WithoutNUL(kept)
	x.s.out.Write(kept[skip : skip+count])
	return nil
}

func named(fields []string, name []byte) bool {
	for _, f := range fields {
		if len(f) == len(name) && strings.EqualFold(f, string(name)) {
			return true
		}
	}
	return false
}

// eachField calls fn for every field of a header, with its continuation lines and line end. A
// line that is no field has no name.
func eachField(header []byte, fn func(name, whole []byte)) {
	for len(header) > 0 {
		end := 0
		for {
			i := bytes.IndexByte(header[end:], '\n')
			if i < 0 {
				end = len(header)
				break
			}
			if end += i + 1; end >= len(header) || header[end] != ' ' && header[end] != '\t' {
				break
			}
		}
		whole := header[:end]
		header = header[end:]
		if len(bytes.TrimRight(whole, "\r\n")) == 0 {
			return // the empty line
		}
		name, _, ok := bytes.Cut(whole, []byte{':'})
		if !ok {
			name = nil
		}
		fn(bytes.TrimRight(name, " \t"), whole)
	}
}

// binary sends a part without its transfer encoding, or its size (RFC 3516). The size stands
// before the bytes, so the part is decoded twice rather than held.
func (x *fetching) binary(o *opened, sec *wire.Section) error {
	if err := o.parse(x.s); err != nil {
		return err
	}
	at, ok := o.tree.Section(sec.Path, mime.SectionBody)
	part := o.tree.Find(sec.Path)
	if !ok || part == nil {
		x.s.out.WriteString("NIL")
		return nil
	}
	from, size, encoding := at.Offset+int64(len(o.m.Prefix)), at.Length, string(part.Encoding)
	if len(sec.Path) == 0 {
		from, size, encoding = 0, o.r.Size(), "" // the whole message is in no encoding
	}
	open := func() (io.Reader, bool) { return mime.NewDecoder(io.NewSectionReader(o.r, from, size), encoding) }
	r, known := open()
	if !known {
		x.unknown = true
		x.s.out.WriteString("NIL")
		return nil
	}
	var count counter
	if _, err := io.Copy(&count, r); err != nil {
		return models.Unavailablef(err, "A message cannot be read at the moment.")
	}
	if sec.Form == wire.FormBinarySize {
		x.s.out.Int(count.n)
		return nil
	}
	skip, n := window(sec, count.n)
	if count.nul {
		x.s.out.WriteString("~")
	}
	x.s.out.Literal(n)
	r, _ = open()
	if _, err := io.CopyN(io.Discard, r, skip); err != nil {
		return models.Unavailablef(err, "A message cannot be read at the moment.")
	}
	return x.s.copyOut(r, n, true)
}

// counter counts bytes.
type counter struct {
	n   int64
	nul bool
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	c.nul = c.nul || bytes.IndexByte(p, 0) >= 0
	return len(p), nil
}
