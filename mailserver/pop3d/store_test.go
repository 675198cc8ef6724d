package pop3d_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/mailserver/pop3d"
	"github.com/postchi/postchi/mailserver/pop3d/inbox"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
)

// process is one whole process on a database: store, accounts and a POP3 server.
type process struct {
	*door
	*mailstoretest.Instance
	accounts *store.Store
	auth     *auth.Service
}

func run(t testing.TB, config db.Config) *process {
	t.Helper()
	in := mailstoretest.Seg(t, config)
	accounts, err := store.New(in.DB, nil)
	if err != nil {
		t.Fatal(err)
	}
	service := auth.New(auth.Config{Accounts: accounts, Watch: in.DB, Cost: 4})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		service.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	d := serve(t, pop3d.Config{Accounts: inbox.Accounts(service), Mechanisms: inbox.Mechanisms(),
		Maildrops: inbox.New(in.Store, in.DB, nil)})
	return &process{door: d, Instance: in, accounts: accounts, auth: service}
}

// mailbox makes a mailbox of sara's with a password.
func (p *process) mailbox(t testing.TB, password string) *models.Mailbox {
	t.Helper()
	ctx := t.Context()
	hash, err := p.auth.Hash(ctx, password)
	if err != nil {
		t.Fatal(err)
	}
	ids := p.DB.IDs()
	c := &models.Customer{ID: ids.New(), Name: "Example", CreatedAt: 1, UpdatedAt: 1}
	d := &models.Domain{ID: ids.New(), CustomerID: c.ID, Name: "example.com", State: models.DomainActive, CreatedAt: 1, UpdatedAt: 1}
	d.ActiveName = &d.Name
	m := &models.Mailbox{ID: ids.New(), CustomerID: c.ID, DomainID: d.ID, Address: sara, PasswordHash: hash, CreatedAt: 1, UpdatedAt: 1, PasswordAt: 1}
	a := &models.Address{ID: ids.New(), DomainID: d.ID, Local: "sara", Kind: models.AddressMailbox, MailboxID: &m.ID, CreatedAt: 1}
	for _, fn := range []func() error{
		func() error { return p.accounts.InsertCustomer(ctx, c) },
		func() error { return p.accounts.InsertDomain(ctx, d) },
		func() error { return p.accounts.InsertAddress(ctx, a) },
		func() error { return p.accounts.InsertMailbox(ctx, m) },
		func() error { return p.Store.CreateMailbox(ctx, m.ID) },
	} {
		if err := fn(); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestRealStore(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		p := run(t, config)
		m := p.mailbox(t, secret)
		for _, text := range []string{first, second, third} {
			p.Deliver(t, []byte(text), m.ID)
		}
		a := p.Arrival(t, []byte(first), m.ID)
		a.Targets[0].Prefix = []byte("Return-Path: <a@example.com>\r\nDelivered-To: sara@example.com\r\n")
		if err := p.Store.Deliver(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		c := p.login(t, sara, secret)
		c.say("UIDL", "+OK 4 messages")
		uidl := c.body()
		want := []string{first, second + "\r\n", third, string(a.Targets[0].Prefix) + first}
		for i, text := range want {
			c.say(fmt.Sprintf("RETR %d", i+1), "+OK")
			if got := c.body(); got != text {
				t.Errorf("RETR %d: %q", i+1, got)
			}
		}
		c.say("TOP 4 1", "+OK")
		if got := c.body(); !strings.HasSuffix(got, "Subject: one\r\n\r\n.dot\r\n") || !strings.HasPrefix(got, "Return-Path:") {
			t.Errorf("TOP: %q", got)
		}
		c.say("LIST 4", fmt.Sprintf("+OK 4 %d", len(want[3])))
		c.say("DELE 2", "+OK")
		c.say("QUIT", "+OK")

		// Another process sees the same UIDs, without the one that was deleted.
		other := run(t, config)
		c = other.login(t, sara, secret)
		c.say("UIDL", "+OK 3 messages")
		lines := strings.SplitAfter(uidl, "\r\n")
		for i, k := range []int{0, 2, 3} {
			_, id, _ := strings.Cut(lines[k], " ")
			if got := c.line() + "\r\n"; got != fmt.Sprintf("%d %s", i+1, id) {
				t.Errorf("UIDL %d: %q, before %q", i+1, got, lines[k])
			}
		}
		c.want(".")

		// What an IMAP session expunges meanwhile is gone, and nothing else moves.
		f, err := p.Store.Folder(t.Context(), m.ID, "INBOX")
		if err != nil {
			t.Fatal(err)
		}
		uids, err := p.Store.UIDs(t.Context(), f.ID, 1, 10)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Store.Expunge(t.Context(), f.Place(), mailstore.SetOf(uids[0]), false); err != nil {
			t.Fatal(err)
		}
		c.say("RETR 1", "-ERR That message was removed meanwhile.")
		c.say("RETR 2", "+OK")
		if got := c.body(); got != third {
			t.Errorf("RETR 2: %q", got)
		}
		c.say("DELE 1", "+OK")
		c.say("QUIT", "+OK")
		usage, err := p.Store.Usage(t.Context(), m.ID)
		if err != nil || usage[m.ID].Messages != 2 {
			t.Errorf("usage %+v, %v", usage, err)
		}
	})
}

func TestRealAccounts(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		p, other := run(t, config), run(t, config)
		m := p.mailbox(t, secret)
		p.Deliver(t, []byte(first), m.ID)
		plain := func(password string) string { return "AUTH PLAIN " + b64("\x00"+sara+"\x00"+password) }

		c := p.login(t, sara, secret)
		c.say("DELE 1", "+OK")
		other.dialTLS(t).say(plain(secret), "-ERR [IN-USE] ")
		other.dialTLS(t).say(plain(strings.Repeat("x", 73)), "-ERR [AUTH] The password is longer than 72 bytes")
		other.dialTLS(t).say("AUTH PLAIN "+b64("\x00sara\x00x"), "-ERR [AUTH] The user name has no @")
		other.dialTLS(t).say("AUTH PLAIN =", "-ERR ")

		// Suspended in another process: the session here ends, and nobody gets in again.
		m.LoginOff, m.Reason = true, "unpaid"
		begin := time.Now()
		if err := other.accounts.UpdateMailbox(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		c.want("-ERR [SYS/TEMP] Log-in is switched off for this account: unpaid")
		t.Logf("ended after %s", time.Since(begin))
		c.closed()
		c = p.dialTLS(t)
		c.say(plain("wrong"), "-ERR [AUTH] The user name or the password is wrong.")
		c.say(plain(secret), "-ERR [AUTH] Log-in is switched off for this account: unpaid")

		m.LoginOff = false
		if err := p.accounts.UpdateMailbox(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		// The lock of the session that was ended is free, and nothing was deleted.
		other.login(t, sara, secret).say("STAT", "+OK 1 ")
	})
}

func TestLockOfAProcessThatIsGone(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		p := run(t, config)
		m := p.mailbox(t, secret)
		gone := dbtest.Open(t, config)
		held, err := inbox.New(p.Store, gone, nil).Open(t.Context(), &models.Account{ID: m.ID})
		if err != nil {
			t.Fatal(err)
		}
		p.dialTLS(t).say("AUTH PLAIN "+b64("\x00"+sara+"\x00"+secret), "-ERR [IN-USE]")
		gone.Close()
		p.login(t, sara, secret).say("QUIT", "+OK")
		_ = held // never closed
	})
}

