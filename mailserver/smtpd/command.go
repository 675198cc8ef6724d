package smtpd

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"strconv"
	"strings"
)

var crlf = []byte("\r\n")

// inspect looks at a line before go-smtp does, and returns what it is to get: the line, another
// in its place, or nothing if the line was answered here.
func (w *wire) inspect(line []byte) []byte {
	text, ok := bytes.CutSuffix(line, crlf)
	if !ok || bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, 0) >= 0 {
		return w.malformed(text)
	}
	if w.sasl {
		return w.response(line, text)
	}
	verb, arg, _ := bytes.Cut(text, []byte(" "))
	w.verb, w.arg = strings.ToUpper(string(verb)), string(bytes.TrimSpace(arg))
	switch {
	case w.verb == "EHLO" || w.verb == "HELO":
		w.extended = w.verb == "EHLO"
	case strings.HasPrefix(w.verb, "STARTTLS"): // go-smtp takes anything that begins so
		w.startTLS()
		return nil
	case strings.HasPrefix(w.verb, "BDAT"):
		return w.bdat(line)
	case w.verb == "MAIL":
		return w.mail(line)
	case w.verb == "AUTH":
		return w.authCommand(line)
	case isHTTP(w.verb):
		w.finish("554 5.5.1 This is a mail server, it does not speak HTTP.")
		return nil
	}
	return line
}

// malformed answers a line with bare CR, bare LF or NUL. RFC 5321, section 2.3.8: only CRLF ends
// a line. TLS on a port where it begins with STARTTLS looks like this too.
func (w *wire) malformed(text []byte) []byte {
	w.sasl = false
	if len(text) > 2 && text[0] == 0x16 && text[1] == 3 && w.tls == nil {
		w.log.Info("client began with tls where starttls comes first")
		w.shut(false)
		return nil
	}
	w.verb, w.arg = "", ""
	w.say(500, "5.5.2", "Lines must end with CR LF and hold no other CR, LF or NUL.")
	return nil
}

// response passes a client's answer to a challenge on. go-smtp would answer bad base64 as if it
// were our fault; told that the client gives up, it says 501 as RFC 4954, section 4, wants.
func (w *wire) response(line, text []byte) []byte {
	w.sasl = false
	if !isBase64(string(text)) {
		return []byte("*\r\n")
	}
	return line
}

func isBase64(s string) bool {
	if s == "=" || s == "*" {
		return true
	}
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}

// authCommand looks at an initial response for the same reason.
func (w *wire) authCommand(line []byte) []byte {
	if fields := strings.Fields(w.arg); len(fields) > 2 || len(fields) == 2 && !isBase64(fields[1]) {
		w.say(501, "5.5.2", "The initial response is not base64.")
		return nil
	}
	return line
}

// mail answers a SIZE that go-smtp cannot read (past 32 bits) with what RFC 1870 wants.
func (w *wire) mail(line []byte) []byte {
	for _, p := range strings.Fields(w.arg) {
		if len(p) > 5 && strings.EqualFold(p[:5], "SIZE=") {
			n, err := strconv.ParseUint(p[5:], 10, 64)
			tooLong := err != nil && len(p) < 25 && strings.Trim(p[5:], "0123456789") == ""
			if tooLong || err == nil && n > uint64(w.server.config.MaxMessage) {
				w.say(552, "5.3.4", w.server.tooLarge().Msg)
				return nil
			}
		}
	}
	return line
}

// isHTTP reports whether a command is one of HTTP's: a web browser can be made to send mail
// commands in a request's body.
func isHTTP(verb string) bool {
	switch verb {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "HOST:", "CONTENT-TYPE:", "CONTENT-LENGTH:", "USER-AGENT:":
		return true
	}
	return false
}

// startTLS turns the connection over to a new wire under TLS, served by a new session of
// go-smtp: whatever the client said in clear is forgotten (RFC 3207, section 4.2).
func (w *wire) startTLS() {
	switch {
	case w.verb != "STARTTLS" || w.arg != "":
		w.say(501, "5.5.4", "STARTTLS has no parameters.")
	case w.tls != nil:
		w.say(503, "5.5.1", "TLS is on already.")
	case w.server.config.TLS == nil:
		w.say(502, "5.5.1", "TLS is not available.")
	case w.r < w.w:
		// Sent in clear, to be read under TLS: an attack, or a client that would be open to one.
		w.log.Warn("commands pipelined behind starttls")
		w.finish("503 5.5.1 STARTTLS must be the last command of a group, closing the connection.")
	default:
		w.upgrade()
	}
}

func (w *wire) upgrade() {
	w.say(220, "2.0.0", "Ready to start TLS")
	if err := w.flush(); err != nil {
		w.fail(err)
		return
	}
	next := newWire(w.server, tls.Server(w.raw, w.server.config.TLS))
	next.mute = true // there is no second greeting
	next.errors, next.failures = w.errors, w.failures
	w.mu.Lock()
	w.handed, w.closed = true, true
	w.mu.Unlock()
	w.server.begin(next) // before forget: Shutdown must see one of the two
	w.server.forget(w)
}
