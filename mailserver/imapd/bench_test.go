package imapd_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/postchi/postchi/mailserver/mailstore"
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
	for b.Loop() {
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
				break
			}
		}
	}
}

func BenchmarkMailbox(b *testing.B) {
	const n = 10_000
	h := filled(b, n)
	c := h.login(b)
	c.SetDeadline(noTime)
	b.Run("select", func(b *testing.B) { c.each(b, "EXAMINE INBOX") })
	c.ok("SELECT INBOX")
	for _, bench := range []struct{ name, command string }{
		{"envelope", "FETCH 1:* (UID FLAGS ENVELOPE)"}, {"flags", "FETCH 1:* (UID FLAGS)"}, {"bodies100", "FETCH 1:100 BODY.PEEK[]"},
		{"header100", "FETCH 1:100 BODY.PEEK[HEADER.FIELDS (From Subject)]"}, {"searchall", "UID SEARCH UNSEEN"},
		{"searchsubject", "SEARCH SUBJECT 9999"}, {"searchbody", "SEARCH BODY nothing"}, {"sort", "UID SORT (SUBJECT) UTF-8 ALL"},
	} {
		b.Run(bench.name, func(b *testing.B) { c.each(b, bench.command) })
	}
	b.Run("store", func(b *testing.B) {
		on := true
		for b.Loop() {
			sign := "+"
			if on = !on; on {
				sign = "-"
			}
			c.ok("STORE 1:* " + sign + `FLAGS.SILENT (\Flagged)`)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			h := open(b, dbtest.SQLite(b))
			h.mailbox(b)
			text := letterOf(1)
			clients := make([]*client, n)
			for i := range clients {
				clients[i] = h.login(b)
				clients[i].SetDeadline(noTime)
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			for i, c := range clients {
				wg.Go(func() {
					for k := i; k < b.N; k += n {
						c.ok(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text))
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkChangedSince asks for 10 changes in mailboxes of several sizes.
func BenchmarkChangedSince(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		h := filled(b, n)
		f, err := h.Store.Folder(b.Context(), h.box.ID, "INBOX")
		if err != nil {
			b.Fatal(err)
		}
		_, err = h.Store.SetFlags(b.Context(), f.Place(), mailstore.Set{{First: 100, Last: 109}}, mailstore.FlagChange{Flags: mailstore.FlagFlagged})
		if err != nil {
			b.Fatal(err)
		}
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
	}
}

// BenchmarkIdle measures the resident memory of connections in IDLE under TLS, both ends of
// which are in this process: the client's end is a bare TLS connection that is counted too.
func BenchmarkIdle(b *testing.B) {
	const n = 500
	h := open(b, dbtest.SQLite(b))
	h.mailbox(b)
	for b.Loop() {
		before := resident(b)
		conns := make([]net.Conn, n)
		for i := range conns {
			c, err := tls.Dial("tcp", h.secure, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				b.Fatal(err)
			}
			conns[i] = c
			fmt.Fprintf(c, "a LOGIN %s %q\r\nb SELECT INBOX\r\nc IDLE\r\n", sara, secret)
			var seen []byte
			buf := make([]byte, 4096)
			for !strings.Contains(string(seen), "+ Idling") {
				k, err := c.Read(buf)
				if err != nil {
					b.Fatal(err)
				}
				seen = append(seen, buf[:k]...)
			}
		}
		b.ReportMetric(float64(resident(b)-before)/n/1024, "KiB/conn")
		for _, c := range conns {
			c.Close()
		}
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
