package imapd_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models/db/dbtest"
)

// filled is a house whose inbox has n messages of 2 KB, a quarter of their words Persian.
func filled(b *testing.B, n int) *house {
	b.Helper()
	h := open(b, dbtest.SQLite(b))
	m := h.mailbox(b)
	work := make(chan int)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range work {
				h.Deliver(b, letterOf(i), m.ID)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	return h
}

func letterOf(i int) []byte {
	var s strings.Builder
	fmt.Fprintf(&s, "From: Somebody <somebody%d@example.org>\r\nTo: sara@example.com\r\nSubject: letter number %d\r\nDate: Mon, 2 Jan 2006 15:04:05 +0330\r\n"+
		"Message-ID: <letter%d@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", i%100, i, i)
	for s.Len() < 2000 {
		s.WriteString("several words of a letter, and then سلام بر شما\r\n")
	}
	return []byte(s.String())
}

// each runs a command until the benchmark is over.
func (c *client) each(b *testing.B, command string) {
	b.Helper()
	before := cpu()
	for b.Loop() {
		c.run(b, command)
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e6, "cpu-ms/op")
}

// run sends a command that must succeed and throws its untagged answers away.
func (c *client) run(b *testing.B, command string) (answer int) {
	b.Helper()
	c.tag++
	tag := "t" + strconv.Itoa(c.tag)
	c.send(tag + " " + command + "\r\n")
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(string(line[:min(len(line), len(tag)+1)]), tag+" ") {
			if !strings.HasPrefix(string(line), tag+" OK") {
				b.Fatalf("%s: %s", command, line)
			}
			return answer
		}
		answer += len(line)
	}
}

// cpu is the processor time that this process has used, in nanoseconds: of both ends. Beside the
// time it shows what a machine with other work would hide.
func cpu() int64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return r.Utime.Nano() + r.Stime.Nano()
}

func BenchmarkMailbox(b *testing.B) {
	const n = 10_000
	h := filled(b, n)
	c := h.login(b)
	c.SetDeadline(noTime)
	b.Run("select-recent", func(b *testing.B) { c.each(b, "EXAMINE INBOX") })
	c.ok("SELECT INBOX")
	b.Run("select", func(b *testing.B) { c.each(b, "SELECT INBOX") })
	for _, bench := range []struct{ name, command string }{
		{"envelope", "FETCH 1:* (UID FLAGS ENVELOPE)"}, {"flags", "FETCH 1:* (UID FLAGS)"}, {"bodies100", "FETCH 1:100 BODY.PEEK[]"},
		{"header100", "FETCH 1:100 BODY.PEEK[HEADER.FIELDS (From Subject)]"}, {"searchall", "UID SEARCH UNSEEN"},
		{"searchsubject", "SEARCH SUBJECT 9999"}, {"searchbody", "SEARCH BODY nothing"}, {"sort", "UID SORT (SUBJECT) UTF-8 ALL"},
	} {
		b.Run(bench.name, func(b *testing.B) { c.each(b, bench.command) })
		if bench.name == "envelope" || bench.name == "bodies100" {
			size := c.run(b, bench.command)
			b.Run(bench.name+"/yardstick-bytes", func(b *testing.B) { readyBytes(b, size) })
		}
	}
	b.Run("searchbody/yardstick-read", func(b *testing.B) { readAll(b, h) })
	b.Run("store", func(b *testing.B) {
		before, on := cpu(), true
		for b.Loop() {
			sign := "+"
			if on = !on; on {
				sign = "-"
			}
			c.run(b, "STORE 1:* "+sign+`FLAGS.SILENT (\Flagged)`)
		}
		b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e6, "cpu-ms/op")
	})
}

