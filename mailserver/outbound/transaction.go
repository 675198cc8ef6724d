package outbound

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"
)

// bodyGrace is how much longer than its size asks for a body may take.
const bodyGrace = 2 * time.Minute

// transaction is one message over a session, for some of its recipients.
type transaction struct {
	*session
	m        *Message
	size     int64
	eight    bool
	to       []int // of m.Recipients
	settle   func(i int, r Result)
	accepted []int
	heard    bool  // MAIL was answered
	spent    bool  // the session is of no more use, though nothing is at fault
	more     []int // the other side wants them in another transaction (RFC 5321, section 4.5.3.1.10)
}

// run sends the message. A fault says that the session is of no more use, and that recipients
// which were not settled may be tried at another host unless it is final.
func (t *transaction) run(ctx context.Context) *fault {
	stop := t.conn.watch(ctx)
	defer stop()
	if limit := t.limit(); limit > 0 && t.size > limit {
		t.heard = true
		t.all(t.to, t.place(permanent(ReasonSize, "5.3.4", "the message has %d bytes, and the host takes %d", t.size, limit)).result())
		return nil
	}
	begun, f := t.envelope(t.offers("PIPELINING"))
	if f == nil && begun {
		f = t.data()
	}
	if f != nil {
		return t.place(cutShort(ctx, f))
	}
	return nil
}

// envelope sends MAIL, RCPT and DATA (RFC 5321, section 3.3), together if the other side lets
// us (RFC 2920). begun says that the other side waits for the message now.
func (t *transaction) envelope(pipelined bool) (begun bool, f *fault) {
	steps := make([]string, 0, len(t.to)+2)
	steps = append(steps, t.mail())
	for _, i := range t.to {
		steps = append(steps, t.rcpt(i))
	}
	steps = append(steps, "DATA")
	if pipelined {
		for _, step := range steps {
			if f := t.write("%s", step); f != nil {
				return false, f
			}
		}
		if err := t.w.Flush(); err != nil {
			return false, broken(err, "sending the envelope")
		}
	}
	ask := func(n int) (*reply, *fault) {
		limit, doing := t.client.config.Timeouts.Command, "offering the message"
		if n == len(steps)-1 {
			limit, doing = t.client.config.Timeouts.Data, "beginning the message"
		}
		if pipelined {
			return t.read(limit, doing)
		}
		return t.command(doing, "%s", steps[n])
	}
	mail, f := ask(0)
	if f != nil {
		return false, f
	}
	t.heard = true
	if mail.class() != 2 {
		return false, t.refusedSender(mail)
	}
	for n, i := range t.to {
		answer, f := ask(n + 1)
		if f != nil {
			return false, f
		}
		if f := t.answered(i, answer); f != nil {
			return false, f
		}
	}
	if len(t.accepted) == 0 && !pipelined {
		return false, t.reset()
	}
	data, f := ask(len(steps) - 1)
	if f != nil {
		return false, f
	}
	return t.began(data)
}

// refusedSender settles all recipients if the sender was refused for good. What was sent behind
// MAIL is not waited for: the connection ends.
func (t *transaction) refusedSender(answer *reply) *fault {
	f := replied(answer)
	if f.status == Failed {
		t.all(t.to, t.place(f).result())
	}
	return f
}

// answered notes the reply to one RCPT.
func (t *transaction) answered(i int, answer *reply) *fault {
	switch {
	case answer.class() == 2:
		t.accepted = append(t.accepted, i)
	case answer.code == 421:
		return replied(answer)
	// Too many recipients. Some say 552, which RFC 5321, section 4.5.3.1.10, wants taken as 452.
	case len(t.accepted) > 0 && (answer.code == 452 && (answer.enhanced == "" || answer.enhanced == "4.5.3") || answer.code == 552 && answer.enhanced == "5.5.3"):
		t.more = append(t.more, i)
	default:
		t.settle(i, t.place(replied(answer)).result())
	}
	return nil
}

// began looks at the reply to DATA.
func (t *transaction) began(data *reply) (bool, *fault) {
	switch {
	case data.code == 354 && len(t.accepted) > 0:
		return true, nil
	case data.code == 354:
		// RFC 2920, section 3.1: nobody was accepted, and DATA was nevertheless. An empty message
		// for nobody ends it.
		if _, f := t.command("ending an empty message", "."); f != nil {
			return false, f
		}
		return false, nil
	case data.code == 421:
		return false, replied(data)
	}
	if data.class() == 2 || data.class() == 3 {
		return false, temporary(ReasonProtocol, "4.5.0", "the host answered DATA with %d", data.code)
	}
	t.all(t.accepted, t.place(replied(data)).result())
	return false, t.reset()
}

