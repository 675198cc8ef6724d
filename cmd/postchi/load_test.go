package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/mail"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fate is what a sender knows of its message.
type fate int

const (
	unsent   fate = iota // the connection broke, or a command was refused, before the end of DATA
	accepted             // 250
	refused              // DATA was answered with something else
	unheard              // the connection broke between the end of DATA and its answer
)

// parcel is one message of a load.
type parcel struct {
	to   []int // places in load.to
	size int   // bytes of the message as it was sent
	sum  [sha256.Size]byte
	fate fate
}

// load submits messages of 1 to 64 KiB from several connections until it is stopped, through
// whatever happens to the server, and keeps account of what became of each. No message is sent
// twice.
type load struct {
	in   *instance
	tls  *tls.Config
	to   []string // mailboxes; each sends and receives
	most int      // bytes of the largest message
	seed uint64

	stopped chan struct{}
	senders sync.WaitGroup

	waiting  atomic.Int64 // messages between end of DATA and answer, at this moment
	accepted atomic.Int64
	unheard  atomic.Int64

	mu      sync.Mutex
	parcels []*parcel      // by id
	answers map[string]int // that were no success, by step, code and words
}

// startLoad begins with so many connections.
func (in *instance) startLoad(connections, most int, mailboxes ...string) *load {
	in.t.Helper()
	l := &load{in: in, tls: in.tls(), to: mailboxes, most: most, seed: rand.Uint64(), stopped: make(chan struct{}), answers: map[string]int{}}
	l.tls.ClientSessionCache = tls.NewLRUClientSessionCache(8) // reconnecting is not what is tested
	for i := range connections {
		l.senders.Go(func() { l.send(i) })
	}
	in.t.Cleanup(l.stop)
	return l
}

// stop lets every sender finish its message.
func (l *load) stop() {
	select {
	case <-l.stopped:
	default:
		close(l.stopped)
	}
	l.senders.Wait()
}

func (l *load) over() bool {
	select {
	case <-l.stopped:
		return true
	default:
		return false
	}
}

