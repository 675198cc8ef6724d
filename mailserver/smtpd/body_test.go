package smtpd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
)

// begin opens a transaction up to RCPT.
func (c *client) begin() {
	c.t.Helper()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	c.ask("RCPT TO:<"+sara+">", "250 ")
}

// ends are the ways an end of data may be forged (RFC 5321, section 4.1.1.4, knows one).
func ends() []string {
	breaks := []string{"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\x00"}
	var all []string
	for _, before := range breaks {
		for _, after := range breaks {
			if before == "\r\n" && after == "\r\n" || before == "\r\n" && after == "\r\n\x00" {
				continue // an end of data, the second with a malformed command behind it
			}
			all = append(all, before+"."+after)
		}
	}
	return all
}

const smuggled = "MAIL FROM:<admin@example.com>\r\nRCPT TO:<omid@example.com>\r\nDATA\r\nsmuggled\r\n"

func TestSmuggling(t *testing.T) {
	if n := len(ends()); n < 32 {
		t.Fatal(n)
	}
	r := start(t, ModeMX, nil)
	for _, end := range ends() {
		c := r.dial()
		c.begin()
		c.ask("DATA", "354 ")
		c.send("Subject: x\r\n\r\nbody" + end + smuggled + "\r\n.\r\n")
		if got := c.want("554 5.6.0 "); !strings.Contains(got, "bare CR") {
			t.Errorf("%q: %s", end, got)
		}
		c.gone() // what comes behind may be meant to be read as commands
	}
	if all := r.post.messages(); len(all) != 0 {
		t.Errorf("delivered: %+v", all)
	}
}

func TestSmugglingOnEveryListenerAndInChunks(t *testing.T) {
	for _, mode := range []Mode{ModeMX, ModeSubmission, ModeSubmissions} {
		for _, bad := range []string{"a\nb", "a\rb", "a\x00b", "\n", "\r", "\x00", "a\r\r\nb", "x\r\n.\r"} {
			r := start(t, mode, nil)
			c := r.session()
			c.ask("DATA", "354 ")
			c.send(plain + bad + "\r\n.\r\n")
			c.want("554 5.6.0 ")
			c.gone()
			c = r.session()
			text := plain + bad
			c.send(fmt.Sprintf("BDAT %d\r\n%sBDAT 2 LAST\r\n\r\n", len(text), text))
			got := c.want("")
			if !strings.HasPrefix(got, "554 5.6.0 ") { // a CR at the end shows with the next chunk
				if got = c.want(""); !strings.HasPrefix(got, "554 5.6.0 ") && !strings.HasSuffix(bad, "\r") {
					t.Errorf("%s %q: %s", mode, bad, got)
				}
			} else {
				c.want("503 ")
			}
			c.ask("NOOP", "250 ")
			for _, m := range r.post.messages() {
				if !strings.HasSuffix(bad, "\r") {
					t.Errorf("%q delivered: %q", bad, m.text)
				}
			}
		}
	}
}

// session opens a transaction in the way of the mode.
func (r *rig) session() *client {
	r.t.Helper()
	if r.mode == ModeMX {
		c := r.dial()
		c.begin()
		return c
	}
	c := r.login()
	c.ask("MAIL FROM:<"+sara+">", "250 ")
	c.ask("RCPT TO:<"+omid+">", "250 ")
	return c
}

// A client whose end of data is LF . LF waits for an answer; it gets one.
func TestSilenceAfterABareLineFeed(t *testing.T) {
	r := start(t, ModeMX, func(c *Config, _ *conn.Limits) { c.silence = 50 * time.Millisecond })
	c := r.dial()
	c.begin()
	c.ask("DATA", "354 ")
	c.send("Subject: x\n\nbody\n.\n")
	c.want("554 5.6.0 ")
	c.gone()
}

