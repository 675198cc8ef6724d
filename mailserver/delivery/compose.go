package delivery

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"strings"
	"time"
)

// Draft is a short message of plain text that the server writes.
type Draft struct {
	From, To  string // as in the header: "Postchi <postmaster@example.net>"
	Subject   string // any text
	Text      string // lines end in LF or CRLF
	Language  string // of Text; "" = not said
	InReplyTo string // message id without brackets, "" = none
	Submitted string // RFC 3834, section 5: auto-replied or auto-generated
	Hostname  string // behind @ in the Message-ID
	At        time.Time
}

// Compose prints a draft as a message: lines end in CRLF, nothing outside ASCII, and no text of
// the draft can make a header of its own.
func Compose(m Draft) []byte {
	var id [12]byte
	rand.Read(id[:])
	var b bytes.Buffer
	field := func(name, value string) {
		if value = oneLine(value); value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	field("Date", m.At.Format(time.RFC1123Z))
	field("From", m.From)
	field("To", m.To)
	field("Subject", mime.BEncoding.Encode("utf-8", oneLine(m.Subject)))
	field("Message-ID", "<"+hex.EncodeToString(id[:])+"@"+m.Hostname+">")
	if m.InReplyTo != "" {
		field("In-Reply-To", "<"+m.InReplyTo+">")
		field("References", "<"+m.InReplyTo+">")
	}
	field("Auto-Submitted", m.Submitted)
	field("X-Auto-Response-Suppress", "All")
	field("Content-Language", m.Language)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	writeBase64(&b, m.Text)
	return b.Bytes()
}

// oneLine makes a text fit for a header field.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// writeBase64 writes a text with CRLF line ends (RFC 2045, section 6.8: 76 characters a line).
func writeBase64(b *bytes.Buffer, text string) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	if !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	code := base64.StdEncoding.EncodeToString([]byte(text))
	for len(code) > 76 {
		b.WriteString(code[:76] + "\r\n")
		code = code[76:]
	}
	b.WriteString(code + "\r\n")
}
