package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// session is one connection to a host that has been greeted.
type session struct {
	client *Client
	conn   *timed
	r      *bufio.Reader
	w      *bufio.Writer
	host   string
	addr   netip.AddrPort
	tls    string // for results; "" = in clear
	clear  string // why in clear, for results
	ext    map[string]string
	used   int
	to     string      // target.id of where it leads
	timer  *time.Timer // while idle
	left   sync.Once
}

// target is where a session is to be opened.
type target struct {
	host   string
	addr   netip.AddrPort
	source netip.Addr
	policy Policy
	relay  *Relay
}

// id names what a session to the target may be used for: mail for another domain may go over it
// too if its host, and what is demanded of it, are the same.
func (t *target) id() string {
	how, demanded := t.secure()
	id := fmt.Sprintf("%s %s %s %v %s", t.host, t.addr, how, demanded, t.source)
	if t.relay != nil {
		id += " " + t.relay.account()
	}
	return id
}

// secure says whether verified TLS is demanded, and from whom.
func (t *target) secure() (how string, demanded bool) {
	if t.relay != nil {
		return "relay", t.relay.Security != SecurityNone
	}
	if t.policy.Enforce {
		return t.policy.Name, true
	}
	return "opportunistic", false
}

// open connects, greets, and secures as the target demands. Where TLS is only an opportunity and
// fails, it is done again in clear (RFC 7435, section 4).
func (c *Client) open(ctx context.Context, t *target) (*session, *fault) {
	s, f, again := c.openOnce(ctx, t, true)
	if again {
		c.log.Debug("tls failed, sending in clear", "host", t.host, "remote", t.addr, "err", f)
		s, f, _ = c.openOnce(ctx, t, false)
	}
	return s, f
}

// openOnce is open without the second try; again says that one in clear may help.
func (c *Client) openOnce(ctx context.Context, t *target, secure bool) (s *session, f *fault, again bool) {
	dialer := net.Dialer{Timeout: c.config.Timeouts.Connect}
	if t.source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(t.source, 0))
	}
	raw, err := dialer.DialContext(ctx, "tcp", t.addr.String())
	if err != nil {
		return nil, unconnected(err), false
	}
	s = &session{client: c, conn: &timed{Conn: raw, block: c.config.Timeouts.Block}, host: t.host, addr: t.addr, to: t.id(), clear: "clear"}
	stop := s.conn.watch(ctx)
	defer stop()
	s.over(s.conn)
	if again, f = s.begin(ctx, t, secure); f != nil {
		s.conn.Close()
		f, again = cutShort(ctx, f), again && ctx.Err() == nil
		f.host, f.remote = t.host, t.addr.Addr().String()
		return nil, f, again
	}
	if !secure {
		s.clear = "clear, TLS failed"
	}
	return s, nil, false
}

// over lets the session speak over a connection; what was buffered before is gone.
func (s *session) over(conn net.Conn) {
	s.r = bufio.NewReaderSize(conn, maxLine+2)
	s.w = bufio.NewWriterSize(conn, 64<<10)
}

// begin is everything before the first message.
func (s *session) begin(ctx context.Context, t *target, secure bool) (again bool, f *fault) {
	how, demanded := t.secure()
	if t.relay != nil && t.relay.Security == SecurityTLS {
		if f := s.handshake(ctx, how, true); f != nil {
			return false, f
		}
	}
	greeting, f := s.read(s.client.config.Timeouts.Greeting, "waiting for the greeting")
	if f != nil {
		return false, f
	}
	if greeting.class() != 2 {
		return false, replied(greeting)
	}
	if f := s.hello(); f != nil {
		return false, f
	}
	if s.tls == "" && secure && (demanded || t.relay == nil) {
		if again, f := s.startTLS(ctx, how, demanded); f != nil {
			return again, f
		}
	}
	if t.relay != nil && t.relay.Username != "" {
		return false, s.login(t.relay)
	}
	return false, nil
}

// hello says EHLO, or HELO to a host that does not know it.
func (s *session) hello() *fault {
	answer, f := s.command("greeting", "EHLO %s", s.client.config.Hostname)
	if f != nil {
		return f
	}
	s.ext = map[string]string{}
	switch answer.class() {
	case 2:
		for _, line := range answer.lines[min(1, len(answer.lines)):] {
			// RFC 5321, section 4.1.1.1: keywords are without regard to case.
			keyword, params, _ := strings.Cut(line, " ")
			s.ext[strings.ToUpper(keyword)] = params
		}
		return nil
	case 5:
		if answer, f = s.command("greeting", "HELO %s", s.client.config.Hostname); f != nil {
			return f
		}
		if answer.class() == 2 {
			return nil
		}
	}
	return replied(answer)
}

