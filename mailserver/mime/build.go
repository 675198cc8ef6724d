package mime

import (
	"io"
	"sync"
	"time"
)

// Contents is what is kept of a message beside its bytes.
type Contents struct {
	Version   int
	Envelope  []byte // for DecodeEnvelope; at most MaxEnvelope bytes
	Structure []byte // for DecodeStructure; nil if it would pass MaxStructure bytes: then see BuildStructure

	// Preview is the beginning of the text that a person reads, at most MaxPreview characters, without line breaks and
	// control characters. RFC 8970.
	Preview string
	// BaseSubject is the base subject of RFC 5256 section 2.1 as a key for sorting and comparing: decoded, folded by
	// Casemap, at most MaxBaseSubject bytes.
	BaseSubject string
	// SentDate is the time in Date, in the sender's zone, which SENTON and its kin want; zero if there is none or it
	// cannot be read.
	SentDate time.Time
	// MessageID is the id in Message-ID without angle brackets, "" if there is none.
	MessageID string
	// References has the ids of References without angle brackets, or else the first of In-Reply-To (RFC 5256 section 3,
	// REFERENCES step 1.A); of more than MaxReferences the first and the latest.
	References []string
	// ThreadID is the same positive number for all messages of a thread whose first message is named in References; 0 if
	// the message has no ids at all. It is a hash, the same in every process and version.
	ThreadID int64
}

// Build reads a message of size bytes once and returns its contents. Any bytes are a message: the error is one of r, or
// io.ErrUnexpectedEOF if r has fewer than size bytes. Memory is bounded whatever the size.
func Build(r io.ReaderAt, size int64) (*Contents, error) {
	b := builders.Get().(*builder)
	defer builders.Put(b)
	b.reset(r, size, b.ar.buf)
	defer b.release()
	root := &Part{}
	if err := b.message(root); err != nil {
		return nil, err
	}
	c := &Contents{Version: Version}
	var err error
	if c.Preview, err = b.preview(); err != nil {
		return nil, err
	}
	b.scratch = b.env.append(append(b.scratch[:0], Version), MaxEnvelope)
	c.Envelope = append([]byte(nil), b.scratch...)
	if enc := root.appendEncoded(b.scratch[:0]); enc != nil {
		b.scratch, c.Structure = enc, append([]byte(nil), enc...)
	}
	b.keys(c)
	return c, nil
}

// BuildStructure reads a message once and returns its tree of parts, also where it is too large for Contents.Structure.
// Errors are as with Build.
func BuildStructure(r io.ReaderAt, size int64) (*Part, error) {
	b := &builder{}
	b.reset(r, size, nil)
	defer b.release()
	root := &Part{}
	if err := b.message(root); err != nil {
		return nil, err
	}
	return root, nil
}

// keys fills what is derived from the fields of the header.
func (b *builder) keys(c *Contents) {
	c.BaseSubject = subjectKey(b.env.Subject)
	c.SentDate = ParseDate(b.env.Date)
	c.MessageID = MessageID(b.env.MessageID)
	c.References = b.references
	if len(c.References) == 0 {
		if id, _ := nextID(b.env.InReplyTo); id != "" {
			c.References = []string{id}
		}
	}
	c.ThreadID = threadID(c)
}

// builder is the state of one pass.
type builder struct {
	win    window
	pos    int64 // next byte to look at
	lines  int64 // line feeds before pos
	bounds boundaries
	ar     arena
	parts  int

	env        Envelope // of the message itself
	addresses  int      // budget of env
	enclosed   int      // budget of all envelopes inside
	references []string

	inside      int   // message parts around the present one
	plain, html *Part // candidates for the preview
	scratch     []byte
	text        []byte // for the preview
}

var builders = sync.Pool{New: func() any { return new(builder) }}

func (b *builder) reset(r io.ReaderAt, size int64, buf []byte) {
	*b = builder{
		win: openWindow(r, size), ar: arena{buf: buf[:0], left: maxRetained}, bounds: b.bounds,
		addresses: MaxAddresses, enclosed: MaxAddresses, scratch: b.scratch[:0], text: b.text[:0],
	}
}

// release lets go of the message and keeps buffers of usual size for the next one.
func (b *builder) release() {
	b.win.close()
	b.bounds.cut(0)
	next := builder{bounds: b.bounds}
	if cap(b.ar.buf) <= 4*arenaChunk {
		next.ar.buf = b.ar.buf[:0]
	}
	if cap(b.scratch) <= MaxStructure {
		next.scratch = b.scratch
	}
	if cap(b.text) <= MaxStructure {
		next.text = b.text
	}
	*b = next
}

// message reads the whole message.
func (b *builder) message(root *Part) error {
	_, err := b.entity(root, &b.env, &b.addresses, false, 0)
	return err
}
