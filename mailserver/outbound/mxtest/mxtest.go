// Package mxtest is a mail server of another site for tests: it listens on loopback, keeps what
// it got, and misbehaves as it is told.
package mxtest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// The stages of a dialogue at which a Script is asked.
const (
	Connect  = "CONNECT"
	EHLO     = "EHLO"
	HELO     = "HELO"
	StartTLS = "STARTTLS"
	Auth     = "AUTH"
	Mail     = "MAIL"
	Rcpt     = "RCPT"
	Data     = "DATA"
	Body     = "BODY" // before the body is read
	End      = "END"  // after the end of the data
	Quit     = "QUIT"
	RSET     = "RSET"
)

// What a Script may answer beside a reply's text.
const (
	Drop = "\x00drop" // closes the connection
	Hang = "\x00hang" // says nothing until the server is closed
)

// Script answers a stage; line is the command. "" is the usual answer.
type Script func(stage, line string) string

// Message is what the server took.
type Message struct {
	Helo, Mail string // arguments as sent
	Sender     string
	Rcpt       []string // lines as sent
	To         []string // addresses
	Data       []byte   // as it came after DATA, dots and all, without the end
	TLS        bool
	Conn       int       // number of the connection
	At         time.Time // directly before it was answered with 250
}

// Config is how a server is.
type Config struct {
	Addr       string   // to listen on; "" = 127.0.0.1:0
	Name       string   // in the greeting and the certificate; "" = mx.test
	Extensions []string // nil = PIPELINING, SIZE, 8BITMIME, ENHANCEDSTATUSCODES
	NoTLS      bool
	Injected   string // sent in one piece with the 220 of STARTTLS
	BadTLS     bool   // nonsense instead of a handshake
	Script     Script
	Discard    bool // messages are counted and not kept
}

// Server is a running server.
type Server struct {
	config Config
	ln     net.Listener
	tls    *tls.Config
	Roots  *x509.CertPool // of its certificate

	mu       sync.Mutex
	messages []Message
	count    int
	conns    map[net.Conn]bool
	accepted int
	commands []string
	closed   chan struct{}
	done     sync.WaitGroup
}