// readyBytes is the yardstick of FETCH: as many bytes that are ready go through TLS, line by line
// at the client.
func readyBytes(b *testing.B, size int) {
	near, far := pair(b)
	text := []byte(strings.Repeat(strings.Repeat("x", 198)+"\r\n", size/200+1))[:size]
	text[size-1] = '\n'
	r := bufio.NewReaderSize(far, 128<<10)
	before := cpu()
	for b.Loop() {
		go near.Write(text)
		for read := 0; read < size; {
			line, err := r.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			read += len(line)
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e6, "cpu-ms/op")
}

// pair is a connection under TLS over the loopback, as those of clients are.
func pair(b *testing.B) (near, far net.Conn) {
	b.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(b)}, DynamicRecordSizingDisabled: true})
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			err = c.(*tls.Conn).Handshake()
		}
		if err != nil {
			b.Error(err)
		}
		accepted <- c
	}()
	if far, err = tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true}); err != nil {
		b.Fatal(err)
	}
	near = <-accepted
	b.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// readAll is the yardstick of SEARCH BODY: every message is read once, by as many goroutines as
// there are processors, and looked through for bytes as they are.
func readAll(b *testing.B, h *house) {
	f, err := h.Store.Folder(b.Context(), h.box.ID, "INBOX")
	if err != nil {
		b.Fatal(err)
	}
	var all []mailstore.Message
	if err := h.Store.InSet(b.Context(), f.ID, mailstore.Everything(), func(m *mailstore.Message) error {
		all = append(all, *m)
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	before := cpu()
	for b.Loop() {
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			wg.Go(func() {
				buf := make([]byte, 0, 64<<10)
				for i := w; i < len(all); i += workers {
					r, err := h.Store.Open(b.Context(), &all[i])
					if err != nil {
						b.Error(err)
						return
					}
					buf = buf[:all[i].Size]
					if _, err := r.ReadAt(buf, 0); err != nil && err != io.EOF {
						b.Error(err)
					}
					r.Close()
					if bytes.Contains(buf, []byte("nothing")) {
						b.Error("found")
					}
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e6, "cpu-ms/op")
}

func BenchmarkAppend(b *testing.B) {
	text := letterOf(1)
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			h := open(b, dbtest.SQLite(b))
			h.mailbox(b)
			clients := make([]*client, n)
			for i := range clients {
				clients[i] = h.login(b)
				clients[i].SetDeadline(noTime)
			}
			together(b, n, func(i int) { clients[i].run(b, fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text)) })
		})
		b.Run(fmt.Sprintf("%d/yardstick-store", n), func(b *testing.B) {
			h := open(b, dbtest.SQLite(b))
			m := h.mailbox(b)
			f, err := h.Store.Folder(b.Context(), m.ID, "INBOX")
			if err != nil {
				b.Fatal(err)
			}
			together(b, n, func(int) { appendBare(b, h, f.Place(), text) })
		})
	}
}

// together shares b.N calls among n goroutines.
func together(b *testing.B, n int, fn func(i int)) {
	b.ResetTimer()
	before := cpu()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for k := i; k < b.N; k += n {
				fn(i)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e6, "cpu-ms/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// appendBare stores a message without IMAP.
func appendBare(b *testing.B, h *house, p mailstore.Place, text []byte) {
	contents, err := mime.Build(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		b.Error(err)
		return
	}
	staged, err := h.Blobs.Put(b.Context(), bytes.NewReader(text), int64(len(text)))
	if err == nil {
		_, _, err = h.Store.Append(b.Context(), p, mailstore.Quota{}, mailstore.Appended{Blob: staged, Contents: contents})
	}
	if err != nil {
		b.Error(err)
	}
}

// BenchmarkChangedSince asks for 10 changes in mailboxes of several sizes, in a session that has
// the folder's list and in one that has not.
func BenchmarkChangedSince(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		h := filled(b, n)
		f, err := h.Store.Folder(b.Context(), h.box.ID, "INBOX")
		if err != nil {
			b.Fatal(err)
		}
		_, err = h.Store.SetFlags(b.Context(), f.Place(), mailstore.Set{{First: 100, Last: 109}}, mailstore.FlagChange{Flags: mailstore.FlagFlagged})
		if err != nil {
			b.Fatal(err)
		}
		first := h.login(b) // the messages are recent to nobody later
		first.ok("SELECT INBOX")
		first.ok("LOGOUT")
		command := fmt.Sprintf("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)", f.HighestModSeq)
		b.Run(fmt.Sprintf("cold/%d", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				c := h.login(b)
				c.ok("EXAMINE INBOX")
				b.StartTimer()
				c.ok(command)
				b.StopTimer()
				c.ok("LOGOUT")
				c.Close()
				b.StartTimer()
			}
		})
		c := h.login(b)
		c.SetDeadline(noTime)
		c.ok("EXAMINE INBOX")
		b.Run(fmt.Sprintf("warm/%d", n), func(b *testing.B) { c.each(b, command) })
		b.Run(fmt.Sprintf("select/%d", n), func(b *testing.B) { c.each(b, "SELECT INBOX") })
		if n == 100_000 {
			b.Run("deliveries-beside-store", func(b *testing.B) { besideStore(b, h) })
			b.Run("deliveries-alone", func(b *testing.B) { deliveries(b, h) })
		}
	}
}

// besideStore measures deliveries while a session changes the flags of all messages again and
// again.
func besideStore(b *testing.B, h *house) {
	c := h.login(b)
	c.SetDeadline(noTime)
	c.ok("SELECT INBOX")
	stop, ended := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				ended <- n
				return
			default:
				c.run(b, "STORE 1:* "+"+-"[n%2:n%2+1]+`FLAGS.SILENT (\Flagged)`)
			}
		}
	}()
	deliveries(b, h)
	close(stop)
	b.ReportMetric(float64(<-ended), "stores")
}

