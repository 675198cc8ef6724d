package dsn

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"
)

// Build makes the whole message: header, three parts; lines end in CRLF.
func (r *Report) Build() []byte {
	var b bytes.Buffer
	boundary := "report-" + r.ID
	r.header(&b, boundary)
	part := func(format string, args ...any) {
		fmt.Fprintf(&b, "--%s\r\n"+format, append([]any{boundary}, args...)...)
	}
	language := ""
	if r.Language == "fa" || r.Language == "en" {
		language = "Content-Language: " + r.Language + "\r\n"
	}
	part("Content-Type: text/plain; charset=utf-8\r\n%sContent-Transfer-Encoding: base64\r\n\r\n", language)
	wrapped(&b, []byte(r.words()))
	part("Content-Type: message/delivery-status\r\n\r\n")
	r.status(&b)
	b.WriteString("\r\n")
	if r.Message != nil && len(r.Message) <= MaxMessage {
		part("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: %s\r\n\r\n", encoding(r.Message))
		b.Write(r.Message)
	} else {
		header := headerOnly(r.Header)
		part("Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: %s\r\n\r\n", encoding(header))
		b.Write(header)
	}
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return b.Bytes()
}

func (r *Report) header(b *bytes.Buffer, boundary string) {
	fmt.Fprintf(b, "Date: %s\r\nFrom: %s <%s>\r\nTo: <%s>\r\n", r.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"), encoded(phrase(r.Language, "sender")), field(r.From), field(r.To))
	folded(b, "Subject", r.subject())
	fmt.Fprintf(b, "Message-ID: <%s.report@%s>\r\n", r.ID, r.Hostname)
	if id := field(r.MessageID); id != "" && len(id) < 900 && !strings.ContainsAny(id, " <>") {
		fmt.Fprintf(b, "In-Reply-To: <%s>\r\nReferences: <%s>\r\n", id, id)
	}
	// RFC 3834, section 5: nobody's vacation message should answer it.
	fmt.Fprintf(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"%s\"\r\n\r\n", boundary)
}

func (r *Report) subject() string {
	subject := strings.Join(strings.Fields(r.Subject), " ")
	if len(subject) > 200 {
		subject = strings.ToValidUTF8(subject[:200], "")
	}
	title := phrase(r.Language, "title."+string(r.Kind))
	if subject == "" {
		return title
	}
	return title + ": " + subject
}

// status writes the fields for programs (RFC 3464, sections 2.2 and 2.3).
func (r *Report) status(b *bytes.Buffer) {
	if r.EnvID != "" {
		fmt.Fprintf(b, "Original-Envelope-Id: %s\r\n", clip(r.EnvID, 300))
	}
	fmt.Fprintf(b, "Reporting-MTA: dns; %s\r\n", r.Hostname)
	if !r.Arrived.IsZero() {
		fmt.Fprintf(b, "Arrival-Date: %s\r\n", r.Arrived.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}
	for i := range r.Recipients {
		p := r.Recipients[i].concealed()
		b.WriteString("\r\n")
		if p.Original != "" {
			fmt.Fprintf(b, "Original-Recipient: %s\r\n", clip(p.Original, 600))
		}
		fmt.Fprintf(b, "Final-Recipient: rfc822; %s\r\nAction: %s\r\nStatus: %s\r\n", clip(p.Address, 400), r.Kind, r.statusOf(p))
		if p.Host != "" {
			fmt.Fprintf(b, "Remote-MTA: dns; %s\r\n", clip(p.Host, 255))
		}
		if p.Code != 0 {
			fmt.Fprintf(b, "Diagnostic-Code: smtp; %s\r\n", clip(answer(p), 900))
		}
		if !p.At.IsZero() {
			fmt.Fprintf(b, "Last-Attempt-Date: %s\r\n", p.At.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
		}
		if r.Kind == Delayed && !p.Until.IsZero() {
			fmt.Fprintf(b, "Will-Retry-Until: %s\r\n", p.Until.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
		}
	}
}

// statusOf is the enhanced code, of the class that the action demands.
func (r *Report) statusOf(p *Recipient) string {
	parts := strings.Split(p.Enhanced, ".")
	valid := len(parts) == 3
	for _, n := range parts {
		if _, err := strconv.ParseUint(n, 10, 16); err != nil {
			valid = false
		}
	}
	class := "2"
	switch r.Kind {
	case Failed:
		class = "5"
	case Delayed:
		class = "4"
	}
	switch {
	case valid && (parts[0] == class || r.Kind == Failed && parts[0] == "4"):
		return p.Enhanced
	case r.Kind == Failed && p.Code/100 == 4:
		return "4.4.7" // delivery time expired
	}
	return class + ".0.0"
}

// answer is a reply in one line.
func answer(p *Recipient) string {
	return strings.Join(strings.Fields(fmt.Sprintf("%d %s %s", p.Code, p.Enhanced, p.Text)), " ")
}

// clip makes a value of a field from what others said: one line of printable ASCII, cut.
func clip(s string, n int) string {
	s = field(s)
	return s[:min(len(s), n)]
}

// field is a value that can stand in a header: what is not printable ASCII becomes "?".
func field(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}

// headerOnly is a header without what follows it, cut to MaxHeader at a line's end.
func headerOnly(h []byte) []byte {
	if end := bytes.Index(h, []byte("\r\n\r\n")); end >= 0 {
		h = h[:end+2]
	}
	if len(h) > MaxHeader {
		h = h[:MaxHeader]
		h = h[:bytes.LastIndexByte(h, '\n')+1]
	}
	return h
}

// encoding says whether bytes over 127 are in it.
func encoding(b []byte) string {
	for _, c := range b {
		if c >= 0x80 {
			return "8bit"
		}
	}
	return "7bit"
}

// encoded is text for a header, in encoded words where needed (RFC 2047).
func encoded(s string) string { return mime.BEncoding.Encode("utf-8", s) }

// folded writes a field of text; encoded words that follow each other go on a line each.
func folded(b *bytes.Buffer, name, text string) {
	fmt.Fprintf(b, "%s: %s\r\n", name, strings.ReplaceAll(encoded(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, text)), "?= =?", "?=\r\n =?"))
}

func wrapped(b *bytes.Buffer, text []byte) {
	line := base64.StdEncoding.EncodeToString(text)
	for len(line) > 76 {
		b.WriteString(line[:76] + "\r\n")
		line = line[76:]
	}
	b.WriteString(line + "\r\n")
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