// send is one sender: it connects again whenever its connection breaks.
func (l *load) send(number int) {
	from := l.to[number%len(l.to)]
	for !l.over() {
		if !l.session(from) {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// session sends until the connection breaks; false if it never came to a message.
func (l *load) session(from string) (sent bool) {
	c, err := dial(l.in.addr("submissions"), "", l.tls)
	if err != nil {
		return false
	}
	defer c.Close()
	if a := c.login(from, testPassword); a.code != 235 {
		l.note("AUTH", a)
		return false
	}
	for !l.over() {
		if !l.one(c, from) {
			return sent
		}
		sent = true
	}
	c.smtp("QUIT")
	return true
}

// one sends one message; false if the connection is of no more use.
func (l *load) one(c *talk, from string) bool {
	id, p, message := l.next(from)
	if a := c.smtp("MAIL FROM:<%s>", from); a.code != 250 {
		return l.note("MAIL", a)
	}
	for _, i := range p.to {
		if a := c.smtp("RCPT TO:<%s>", l.to[i]); a.code != 250 {
			return l.note("RCPT", a) && c.smtp("RSET").code == 250
		}
	}
	if a := c.smtp("DATA"); a.code != 354 {
		return l.note("DATA", a)
	}
	if _, err := c.Write(stuffed(message)); err != nil {
		return l.settle(id, unheard) // the last bytes may have gone out nevertheless
	}
	l.waiting.Add(1)
	a := c.answer()
	l.waiting.Add(-1)
	switch {
	case a.err != nil:
		return l.settle(id, unheard)
	case a.code == 250:
		l.settle(id, accepted)
		return true
	}
	l.settle(id, refused)
	return l.note("end of DATA", a)
}

// next makes a message with a number of its own.
func (l *load) next(from string) (int, *parcel, []byte) {
	l.mu.Lock()
	id := len(l.parcels)
	p := &parcel{}
	l.parcels = append(l.parcels, p)
	l.mu.Unlock()
	random := rand.New(rand.NewPCG(l.seed, uint64(id)))
	p.to = random.Perm(len(l.to))[:1+random.IntN(2)*random.IntN(len(l.to))]
	message := fmt.Appendf(nil, "From: <%s>\r\nTo: undisclosed-recipients:;\r\nSubject: Parcel %d\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <parcel.%d@test>\r\nX-Parcel: %d\r\n\r\n",
		from, id, id, id)
	for want := 1<<10 + random.IntN(l.most-1<<10); len(message) < want; {
		var line [36]byte
		for i := 0; i < len(line); i += 8 {
			for k, v := 0, random.Uint64(); k < 8 && i+k < len(line); k++ {
				line[i+k] = byte(v >> (8 * k))
			}
		}
		if random.IntN(16) == 0 {
			message = append(message, '.') // to be doubled on its way
		}
		message = append(hex.AppendEncode(message, line[:]), "\r\n"...)
	}
	p.size, p.sum = len(message), sha256.Sum256(message)
	return id, p, message
}

func (l *load) settle(id int, f fate) bool {
	l.mu.Lock()
	l.parcels[id].fate = f
	l.mu.Unlock()
	switch f {
	case accepted:
		l.accepted.Add(1)
	case unheard:
		l.unheard.Add(1)
	}
	return false
}

// note counts an answer that was no success, and reports whether the connection goes on.
func (l *load) note(step string, a answer) bool {
	if a.err != nil {
		return false
	}
	l.mu.Lock()
	l.answers[fmt.Sprintf("%s: %s", step, a)]++
	l.mu.Unlock()
	time.Sleep(5 * time.Millisecond) // a refusal comes faster than anybody would try again
	return a.code != 421
}

// refusals returns the answers that were no success, and fails for each that is for good.
func (l *load) refusals(t testing.TB) string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for a, n := range l.answers {
		all = append(all, fmt.Sprintf("%d × %s", n, a))
		if _, code, _ := strings.Cut(a, ": "); !strings.HasPrefix(code, "4") {
			t.Errorf("refused for good: %s", a)
		}
	}
	return strings.Join(all, "\n  ")
}

// delivered is what verify has found.
type delivered struct {
	messages, copies int // sent and accepted; copies of those in INBOXes
	unheard, kept    int // without an answer; of those, stored
	refusedKept      int // refused, and stored nevertheless: a retry would double it
	lost, doubled    int
	torn             int
}

func (d delivered) String() string {
	return fmt.Sprintf("%d accepted (%d copies), %d lost, %d doubled, %d torn; %d without an answer, %d of them stored; %d refused and stored nevertheless",
		d.messages, d.copies, d.lost, d.doubled, d.torn, d.unheard, d.kept, d.refusedKept)
}

// verify reads every INBOX by POP3 and compares it with what was sent: a message that was
// accepted is there exactly once for each of its recipients, one whose answer was not heard for
// all of them or for none, and every byte is as it was sent.
func (l *load) verify(t testing.TB) (d delivered) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	there := make([]map[int]int, len(l.to)) // by mailbox and parcel
	for i, mailbox := range l.to {
		there[i] = map[int]int{}
		fetchAll(t, l.in, mailbox, func(stored []byte) {
			id, err := l.unpack(stored)
			if err != nil {
				d.torn++
				t.Errorf("%s: %v", mailbox, err)
				return
			}
			there[i][id]++
		})
	}
	for id, p := range l.parcels {
		l.compare(t, id, p, there, &d)
	}
	if d.lost+d.doubled+d.torn > 0 {
		t.Errorf("mail was lost, doubled or torn: %s", d)
	}
	return d
}

func (l *load) compare(t testing.TB, id int, p *parcel, there []map[int]int, d *delivered) {
	t.Helper()
	copies, most := 0, 0
	for _, i := range p.to {
		copies += min(there[i][id], 1)
		most = max(most, there[i][id])
		delete(there[i], id)
	}
	for i := range there {
		if there[i][id] > 0 {
			t.Errorf("parcel %d is in %s, which is no recipient", id, l.to[i])
		}
	}
	if most > 1 {
		d.doubled++
		t.Errorf("parcel %d is there %d times", id, most)
	}
	if copies != 0 && copies != len(p.to) {
		t.Errorf("parcel %d is with %d of %d recipients", id, copies, len(p.to))
	}
	switch {
	case p.fate == accepted:
		d.messages++
		d.copies += len(p.to)
		if copies < len(p.to) {
			d.lost++
			t.Errorf("parcel %d was accepted and is with %d of %d recipients", id, copies, len(p.to))
		}
	case p.fate == unheard:
		d.unheard++
		d.kept += min(copies, 1)
	case copies > 0 && p.fate == refused:
		d.refusedKept++
	case copies > 0:
		t.Errorf("parcel %d is there and was never sent", id)
	}
}

// unpack finds out which parcel a stored message is, and that its bytes are those that were
// sent, below the lines that delivery puts on top.
func (l *load) unpack(stored []byte) (int, error) {
	m, err := mail.ReadMessage(bytes.NewReader(stored))
	if err != nil {
		return 0, err
	}
	var id int
	if _, err := fmt.Sscan(m.Header.Get("X-Parcel"), &id); err != nil || id >= len(l.parcels) {
		return 0, fmt.Errorf("no parcel of ours: %q", m.Header.Get("X-Parcel"))
	}
	p := l.parcels[id]
	if len(stored) < p.size || sha256.Sum256(stored[len(stored)-p.size:]) != p.sum {
		return 0, fmt.Errorf("parcel %d is not as it was sent", id)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(stored[:len(stored)-p.size]), "\r\n"), "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch {
		case line != "" && line[0] == '\t':
		case name == "Return-Path", name == "Delivered-To", name == "Received":
		default:
			return 0, fmt.Errorf("parcel %d has grown a line %q", id, line)
		}
	}
	return id, nil
}

// fetchAll calls fn with every message of a mailbox, read by POP3.
func fetchAll(t testing.TB, in *instance, mailbox string, fn func(message []byte)) {
	t.Helper()
	c := in.popTalk(t, "")
	defer c.Close()
	line := c.popLogin(mailbox, testPassword)
	if !strings.HasPrefix(line, "+OK") {
		t.Fatalf("POP3 log-in of %s: %s", mailbox, line)
	}
	var n int
	if _, err := fmt.Sscanf(c.pop("STAT"), "+OK %d", &n); err != nil {
		t.Fatal(err)
	}
	for first := 1; first <= n; first += 50 {
		last := min(first+49, n)
		var commands strings.Builder
		for i := first; i <= last; i++ {
			fmt.Fprintf(&commands, "RETR %d\r\n", i)
		}
		if _, err := c.Write([]byte(commands.String())); err != nil {
			t.Fatal(err)
		}
		for i := first; i <= last; i++ {
			if line := c.pop(""); !strings.HasPrefix(line, "+OK") {
				t.Fatalf("RETR %d of %d of %s: %s", i, n, mailbox, line)
			}
			body, err := c.popBody()
			if err != nil {
				t.Fatalf("RETR %d of %s: %v", i, mailbox, err)
			}
			fn(body)
		}
	}
	c.pop("QUIT")
}