// deliveries delivers one message after the other and reports how long the slowest took.
func deliveries(b *testing.B, h *house) {
	text := letterOf(1)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		h.Deliver(b, text, h.box.ID)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkIdle measures the resident memory of 4,000 connections in IDLE under TLS, compressed
// or not. Both ends are in this process: what it tells includes the client's, a bare TLS
// connection.
func BenchmarkIdle(b *testing.B) {
	const n = 4000
	for _, compressed := range []bool{false, true} {
		name := "plain"
		if compressed {
			name = "compressed"
		}
		b.Run(name, func(b *testing.B) {
			h := open(b, dbtest.SQLite(b))
			h.mailbox(b)
			for b.Loop() {
				before := resident(b)
				conns := make([]net.Conn, n)
				for i := range conns {
					conns[i] = h.idleConn(b, compressed)
				}
				debug.FreeOSMemory()
				b.ReportMetric(float64(resident(b)-before)/n/1024, "KiB/conn")
				for _, c := range conns {
					c.Close()
				}
			}
		})
	}
}

// idleConn is a connection in IDLE whose client keeps nothing but TLS.
func (h *house) idleConn(b *testing.B, compressed bool) net.Conn {
	c, err := tls.Dial("tcp", h.secure, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(c, "a LOGIN %s %q\r\nb SELECT INBOX\r\n", sara, secret)
	hearUntil(b, c, "\r\nb OK")
	if !compressed {
		io.WriteString(c, "c IDLE\r\n")
		hearUntil(b, c, "+ Idling")
		return c
	}
	io.WriteString(c, "d COMPRESS DEFLATE\r\n")
	hearUntil(b, c, "d OK")
	// Blocks that are stored need no compressor (RFC 1951, section 3.2.4).
	for _, text := range []string{"e FETCH 1:* FLAGS\r\n", "c IDLE\r\n"} {
		c.Write(append([]byte{0, byte(len(text)), 0, ^byte(len(text)), 0xff}, text...))
	}
	hearUntil(b, flate.NewReader(c), "+ Idling")
	return c
}

// hearUntil reads until a text has come.
func hearUntil(b *testing.B, r io.Reader, text string) {
	var seen []byte
	buf := make([]byte, 1024)
	for !bytes.Contains(seen, []byte(text)) {
		k, err := r.Read(buf)
		if err != nil {
			b.Fatalf("%q, %v", seen, err)
		}
		seen = append(seen, buf[:k]...)
	}
}

func resident(b *testing.B) int64 {
	b.Helper()
	f, err := os.Open("/proc/self/statm")
	if err != nil {
		b.Skip(err)
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
