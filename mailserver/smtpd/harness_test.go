package smtpd

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// The two mailboxes of the tests and what is known of them.
const (
	sara     = "sara@example.com"
	omid     = "omid@example.com"
	password = "correct horse battery"
)

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mail.example.net"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate()}, MinVersion: tls.VersionTLS12}
}

// accounts knows the mailboxes of the tests and one password for all of them.
type accounts struct {
	mu      sync.Mutex
	account map[string]*models.Account
	ends    map[string]func(*models.Error)
	others  []string // addresses of Sara's aliases
	open    int
	down    bool // the database is away
}

func newAccounts() *accounts {
	a := &accounts{account: map[string]*models.Account{}, ends: map[string]func(*models.Error){}}
	for i, name := range []string{sara, omid} {
		a.account[name] = &models.Account{Kind: models.AccountMailbox, ID: models.ID(i + 1), CustomerID: 7, Name: name}
	}
	return a
}

func (a *accounts) change(name string, fn func(*models.Account)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn(a.account[name])
}

func (a *accounts) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

func (a *accounts) Login(_ context.Context, at Attempt) (*models.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account := a.account[at.Name]
	switch {
	case len(at.Password) > 72:
		return nil, models.Errorf(models.Denied, "login.toolong", "The password is longer than 72 bytes; no password here is.")
	case a.down:
		return nil, models.Unavailablef(io.ErrUnexpectedEOF, "Log-in is not possible at the moment.")
	case account == nil || at.Password != password:
		return nil, models.Errorf(models.Denied, "login.denied", "The user name or the password is wrong.")
	case account.LoginOff:
		return nil, models.Errorf(models.Suspended, "login.suspended", "Log-in is switched off for this account: %s", account.Reason)
	}
	c := *account
	return &c, nil
}

func (a *accounts) Open(_ context.Context, account *models.Account, _ netip.Addr, _ string, end func(*models.Error)) (func(), error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ends[account.Name] = end
	a.open++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.open--
	}, nil
}

func (a *accounts) Sender(_ context.Context, id models.ID) (*models.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return nil, models.Unavailablef(io.ErrUnexpectedEOF, "The database is away.")
	}
	for _, account := range a.account {
		if account.ID == id {
			c := *account
			return &c, nil
		}
	}
	return nil, models.Errorf(models.NotFound, "x", "gone")
}

func (a *accounts) Addresses(_ context.Context, account *models.Account) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.down:
		return nil, models.Unavailablef(io.ErrUnexpectedEOF, "The database is away.")
	case account.Name == sara:
		return a.others, nil
	}
	return nil, nil
}

func (a *accounts) sessions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

// got is a message as it was delivered.
type got struct {
	delivery.Envelope
	text string
}

// post keeps what is delivered. Addresses of example.com are resolved as models/store does.
type post struct {
	mu    sync.Mutex
	all   []got
	fail  error         // of Accept
	find  error         // of Recipient
	hold  chan struct{} // Accept waits for it
	panic bool
	off   map[string]string // reason by mailbox
	full  map[string]bool

	outbound bool
	routes   map[string]*models.Route
	asked    []delivery.Asked
}

func (p *post) Route(_ context.Context, a address.Address, asked delivery.Asked) (*models.Route, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.find != nil {
		return nil, p.find
	}
	p.asked = append(p.asked, asked)
	if route := p.routes[a.Lower().String()]; route != nil {
		return route, nil
	}
	switch {
	case a.Domain == "example.com":
	case asked.Account == nil:
		return nil, models.Errorf(models.Denied, "recipient.relay", "This server does not relay.")
	case !p.outbound:
		return nil, models.Errorf(models.Denied, "recipient.outbound", "Mail to other servers is switched off.")
	default:
		return &models.Route{Address: a.String(), Remote: []models.Remote{{Address: a.String(), Domain: a.Domain, Kind: models.RemoteDirect}}}, nil
	}
	a = a.Lower()
	box := a.WithoutTag().String()
	if box == "postmaster@example.com" {
		box = sara
	}
	id := map[string]models.ID{sara: 1, omid: 2}[box]
	if strings.HasPrefix(box, "bulk") {
		id = models.ID(1000 + len(box)*100000 + int(box[len(box)-13]))
		for _, c := range box {
			id = id*31 + models.ID(c)
		}
	}
	if id == 0 {
		return nil, models.Errorf(models.NotFound, "recipient.unknown", "There is no mailbox %s here.", a)
	}
	if p.full[box] {
		return nil, models.Errorf(models.Full, "mailbox.full", "The mailbox %s is full.", box)
	}
	if reason, off := p.off[box]; off {
		return nil, models.Errorf(models.Suspended, "recipient.off", "The mailbox takes no mail. Reason: %s", reason)
	}
	r := models.Recipient{Address: a.String(), Mailbox: box, MailboxID: id, CustomerID: 7}
	return &models.Route{Address: a.String(), DomainID: 3, CustomerID: 7, Local: []models.Recipient{r}}, nil
}