func TestChunks(t *testing.T) {
	r := start(t, ModeMX, nil)
	c := r.dial()
	c.begin()
	c.ask("BDAT 12\r\nSubject: x", "250 2.0.0 12 octets")
	c.ask("NOOP", "250 ")
	c.ask("DATA", "503 ")
	c.ask("RCPT TO:<omid@example.com>", "503 ")
	c.send("BDAT 0\r\n")
	c.want("250 ")
	c.send("BDAT 9 LAST\r\n\r\n.\r\n.b\r\n")
	c.want("250 2.0.0 OK")
	all := r.post.messages()
	if len(all) != 1 || !strings.HasSuffix(all[0].text, "Subject: x\r\n\r\n.\r\n.b\r\n") {
		t.Fatalf("%+v", all)
	}
	// Pipelined, with a transaction after it.
	c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<sara@example.com>\r\nBDAT 4\r\n\r\nx\rBDAT 2 LAST\r\n\n\nNOOP\r\n")
	for _, want := range []string{"250", "250", "250", "554 5.6.0", "250"} {
		c.want(want)
	}
	// Given up.
	for _, end := range []string{"RSET", "EHLO y"} {
		c.ask("MAIL FROM:<a@b.test>", "250 ")
		c.ask("RCPT TO:<sara@example.com>", "250 ")
		c.ask("BDAT 5\r\n\r\nx", "250 ")
		c.ask(end, "250 ")
		c.ask("NOOP", "250 ")
		c.send("BDAT 6 LAST\r\nQUIT\r\n")
		c.want("503 5.5.1 ")
	}
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	c.send("BDAT 6 LAST\r\nQUIT\r\n")
	c.want("503 5.5.1 ")
	c.ask("RCPT TO:<sara@example.com>", "250 ")
	c.ask("BDAT 5\r\n\r\nx", "250 ")
	c.ask("BDAT 4 MORE", "501 5.5.4 ")
	c.gone()
	if n := len(r.post.messages()); n != 1 {
		t.Error(n)
	}
}

func TestQuitWithinChunks(t *testing.T) {
	c := start(t, ModeMX, nil).dial()
	c.begin()
	c.ask("BDAT 5\r\n\r\nx", "250 ")
	c.ask("QUIT", "221 ")
	c.gone()
}

// A chunk that is cut short is no message, wherever the cut is, in clear and under TLS.
func TestChunkCutShort(t *testing.T) {
	text := strings.Repeat("0123456789\r\n", 20)
	r := start(t, ModeMX, nil)
	for _, tls := range []bool{false, true} {
		for cut := 0; cut < len(text); cut += 10 {
			c := r.dial()
			if tls {
				c.ask("EHLO x", "250 ")
				c.startTLS()
			}
			c.begin()
			c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text[:cut]))
			c.Close()
		}
	}
	c := r.dial()
	c.begin()
	c.ask("DATA", "354 ")
	c.send(text)
	c.Close()
	until(t, "connections end", func() bool {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		return len(r.server.wires) == 0
	})
	if all := r.post.messages(); len(all) != 0 {
		t.Fatalf("%d messages, the first %q", len(all), all[0].text)
	}
}

// sized is a message of exactly n bytes.
func sized(n int) string {
	const head = "From: Sara <sara@example.com>\r\nDate: Sat, 14 Mar 2026 09:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n"
	var b strings.Builder
	b.WriteString(head)
	for b.Len()+2 < n {
		line := min(n-b.Len()-2, 76)
		if n-b.Len()-2-line == 1 {
			line--
		}
		b.WriteString("." + strings.Repeat("x", line-1) + "\r\n")
	}
	return b.String()
}

func TestSizeLimitIsExact(t *testing.T) {
	const limit = 300 << 10 // past what is held in memory
	r := start(t, ModeSubmissions, func(c *Config, _ *conn.Limits) { c.MaxMessage = limit })
	c := r.login()
	for n, want := range map[int]string{limit: "250 ", limit + 1: "552 5.3.4 ", limit - 1: "250 ", limit + 500<<10: "552 5.3.4 "} {
		text := sized(n)
		if len(text) != n {
			t.Fatal(len(text), n)
		}
		if got := c.mail(sara, omid, strings.ReplaceAll(text, "\r\n.", "\r\n..")); !strings.HasPrefix(got, want) {
			t.Errorf("%d bytes by DATA: %s", n, got)
		}
		c.ask("MAIL FROM:<"+sara+">", "250 ")
		c.ask("RCPT TO:<"+omid+">", "250 ")
		half := n / 2
		c.send(fmt.Sprintf("BDAT %d\r\n%s", half, text[:half]))
		got := c.want("")
		c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", n-half, text[half:]))
		if last := c.want(""); strings.HasPrefix(got, "250") {
			got = last
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%d bytes by BDAT: %s", n, got)
		}
	}
	for _, m := range r.post.messages() {
		text := sized(limit)
		if !strings.HasSuffix(m.text, text) && !strings.HasSuffix(m.text, sized(limit-1)) {
			t.Error("bytes were changed")
		}
	}
	if n := len(r.post.messages()); n != 4 {
		t.Error(n, "messages")
	}
}