func TestDatabaseAway(t *testing.T) {
	config := dbtest.SQLite(t)
	p := run(t, config)
	m := p.mailbox(t, secret)
	p.Deliver(t, []byte(first), m.ID)
	c, waiting := p.login(t, sara, secret), p.dialTLS(t)
	c.say("DELE 1", "+OK")
	p.DB.Close()
	c.say("QUIT", "-ERR [SYS/TEMP] ")
	waiting.say("AUTH PLAIN "+b64("\x00"+sara+"\x00"+secret), "-ERR [SYS/TEMP] ")

	again := run(t, config)
	again.login(t, sara, secret).say("STAT", "+OK 1 ")
}

// lines is a message of some size that is nowhere in memory.
type lines struct{ left int64 }

const oneLine = "A line as long as lines are in attachments, all of which are in base64\r\n"

func (l *lines) Read(p []byte) (n int, err error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	for n < len(p) && l.left > 0 {
		k := copy(p[n:], oneLine[(int64(len(oneLine))-l.left%int64(len(oneLine)))%int64(len(oneLine)):])
		k = int(min(int64(k), l.left))
		n, l.left = n+k, l.left-int64(k)
	}
	return n, nil
}

func TestLargeMessageInConstantMemory(t *testing.T) {
	p := run(t, dbtest.SQLite(t))
	m := p.mailbox(t, secret)
	const size = 50 << 20 / int64(len(oneLine)) * int64(len(oneLine))
	staged, err := p.Blobs.Put(t.Context(), &lines{size}, size)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Store.Deliver(t.Context(), mailstore.Arrival{Blob: staged, Targets: []mailstore.Target{{Mailbox: m.ID}}}); err != nil {
		t.Fatal(err)
	}
	c := p.login(t, sara, secret)
	heap := func() int64 { // what is in use; garbage is the collector's pace, not ours
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	idle, most := heap(), int64(0)
	c.say("RETR 1", fmt.Sprintf("+OK %d octets", size))
	got, want := sha256.New(), sha256.New()
	for read := int64(0); read < size; read += 1 << 20 {
		if _, err := io.CopyN(got, c.r, min(1<<20, size-read)); err != nil {
			t.Fatal(err)
		}
		most = max(most, heap())
	}
	c.want(".")
	io.Copy(want, &lines{size})
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Error("other bytes came")
	}
	t.Logf("%d KiB above idle", (most-idle)>>10)
	if most-idle > 8<<20 {
		t.Errorf("%d KiB above idle", (most-idle)>>10)
	}
	c.say("NOOP", "+OK")
}