func (s *session) offers(keyword string) bool {
	_, ok := s.ext[keyword]
	return ok
}

// startTLS secures the connection if the other side offers it (RFC 3207).
func (s *session) startTLS(ctx context.Context, how string, demanded bool) (again bool, f *fault) {
	if !s.offers("STARTTLS") {
		if demanded {
			return false, temporary(ReasonTLS, "4.7.4", "the host does not offer TLS, and it is demanded (%s)", how)
		}
		return false, nil
	}
	answer, f := s.command("asking for TLS", "STARTTLS")
	if f != nil {
		return false, f
	}
	if answer.class() != 2 {
		if !demanded && answer.code != 421 {
			s.clear = "clear, TLS refused"
			return false, nil // as if it were not offered
		}
		f := replied(answer)
		f.status, f.reason = Deferred, ReasonTLS
		return false, f
	}
	if s.r.Buffered() > 0 {
		// Something in clear that wants to be taken for part of the secured dialogue.
		return false, temporary(ReasonProtocol, "4.7.0", "the host sent more than its answer before TLS began")
	}
	if f := s.handshake(ctx, how, demanded); f != nil {
		return !demanded && f.reason == ReasonTLS, f
	}
	return false, s.hello()
}

func (s *session) handshake(ctx context.Context, how string, verify bool) *fault {
	ctx, cancel := context.WithTimeout(ctx, s.client.config.Timeouts.Command)
	defer cancel()
	s.conn.within(s.client.config.Timeouts.Command)
	conn := tls.Client(s.conn, s.client.tlsFor(s.host, verify))
	if err := conn.HandshakeContext(ctx); err != nil {
		if ctx.Err() == context.Canceled {
			return broken(ctx.Err(), "securing the connection")
		}
		return unsecured(err)
	}
	s.tls = tlsText(conn.ConnectionState(), how)
	s.over(conn)
	return nil
}

// write puts a command into the buffer. Arguments come from tables and configuration, where no
// line end can be; one that is there nevertheless is not sent.
func (s *session) write(format string, args ...string) *fault {
	for _, a := range args {
		if strings.ContainsAny(a, "\r\n\x00") {
			f := permanent(ReasonMessage, "5.1.3", "an address or parameter holds a line end")
			return f
		}
		format = strings.Replace(format, "%s", a, 1)
	}
	if _, err := s.w.WriteString(format + "\r\n"); err != nil {
		return broken(err, "sending a command")
	}
	return nil
}

// read reads one reply.
func (s *session) read(limit time.Duration, doing string) (*reply, *fault) {
	s.conn.within(limit)
	answer, err := readReply(s.r)
	if err != nil {
		return answer, broken(err, doing)
	}
	return answer, nil
}

// command sends one command and reads its reply.
func (s *session) command(doing, format string, args ...string) (*reply, *fault) {
	if f := s.write(format, args...); f != nil {
		return nil, f
	}
	if err := s.w.Flush(); err != nil {
		return nil, broken(err, doing)
	}
	return s.read(s.client.config.Timeouts.Command, doing)
}

// limit is the largest message the other side takes (RFC 1870); 0 = it does not say.
func (s *session) limit() int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s.ext["SIZE"]), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// quit ends the session in good manners, quickly.
func (s *session) quit() {
	s.conn.block = s.client.config.Timeouts.Quit
	if s.write("QUIT") == nil && s.w.Flush() == nil {
		s.read(s.client.config.Timeouts.Quit, "leaving")
	}
	s.close()
}

// close ends the session, and its count.
func (s *session) close() {
	s.conn.Close()
	s.leave()
}

// leave ends the session's count.
func (s *session) leave() {
	s.left.Do(func() { s.client.health.leave(s.addr.Addr()) })
}

// place completes a fault or result with where it happened.
func (s *session) place(f *fault) *fault {
	f.host, f.remote, f.tls = s.host, s.addr.Addr().String(), s.tls
	if f.tls == "" {
		f.tls = s.clear
	}
	return f
}