// What is pushed beyond the limit is read within bounds, answered, and costs no memory.
func TestEndlessBody(t *testing.T) {
	r := start(t, ModeMX, func(c *Config, _ *conn.Limits) { c.MaxMessage = 1 << 20 })
	for _, how := range []string{"DATA", "BDAT"} {
		c := r.dial()
		c.begin()
		if how == "DATA" {
			c.ask("DATA", "354 ")
		} else {
			c.send("BDAT 104857600 LAST\r\n")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer := make(chan string, 1)
		go func() {
			text, _ := c.reply()
			answer <- text
		}()
		block := bytes.Repeat([]byte(strings.Repeat("x", 62)+"\r\n"), 1024)
		sent := 0
		for sent < 100<<20 {
			n, err := c.Write(block)
			sent += n
			if err != nil {
				break
			}
		}
		if got := <-answer; !strings.HasPrefix(got, "552 5.3.4 ") {
			t.Errorf("%s: %q after %d bytes", how, got, sent)
		}
		if sent > 20<<20 { // what the sockets hold comes on top of the bound
			t.Errorf("%s: %d bytes were taken", how, sent)
		}
		runtime.ReadMemStats(&after)
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 8<<20 {
			t.Errorf("%s: %d bytes allocated", how, grown)
		}
	}
	if len(r.post.messages()) != 0 {
		t.Error("delivered")
	}
}

func TestSlowSenderIsCut(t *testing.T) {
	r := start(t, ModeMX, func(_ *Config, l *conn.Limits) { l.MinRate, l.MinRateOver = 10000, 200*time.Millisecond })
	c := r.dial()
	c.begin()
	c.ask("DATA", "354 ")
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				io.WriteString(c.Conn, "x")
			}
		}
	}()
	c.want("421 4.4.2 The transfer is too slow")
	c.gone()
}

func TestSpoolFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	left := dir + "/message-123.spool"
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, ModeMX, func(c *Config, _ *conn.Limits) { c.SpoolDir = dir })
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Error("what an earlier process left is still there")
	}
	hold := make(chan struct{})
	r.post.set(func() { r.post.hold = hold })
	c := r.dial()
	c.begin()
	c.ask("DATA", "354 ")
	text := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("y", 70)+"\r\n", 10000)
	c.send(text + ".\r\n")
	close(hold)
	c.want("250 ")
	if got := r.post.messages(); len(got) != 1 || !strings.HasSuffix(got[0].text, text) {
		t.Error("the message was changed")
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Error(names)
	}
}

func TestNoSpaceForTheSpool(t *testing.T) {
	r := start(t, ModeMX, nil)
	if err := os.RemoveAll(r.server.spool); err != nil {
		t.Fatal(err)
	}
	c := r.dial()
	c.begin()
	c.ask("DATA", "354 ")
	c.send("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("y", 70)+"\r\n", 10000) + ".\r\n")
	c.want("451 4.3.0 ")
	c.ask("NOOP", "250 ")
}

func FuzzDots(f *testing.F) {
	for _, end := range ends() {
		f.Add([]byte("a\r\n..b\r\nc"+end+"x\r\n.\r\nMAIL"), 3)
	}
	f.Add([]byte(".\r\n"), 1)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		want, wantN, wantBad, wantDone := undot(in)
		var d dots
		var got []byte
		n, done := 0, false
		step = max(step, 1)
		for n < len(in) && !done {
			k := 0
			k, done = d.next(in[n:min(n+step, len(in))], func(p []byte) { got = append(got, p...) })
			n += k
		}
		if done != wantDone || done && n != wantN {
			t.Fatalf("%q: done %v at %d, want %v at %d", in, done, n, wantDone, wantN)
		}
		if done && (d.bad != wantBad || !wantBad && !bytes.Equal(got, want)) {
			t.Fatalf("%q: %q, bad %v, want %q, %v", in, got, d.bad, want, wantBad)
		}
	})
}

// undot is dots in the plainest way.
func undot(in []byte) (out []byte, n int, bad, done bool) {
	stream := append([]byte("\r\n"), in...)
	end := bytes.Index(stream, []byte("\r\n.\r\n"))
	if end < 0 {
		return nil, 0, false, false
	}
	n = end + 5 - 2
	body := string(stream[:end+2])
	bad = strings.ContainsAny(strings.ReplaceAll(body, "\r\n", ""), "\r\n\x00")
	return []byte(strings.TrimPrefix(strings.ReplaceAll(body, "\r\n.", "\r\n"), "\r\n")), n, bad, true
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nb\r"), 2)
	f.Add([]byte("\r\r\n"), 1)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		var l lines
		step = max(step, 1)
		for n := 0; n < len(in); n += step {
			l.next(in[n:min(n+step, len(in))])
			if n > len(in)-step {
				break
			}
		}
		want := !strings.ContainsAny(strings.ReplaceAll(string(in), "\r\n", ""), "\r\n\x00")
		if l.end() != want {
			t.Fatalf("%q by %d: %v", in, step, l.end())
		}
	})
}
