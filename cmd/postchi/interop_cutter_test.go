package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// cut is where a dialogue between our server and Postfix is to be cut, once.
type cut struct {
	at    string // "connect", a verb, "body" (the middle of it), "." (the end of data)
	reply bool   // Postfix hears the command, and it is its answer that is lost
	tls   bool   // STARTTLS is let through, and what comes after it, as with bytes; else Postfix seems not to have it
	bytes int    // of what our server has sent, TLS included; then at is ""
	slow  time.Duration
}

func (c cut) String() string {
	switch {
	case c.bytes > 0:
		return fmt.Sprintf("after %d bytes over TLS", c.bytes)
	case c.slow > 0:
		return fmt.Sprintf("every answer %v late", c.slow)
	case c.reply:
		return "before the answer to " + c.at
	}
	return "at " + c.at
}

// cutter passes connections on to Postfix and cuts one of them where it is told to.
type cutter struct {
	ln net.Listener
	to string

	mu    sync.Mutex
	armed *cut
	fired chan string // for each cut, the answer that was lost, if one was
	open  map[*passage]bool
}

func newCutter(t *testing.T, addr, to string) *cutter {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{ln: ln, to: to, fired: make(chan string, 100), open: map[*passage]bool{}}
	t.Cleanup(func() { ln.Close(); c.arm(nil) })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go c.pass(conn)
		}
	}()
	return c
}

// arm sets the next cut. Connections that are open end, so that it meets a whole dialogue.
func (c *cutter) arm(next *cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = next
	for p := range c.open {
		p.end()
	}
}

// passage is one connection.
type passage struct {
	c                *cutter
	cut              cut
	ours, theirs     net.Conn
	fromOurs, fromPX *bufio.Reader

	mu      sync.Mutex
	data    bool // Postfix has said 354
	swallow bool // its next answer is lost
}

func (p *passage) end() { p.ours.Close(); p.theirs.Close() }

// fire cuts, unless another connection was first.
func (p *passage) fire(lost string) {
	p.c.mu.Lock()
	first := p.c.armed != nil
	p.c.armed = nil
	p.c.mu.Unlock()
	p.end()
	if first {
		p.c.fired <- lost
	}
}

func (c *cutter) pass(ours net.Conn) {
	c.mu.Lock()
	var this cut
	if c.armed != nil {
		this = *c.armed
	}
	c.mu.Unlock()
	theirs, err := net.Dial("tcp", c.to)
	if err != nil {
		ours.Close()
		return
	}
	p := &passage{c: c, cut: this, ours: ours, theirs: theirs, fromOurs: bufio.NewReader(ours), fromPX: bufio.NewReader(theirs)}
	c.mu.Lock()
	c.open[p] = true
	c.mu.Unlock()
	defer func() {
		p.end()
		c.mu.Lock()
		delete(c.open, p)
		c.mu.Unlock()
	}()
	if this.at == "connect" {
		p.fire("")
		return
	}
	go p.answers()
	if this.bytes > 0 {
		if _, err := io.CopyN(theirs, p.fromOurs, int64(this.bytes)); err == nil {
			p.fire("")
		}
		return
	}
	p.commands()
}

// commands passes on what our server says, command by command, and lines of the body.
func (p *passage) commands() {
	inBody, body := false, 0
	for {
		line, err := p.fromOurs.ReadString('\n')
		if err != nil {
			return
		}
		p.mu.Lock()
		inBody = inBody || p.data
		p.data = false
		p.mu.Unlock()
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimRight(line, "\r\n")), " ")
		if inBody {
			body += len(line)
			if verb = "body"; line == ".\r\n" {
				verb, inBody = ".", false
			}
		}
		here := p.cut.at == verb && (verb != "body" || body > 2000)
		if here && !p.cut.reply {
			p.fire("")
			return
		}
		if here {
			p.mu.Lock()
			p.swallow = true
			p.mu.Unlock()
		}
		if _, err := io.WriteString(p.theirs, line); err != nil {
			return
		}
		if verb == "STARTTLS" && !here {
			_, _ = io.Copy(p.theirs, p.fromOurs)
			return
		}
	}
}

// answers passes on what Postfix says. Without TLS it seems not to know STARTTLS.
func (p *passage) answers() {
	defer p.end()
	for {
		reply, err := p.answer()
		if err != nil {
			return
		}
		time.Sleep(p.cut.slow)
		p.mu.Lock()
		lost := p.swallow
		p.data = strings.HasPrefix(reply, "354")
		p.mu.Unlock()
		if lost {
			p.fire(reply)
			return
		}
		if _, err := io.WriteString(p.ours, reply); err != nil {
			return
		}
		if (p.cut.tls || p.cut.bytes > 0) && strings.Contains(reply, "Ready to start TLS") {
			_, _ = io.Copy(p.ours, p.fromPX)
			return
		}
	}
}

// answer reads one whole answer.
func (p *passage) answer() (reply string, err error) {
	for {
		line, err := p.fromPX.ReadString('\n')
		if err != nil {
			return "", err
		}
		if p.cut.tls || p.cut.bytes > 0 || !strings.HasSuffix(strings.TrimRight(line, "\r\n"), "STARTTLS") {
			reply += line
		}
		if len(line) > 3 && line[3] == ' ' {
			return reply, nil
		}
	}
}
