package smtpd

import (
	"bytes"
	"fmt"
	"log/slog"
	"strconv"
)

// Write takes one line of a reply from go-smtp. Nothing is sent before more input is needed, so
// that the replies to a pipelined group go out together (RFC 2920, section 3.2).
func (w *wire) Write(p []byte) (int, error) {
	if w.isClosed() {
		return len(p), nil
	}
	code, last := replyCode(p)
	if w.mute {
		w.mute = !last
		return len(p), nil
	}
	w.out = w.appendReply(w.out, p)
	if last {
		w.answered(code, p)
	}
	if len(w.out) > outputSize {
		return len(p), w.flush()
	}
	return len(p), nil
}

// replyCode reads the code of a reply's line and whether it is the reply's last.
func replyCode(line []byte) (code int, last bool) {
	if len(line) < 4 {
		return 0, true
	}
	code, _ = strconv.Atoi(string(line[:3]))
	return code, line[3] != '-'
}

var (
	helloMany = []byte("250-Hello ")
	helloOne  = []byte("250 2.0.0 Hello ")
	outOfTurn = []byte("502 5.5.1 ")
	unknown   = []byte("command not implemented")
)

// appendReply appends a line, corrected where go-smtp departs from the standard: our name comes
// first in the answer to EHLO (RFC 5321, section 4.1.1.1), and a command out of turn is 503
// (section 4.2.4).
func (w *wire) appendReply(out, line []byte) []byte {
	switch {
	case bytes.HasPrefix(line, helloMany):
		return append(append(out, "250-"...), w.server.config.Hostname+"\r\n"...)
	case bytes.HasPrefix(line, helloOne):
		return append(append(out, "250 "...), w.server.config.Hostname+"\r\n"...)
	case bytes.HasPrefix(line, outOfTurn) && !bytes.Contains(line, unknown):
		return append(append(out, "503"...), line[3:]...)
	}
	return append(out, line...)
}

// say replies in place of go-smtp.
func (w *wire) say(code int, enhanced, text string) {
	line := fmt.Appendf(nil, "%d %s %s\r\n", code, enhanced, text)
	w.out = append(w.out, line...)
	w.answered(code, line)
}

// answered looks at a reply that was given: it counts refusals and ends connections that have
// too many of them.
func (w *wire) answered(code int, line []byte) {
	w.sasl = code == 334
	told := w.told
	w.told = false
	if code < 400 {
		return
	}
	if !told {
		w.server.refusedCommand(w, code, line)
	}
	if code >= 500 {
		w.errors++
	}
	switch {
	case w.failures >= w.server.config.MaxFailures:
		w.log.Info("too many failed log-ins", slog.Int("failures", w.failures))
		w.finish("421 4.7.0 Too many failed log-ins, closing the connection.")
	case w.errors >= w.maxErrors():
		w.log.Info("too many errors", slog.Int("errors", w.errors))
		w.finish("421 4.7.0 Too many errors, closing the connection.")
	case w.hangup:
		w.shut(true)
	}
}

// maxErrors is how many refused commands the connection may have. A mail program whose user
// writes to a long list of old addresses is not to be cut off.
func (w *wire) maxErrors() int {
	n := w.server.config.MaxErrors
	if w.session != nil && w.session.account != nil {
		n *= 10
	}
	return n
}
