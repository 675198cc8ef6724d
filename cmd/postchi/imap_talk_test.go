package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// imapTalk is a connection of IMAP under TLS that has logged in.
func (in *instance) imapTalk(t testing.TB, user, password string) *talk {
	t.Helper()
	c, err := in.dialIMAP(user, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// dialIMAP connects and logs in.
func (in *instance) dialIMAP(user, password string) (*talk, error) {
	c, err := dial(in.addr("imaps"), "", in.tls())
	if err != nil {
		return nil, err
	}
	if line, err := c.imapLine(); err != nil || !strings.HasPrefix(line, "* OK ") {
		c.Close()
		return nil, fmt.Errorf("greeting %q, %w", line, err)
	}
	if _, last, err := c.imap("LOGIN %s %q", user, password); err != nil || !strings.HasPrefix(last, "OK") {
		c.Close()
		return nil, fmt.Errorf("LOGIN: %q, %w", last, err)
	}
	return c, nil
}

// imap sends a command and reads its answer: the untagged responses, and the tagged one without
// its tag.
func (c *talk) imap(format string, args ...any) (untagged []string, tagged string, err error) {
	if _, err := fmt.Fprintf(c, "a "+format+"\r\n", args...); err != nil {
		return nil, "", err
	}
	c.SetDeadline(time.Now().Add(talkBound))
	for {
		line, err := c.imapLine()
		if err != nil {
			return untagged, "", err
		}
		if rest, ok := strings.CutPrefix(line, "a "); ok {
			return untagged, rest, nil
		}
		untagged = append(untagged, line)
	}
}

// ok sends a command that must succeed, and returns its untagged responses.
func (c *talk) ok(t testing.TB, format string, args ...any) []string {
	t.Helper()
	untagged, tagged, err := c.imap(format, args...)
	if err != nil || !strings.HasPrefix(tagged, "OK") {
		t.Fatalf("%.100s: %q, %v", format, tagged, err)
	}
	return untagged
}

// imapLine reads a response, with the literals in it.
func (c *talk) imapLine() (string, error) {
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return b.String() + line, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		b.WriteString(line)
		open := strings.LastIndexByte(line, '{')
		if open < 0 || !strings.HasSuffix(line, "}") {
			return b.String(), nil
		}
		n, err := strconv.ParseInt(line[open+1:len(line)-1], 10, 64)
		if err != nil {
			return b.String(), nil
		}
		if _, err := io.CopyN(&b, c.r, n); err != nil {
			return b.String(), err
		}
	}
}

// fill appends n messages to a folder, numbered from first, 100 with a command.
func (c *talk) fill(t testing.TB, folder string, first, n int) {
	t.Helper()
	for n > 0 {
		var b strings.Builder
		for i := range min(n, 100) {
			m := numbered(first + i)
			fmt.Fprintf(&b, " {%d+}\r\n%s", len(m), m)
		}
		c.ok(t, "APPEND %s%s", folder, strings.ReplaceAll(b.String(), "%", "%%"))
		first, n = first+100, n-100
	}
}

// numbered is a small message that tells its number.
func numbered(i int) string {
	return fmt.Sprintf("From: a@example.org\r\nSubject: number %d\r\nMessage-ID: <n%d@example.org>\r\n\r\ntext %d\r\n", i, i, i)
}

// searched returns the UIDs that a search finds.
func (c *talk) searched(t testing.TB, program string) []string {
	t.Helper()
	for _, line := range c.ok(t, "UID SEARCH %s", program) {
		if rest, ok := strings.CutPrefix(line, "* SEARCH"); ok {
			return strings.Fields(rest)
		}
	}
	t.Fatalf("SEARCH %s: no answer", program)
	return nil
}