// New starts a server that ends with the test.
func New(t testing.TB, c Config) *Server {
	t.Helper()
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Name == "" {
		c.Name = "mx.test"
	}
	if c.Extensions == nil {
		c.Extensions = []string{"PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES"}
	}
	ln, err := net.Listen("tcp", c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{config: c, ln: ln, conns: map[net.Conn]bool{}, closed: make(chan struct{})}
	s.tls, s.Roots = certificate(t, c.Name)
	s.done.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Addr is where it listens.
func (s *Server) Addr() netip.AddrPort { return s.ln.Addr().(*net.TCPAddr).AddrPort() }

// Port is that of Addr.
func (s *Server) Port() int { return int(s.Addr().Port()) }

// Close ends the server and its connections.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return
	default:
	}
	close(s.closed)
	s.ln.Close()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

// Messages returns what was taken so far.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Count is how many messages were taken.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Connections is how many were accepted.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Commands returns the lines that were received outside of messages.
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

func (s *Server) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.accepted++
		number := s.accepted
		s.conns[c] = true
		s.mu.Unlock()
		s.done.Go(func() {
			d := &dialogue{Server: s, conn: c, number: number}
			d.over(c)
			d.run()
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// dialogue is one connection.
type dialogue struct {
	*Server
	conn   net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	number int
	secure bool
	last   string // what the script said
	got    Message
}

func (d *dialogue) over(c net.Conn) { d.r, d.w = bufio.NewReader(c), bufio.NewWriter(c) }

// say asks the script and answers; go on reports whether the usual effect is to take place.
func (d *dialogue) say(stage, line, usual string) (goOn, alive bool) {
	text := ""
	if d.config.Script != nil {
		text = d.config.Script(stage, line)
	}
	d.last = text
	switch text {
	case "":
		text, goOn = usual, true
	case Drop:
		return false, false
	case Hang:
		d.w.Flush()
		<-d.closed
		return false, false
	}
	if text != "" {
		d.w.WriteString(text + "\r\n")
		if d.r.Buffered() == 0 && d.w.Flush() != nil {
			return false, false
		}
	}
	return goOn, true
}

func (d *dialogue) run() {
	if _, alive := d.say(Connect, "", "220 "+d.config.Name+" ESMTP"); !alive {
		return
	}
	d.w.Flush()
	for {
		line, err := d.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		d.mu.Lock()
		if !d.config.Discard {
			d.commands = append(d.commands, line)
		}
		d.mu.Unlock()
		if !d.command(line) {
			d.w.Flush()
			return
		}
	}
}

func (d *dialogue) command(line string) (alive bool) {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); verb {
	case "EHLO":
		extensions := d.config.Extensions
		if !d.config.NoTLS && !d.secure {
			extensions = append(extensions[:len(extensions):len(extensions)], "STARTTLS")
		}
		d.got = Message{Helo: arg}
		_, alive = d.say(EHLO, line, strings.Join(append([]string{"250-" + d.config.Name}, multi(extensions)...), "\r\n"))
	case "HELO":
		d.got = Message{Helo: arg}
		_, alive = d.say(HELO, line, "250 "+d.config.Name)
	case "STARTTLS":
		return d.startTLS(line)
	case "AUTH":
		_, alive = d.say(Auth, line, "235 2.7.0 welcome")
	case "MAIL":
		d.got = Message{Helo: d.got.Helo, Mail: arg, Sender: path(arg)}
		_, alive = d.say(Mail, line, "250 2.1.0 sender ok")
	case "RCPT":
		var ok bool
		if ok, alive = d.say(Rcpt, line, "250 2.1.5 recipient ok"); ok {
			d.got.Rcpt, d.got.To = append(d.got.Rcpt, line), append(d.got.To, path(arg))
		}
	case "DATA":
		return d.data(line)
	case "RSET":
		_, alive = d.say(RSET, line, "250 2.0.0 reset")
	case "QUIT":
		d.say(Quit, line, "221 2.0.0 bye")
		return false
	default:
		_, alive = d.say(verb, line, "500 5.5.1 what?")
	}
	return alive
}

func multi(extensions []string) []string {
	out := make([]string, len(extensions))
	for i, e := range extensions {
		out[i] = "250-" + e
	}
	return append(out, "250 HELP")
}

func (d *dialogue) startTLS(line string) bool {
	usual := "220 2.0.0 go on"
	if d.config.Injected != "" {
		usual += "\r\n" + strings.TrimSuffix(d.config.Injected, "\r\n")
	}
	goOn, alive := d.say(StartTLS, line, usual)
	if !alive || !goOn {
		return alive
	}
	d.w.Flush()
	if d.config.BadTLS {
		d.r.ReadByte()
		d.conn.Write([]byte("this is no TLS at all\r\n"))
		return false
	}
	secured := tls.Server(d.conn, d.tls)
	if secured.Handshake() != nil {
		return false
	}
	d.secure = true
	d.over(secured)
	return true
}

func (d *dialogue) data(line string) bool {
	usual := "354 go ahead"
	if len(d.got.To) == 0 {
		usual = ""
		d.w.WriteString("503 5.5.1 no recipients\r\n")
		return d.w.Flush() == nil
	}
	goOn, alive := d.say(Data, line, usual)
	d.w.Flush()
	if !alive || !goOn {
		return alive
	}
	if d.config.Script != nil {
		if text := d.config.Script(Body, ""); text == Drop {
			return false
		} else if text == Hang {
			<-d.closed
			return false
		}
	}
	body, ok := d.body()
	if !ok {
		return false
	}
	d.got.Data, d.got.TLS, d.got.Conn, d.got.At = body, d.secure, d.number, time.Now()
	_, alive = d.say(End, "", "")
	if alive && d.last == "" {
		// Counted before the answer is sent: whoever has the answer finds the message here.
		d.mu.Lock()
		d.count++
		if !d.config.Discard {
			d.messages = append(d.messages, d.got)
		}
		d.mu.Unlock()
		d.w.WriteString("250 2.0.0 taken\r\n")
	}
	if d.r.Buffered() == 0 {
		d.w.Flush()
	}
	d.got = Message{Helo: d.got.Helo}
	return alive
}

// body reads to the end of the data, strictly.
func (d *dialogue) body() ([]byte, bool) {
	var all []byte
	for {
		line, err := d.r.ReadBytes('\n')
		if err != nil {
			return nil, false
		}
		if string(line) == ".\r\n" && (len(all) == 0 || strings.HasSuffix(string(all[max(0, len(all)-2):]), "\r\n")) {
			return all, true
		}
		all = append(all, line...)
	}
}

func path(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	rest, _, _ = strings.Cut(rest, ">")
	return rest
}

// certificate makes one for a name, and the pool that knows it.
func certificate(t testing.TB, name string) (*tls.Config, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "mta-sts." + name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

// TLS is the server's TLS configuration, for a web server of the same name.
func (s *Server) TLS() *tls.Config { return s.tls.Clone() }