func (p *post) Accept(_ context.Context, e delivery.Envelope, b delivery.Body) error {
	p.mu.Lock()
	fail, hold, boom := p.fail, p.hold, p.panic
	p.mu.Unlock()
	if boom {
		panic("boom")
	}
	if hold != nil {
		<-hold
	}
	if fail != nil {
		return fail
	}
	text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil || int64(len(text)) != b.Size() {
		return models.Unavailablef(err, "cannot read")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, got{e, string(text)})
	return nil
}

func (p *post) set(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func (p *post) messages() []got {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]got(nil), p.all...)
}

// trail keeps events.
type trail struct {
	mu  sync.Mutex
	all []models.Event
}

func (t *trail) Record(e models.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, e)
}

func (t *trail) events() []models.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]models.Event(nil), t.all...)
}

// rig is one server on a socket of its own.
type rig struct {
	t        testing.TB
	server   *Server
	addr     string
	mode     Mode
	accounts *accounts
	post     *post
	trail    *trail
}

var theMoment = time.Date(2026, 3, 14, 9, 30, 0, 0, time.UTC)

func mechanisms() []Mechanism {
	return []Mechanism{
		{"PLAIN", func(login func(name, password string) error) Exchange { return auth.NewPlain(login) }},
		{"LOGIN", func(login func(name, password string) error) Exchange { return auth.NewLogin(login) }},
	}
}

// start starts a server; change may alter its configuration and the limits of its gate.
func start(t testing.TB, mode Mode, change func(*Config, *conn.Limits)) *rig {
	t.Helper()
	r := &rig{t: t, mode: mode, accounts: newAccounts(), post: &post{}, trail: &trail{}}
	limits := conn.Limits{PerNetwork: -1}
	c := Config{
		Mode: mode, Hostname: "mail.example.net", TLS: serverTLS(), Accounts: r.accounts, Mechanisms: mechanisms(), Delivery: r.post,
		Events: r.trail, IDs: models.NewIDs(1, func() time.Time { return theMoment }), SpoolDir: t.TempDir(), Now: func() time.Time { return theMoment },
	}
	if change != nil {
		change(&c, &limits)
	}
	var err error
	if r.server, err = New(c); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	done := make(chan error, 1)
	go func() {
		done <- r.server.Serve(context.Background(), conn.NewGate(limits, nil, nil).Listener(ln, ListenOptions(mode)))
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r.server.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// client is a raw dialogue.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

// dial connects, in the way of the mode, and reads the greeting.
func (r *rig) dial() *client {
	r.t.Helper()
	raw, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{t: r.t, Conn: raw}
	if r.mode == ModeSubmissions {
		c.Conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	}
	c.r = bufio.NewReader(c.Conn)
	c.want("220 ")
	return c
}

// login connects, turns TLS on and logs in as Sara.
func (r *rig) login() *client {
	r.t.Helper()
	c := r.dial()
	c.ask("EHLO client.test", "250")
	if r.mode != ModeSubmissions {
		c.startTLS()
		c.ask("EHLO client.test", "250")
	}
	c.auth(sara)
	return c
}

func (c *client) startTLS() {
	c.t.Helper()
	c.ask("STARTTLS", "220 ")
	c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.r = bufio.NewReader(c.Conn)
}

func (c *client) auth(name string) {
	c.t.Helper()
	c.ask("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+password)), "235 ")
}

// send writes bytes as they are.
func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// reply reads one reply with all its lines.
func (c *client) reply() (string, error) {
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String(), err
		}
		if len(line) < 4 || line[3] != '-' {
			return all.String(), nil
		}
	}
}

// want reads a reply and fails unless its last line begins like this.
func (c *client) want(begin string) string {
	c.t.Helper()
	text, err := c.reply()
	if err != nil {
		c.t.Fatalf("got %q, %v, want %q", text, err, begin)
	}
	last := text[strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1:]
	if !strings.HasPrefix(last, begin) {
		c.t.Fatalf("got %q, want %q", text, begin)
	}
	return text
}

// ask sends a command and reads its reply.
func (c *client) ask(command, begin string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.want(begin)
}

// gone expects the end of the connection.
func (c *client) gone() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil {
		rest, _ := c.r.Peek(c.r.Buffered())
		c.t.Fatalf("connection is open: %q", string(b)+string(rest))
	}
}

// mail sends a whole message and returns the last reply.
func (c *client) mail(from, to, text string) string {
	c.t.Helper()
	c.ask("MAIL FROM:<"+from+">", "250 ")
	c.ask("RCPT TO:<"+to+">", "250 ")
	c.ask("DATA", "354 ")
	c.send(text + ".\r\n")
	return c.want("")
}

// plain is a message of Sara's that nothing is wrong with.
const plain = "From: Sara <sara@example.com>\r\nDate: Sat, 14 Mar 2026 09:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nSubject: hi\r\n\r\nHello.\r\n"

func contextOf(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// until polls.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen: " + what)
		}
	}
}
