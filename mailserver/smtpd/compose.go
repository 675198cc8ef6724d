package smtpd

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"io"
	"strings"
	"sync"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

var errLoop = models.Errorf(models.Invalid, "smtp.loop", "The message has passed through too many servers; it runs in a loop.")

var headerReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// readHeader reads the header of a received message.
func readHeader(sp *spool) (*mime.Header, error) {
	r := headerReaders.Get().(*bufio.Reader)
	defer headerReaders.Put(r)
	var all message
	all.addFrom(sp, 0, sp.size())
	r.Reset(io.NewSectionReader(&all, 0, all.total))
	h, err := mime.ReadHeader(r)
	r.Reset(nil)
	switch err.(type) {
	case nil:
		return h, nil
	case *mime.Error:
		return nil, malformedHeader(err)
	}
	return nil, models.Unavailablef(err, "The message could not be read.")
}

// compose makes the message that is stored out of what was received: a Received line in front;
// in submitted mail Date and Message-ID where they are missing (RFC 6409, sections 8.2 and 8.3),
// and no Bcc; in mail from other servers what the checks add and take out. Every other byte stays
// as it came. What there is to say of the message goes into e.
func (s *session) compose(e *delivery.Envelope, t *transaction, sp *spool) (*message, error) {
	h, err := readHeader(sp)
	if err != nil {
		return nil, err
	}
	t.remember(h)
	if len(h.All("Received")) > maxReceived {
		return nil, errLoop
	}
	var added []byte
	var cut []mime.Field
	if s.account != nil {
		if e.Author, err = s.checkHeader(h); err != nil {
			return nil, err
		}
		added = s.fixUp(s.received(nil, e.ID, t), e.ID, h)
		cut = append(h.All("Bcc"), h.All("Resent-Bcc")...)
	} else {
		if err := comesBack(h, t); err != nil {
			return nil, err
		}
		if added, cut, err = s.check(e, h, sp); err != nil {
			return nil, err
		}
		added = s.received(added, e.ID, t)
	}
	m := &message{pieces: make([]piece, 0, 4)}
	m.add(added)
	if !beginsWithField(h) {
		m.add(crlf) // else our line and the first of the body would be one header
	}
	addWithout(m, sp, cut)
	return m, nil
}

// remember keeps what the trace of a refusal says of the message.
func (t *transaction) remember(h *mime.Header) {
	if value, ok := h.Get("Subject"); ok {
		t.subject = mime.Subject([]byte(value))
	}
	if value, ok := h.Get("Message-ID"); ok {
		t.messageID = mime.MessageID([]byte(value))
	}
}

// fixUp appends the fields that a submitted message lacks.
func (s *session) fixUp(dst []byte, id models.ID, h *mime.Header) []byte {
	if _, ok := h.Get("Date"); !ok {
		dst = append(append(append(dst, "Date: "...), s.server.dateText()...), crlf...)
	}
	if _, ok := h.Get("Message-ID"); !ok {
		dst = append(append(append(dst, "Message-ID: "...), s.server.messageID(id)...), crlf...)
	}
	return dst
}

// messageID makes an id: ours are unique in one database only, so something random goes with it.
func (s *Server) messageID(id models.ID) string {
	var random [8]byte
	rand.Read(random[:])
	return "<" + id.String() + "." + hex.EncodeToString(random[:]) + "@" + s.config.Hostname + ">"
}

// dateText is the present time as RFC 5322, section 3.3, wants it.
func (s *Server) dateText() string { return s.at().Format("Mon, 02 Jan 2006 15:04:05 -0700") }

// beginsWithField tells whether the first line of the message is one of a header.
func beginsWithField(h *mime.Header) bool {
	fields := h.Fields()
	return len(fields) == 0 && h.Size() > 0 || len(fields) > 0 && fields[0].Name != ""
}

// addWithout appends the received message without some of its fields.
func addWithout(m *message, sp *spool, cut []mime.Field) {
	from := int64(0)
	for len(cut) > 0 {
		first := 0
		for i := range cut {
			if cut[i].Offset < cut[first].Offset {
				first = i
			}
		}
		f := cut[first]
		cut = append(cut[:first:first], cut[first+1:]...)
		m.addFrom(sp, from, int64(f.Offset))
		from = int64(f.Offset + len(f.Raw))
	}
	m.addFrom(sp, from, sp.size())
}

// received appends the trace line of RFC 5321, section 4.4, with the keyword of RFC 3848 and the
// cipher as RFC 8314, section 4.3, wants it. Submitted mail does not tell where its sender sits:
// unless that is switched on, the domain of the mailbox stands for the client.
func (s *session) received(dst []byte, id models.ID, t *transaction) []byte {
	c := &s.server.config
	dst = append(dst, "Received: from "...)
	if s.account != nil && !c.ClientAddress {
		dst = append(dst, s.account.Name[strings.LastIndexByte(s.account.Name, '@')+1:]...)
	} else {
		dst = append(dst, heloName(s.conn.Hostname())...)
		dst = append(dst, " ("+s.literal()+")"...)
	}
	dst = append(dst, "\r\n\tby "+c.Hostname+" (Postchi) with "+s.keyword()+" id "+id.String()...)
	if len(t.recipients) == 1 && t.accepted == 1 {
		dst = append(dst, "\r\n\tfor <"+t.recipients[0].Address+">"...)
	}
	if s.wire.tls != nil {
		dst = append(dst, "\r\n\ttls "+s.wire.cipher()...)
	}
	return append(dst, ";\r\n\t"+s.server.dateText()+"\r\n"...)
}

// keyword is the protocol of RFC 3848.
func (s *session) keyword() string {
	switch {
	case s.account != nil:
		return "ESMTPSA" // nobody logs in without TLS, and AUTH is ESMTP even after HELO
	case s.wire.tls != nil && s.wire.extended:
		return "ESMTPS"
	case s.wire.extended:
		return "ESMTP"
	}
	return "SMTP"
}

// literal is the client's address as an address literal (RFC 5321, section 4.1.3).
func (s *session) literal() string {
	if !s.wire.remote.IsValid() { // no TCP
		return "unknown"
	}
	if s.wire.remote.Is6() {
		return "[IPv6:" + s.wire.remote.WithZone("").String() + "]"
	}
	return "[" + s.wire.remote.String() + "]"
}

// maxHelo is the longest name of a client that is put into a header, in bytes.
const maxHelo = 255

// heloName returns what the client called itself, if it can stand in a header field: anybody
// can say anything there.
func heloName(name string) string {
	ok := name != "" && len(name) <= maxHelo && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_:[]", r))
	}) < 0
	if !ok {
		return "unknown"
	}
	return name
}