func TestCurlOnRealStore(t *testing.T) {
	curl := program(t, "curl")
	p := run(t, dbtest.SQLite(t))
	m := p.mailbox(t, "secret")
	text := string(mailstoretest.Message(1, 300<<10))
	p.Deliver(t, []byte(text), m.ID)
	_, port, _ := net.SplitHostPort(p.secure)
	out, err := exec.Command(curl, "-sS", "--max-time", "15", "--cacert", caFile(t), "-u", sara+":secret", "pop3s://localhost:"+port+"/1").Output()
	if err != nil || strings.TrimSuffix(string(out), "\r\n") != strings.TrimSuffix(text, "\r\n") {
		t.Errorf("%d bytes of %d, %v", len(out), len(text), err)
	}
}

// BenchmarkRetr takes small messages over one connection under TLS, one after another. The aim
// is 6,000 a second.
func BenchmarkRetr(b *testing.B) {
	for _, base := range []struct {
		name   string
		config func(testing.TB) db.Config
	}{{"sqlite", dbtest.SQLite}, {"mysql", dbtest.MySQL}} {
		for _, size := range []int{2 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", base.name, size>>10), func(b *testing.B) {
				const messages = 1000
				p := run(b, base.config(b))
				m := p.mailbox(b, secret)
				for n := range messages {
					p.Deliver(b, mailstoretest.Message(n, size), m.ID)
				}
				c := p.login(b, sara, secret)
				c.SetDeadline(time.Now().Add(5 * time.Minute))
				buf := make([]byte, size+100)
				b.SetBytes(int64(size))
				n := 0
				for b.Loop() {
					fmt.Fprintf(c, "RETR %d\r\n", n%messages+1)
					n++
					if _, err := c.r.ReadSlice('\n'); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(c.r, buf[:size]); err != nil {
						b.Fatal(err)
					}
					for { // what is left of the last line, and the end
						line, err := c.r.ReadSlice('\n')
						if err != nil {
							b.Fatal(err)
						}
						if string(line) == ".\r\n" {
							break
						}
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "RETR/s")
			})
		}
	}
}

// BenchmarkLogin polls a maildrop: connection, TLS, log-in, STAT, QUIT.
func BenchmarkLogin(b *testing.B) {
	for _, messages := range []int{10, 10000} {
		b.Run(fmt.Sprint(messages), func(b *testing.B) {
			p := run(b, dbtest.SQLite(b))
			m := p.mailbox(b, secret)
			staged, contents := p.Put(b, mailstoretest.Message(1, 200))
			a := mailstore.Arrival{Blob: staged, Contents: contents}
			for range min(messages, mailstore.MaxTargets) {
				a.Targets = append(a.Targets, mailstore.Target{Mailbox: m.ID})
			}
			for n := 0; n < messages; n += len(a.Targets) {
				if err := p.Store.Deliver(context.Background(), a); err != nil {
					b.Fatal(err)
				}
				a.Blob, a.Contents = p.Put(b, mailstoretest.Message(1, 200))
			}
			for b.Loop() {
				c := p.login(b, sara, secret)
				c.say("STAT", "+OK "+fmt.Sprint(messages))
				c.say("QUIT", "+OK")
				c.Close()
			}
		})
	}
}