func (t *transaction) reset() *fault {
	answer, f := t.command("resetting", "RSET")
	if f == nil && answer.class() != 2 {
		f = replied(answer)
	}
	return f
}

// data sends the message and settles the recipients that were accepted.
func (t *transaction) data() *fault {
	answer, f := t.send()
	if f != nil {
		return f
	}
	if answer.class() == 2 {
		r := t.place(replied(answer)).result()
		r.Status, r.Reason, r.DSN = Delivered, "", t.offers("DSN")
		if answer.enhanced == "" {
			r.Enhanced = "2.0.0"
		}
		t.all(t.accepted, r)
		return nil
	}
	if answer.class() == 3 {
		f := temporary(ReasonProtocol, "4.5.0", "the host answered the message with %d", answer.code)
		f.final = true
		return f
	}
	t.all(t.accepted, t.place(replied(answer)).result())
	if answer.code == 421 {
		f := replied(answer)
		f.final = true
		return f
	}
	return nil
}

// send writes the body and reads the reply to it.
func (t *transaction) send() (*reply, *fault) {
	t.conn.body(t.client.config.MinRate, bodyGrace)
	defer t.conn.body(0, 0)
	w := &wire{w: t.w}
	source := content(t.m)
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, source, make([]byte, 32<<10)); err != nil {
		if source.err != nil {
			f := temporary(ReasonMessage, "4.3.0", "the message cannot be read at the moment")
			f.final = true
			return nil, f
		}
		return t.interrupted(err)
	}
	if t.m.Hold != nil {
		if err := t.m.Hold(); err != nil {
			f := temporary(ReasonAbandoned, "4.3.0", "the attempt was given up before the end of the message")
			f.final = true
			return nil, f
		}
	}
	if err := w.end(); err != nil {
		return t.interrupted(err)
	}
	answer, f := t.read(t.client.config.Timeouts.Final, "waiting for the answer to the message")
	if f != nil && answer.class() == 2 {
		t.spent = true
		return answer, nil // it has the message, whatever became of the rest of its words
	}
	if f != nil {
		f.final = true
	}
	return answer, f
}

// interrupted is a body that the other side did not want to the end: some say why.
func (t *transaction) interrupted(err error) (*reply, *fault) {
	f := broken(err, "sending the message")
	f.final = true
	if f.reason == ReasonLost {
		if answer, other := t.read(time.Second, "sending the message"); other == nil && answer.class() >= 4 {
			return answer, nil
		}
	}
	return nil, f
}

func (t *transaction) all(to []int, r Result) {
	for _, i := range to {
		t.settle(i, r)
	}
}

// mail makes the MAIL command.
func (t *transaction) mail() string {
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + t.m.Sender + ">")
	if t.offers("SIZE") {
		b.WriteString(" SIZE=" + strconv.FormatInt(t.size, 10))
	}
	// A host without 8BITMIME gets the bytes as they are: what it does with them is better than
	// a message rewritten under its signatures.
	if t.eight && t.offers("8BITMIME") {
		b.WriteString(" BODY=8BITMIME")
	}
	if t.offers("DSN") {
		if t.m.Ret != "" {
			b.WriteString(" RET=" + t.m.Ret)
		}
		if t.m.EnvID != "" {
			b.WriteString(" ENVID=" + Xtext(t.m.EnvID))
		}
	}
	return b.String()
}

// rcpt makes the RCPT command of one recipient.
func (t *transaction) rcpt(i int) string {
	r := &t.m.Recipients[i]
	line := "RCPT TO:<" + r.Address + ">"
	if !t.offers("DSN") {
		return line
	}
	if r.Notify != "" {
		line += " NOTIFY=" + r.Notify
	}
	if kind, value, ok := strings.Cut(r.Original, ";"); ok {
		line += " ORCPT=" + kind + ";" + Xtext(value)
	}
	return line
}

// Xtext encodes a value for MAIL and RCPT (RFC 3461, section 4).
func Xtext(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			b.WriteByte('+')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
