package main

import (
	"bytes"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/models/db/dbtest"
)

// world is mail servers on loopback addresses that find each other by a DNS of their own.
type world struct {
	t    testing.TB
	dns  *resolvertest.Server
	port int // of every server's MX
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dns: resolvertest.New(t)}
	for range 100 {
		if w.port = freePort(t); w.free("127.0.0.2") && w.free("127.0.0.3") && w.free("127.0.0.4") && w.free("127.0.0.5") {
			return w
		}
	}
	t.Fatal("no port is free on all addresses")
	return nil
}

func (w *world) free(ip string) bool {
	ln, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, w.port))
	if err == nil {
		ln.Close()
	}
	return err == nil
}

// server starts a Postchi with a name and an address of its own; extra is more of the environment.
func (w *world) server(name, ip, url string, extra ...string) *instance {
	w.t.Helper()
	w.host(name, ip)
	in := newInstance(w.t, url, append([]string{
		"POSTCHI_HOSTNAME=" + name, fmt.Sprintf("POSTCHI_LISTEN_MX=%s:%d", ip, w.port), "POSTCHI_DNS_RESOLVER=" + w.dns.Addr(),
		"POSTCHI_SMTP_VERIFY=true", "POSTCHI_OUTBOUND_ENABLED=true", "POSTCHI_OUTBOUND_PRIVATE=true", "POSTCHI_OUTBOUND_SOURCE=" + ip, fmt.Sprintf("POSTCHI_OUTBOUND_PORT=%d", w.port),
	}, extra...)...)
	in.start()
	return in
}

// host gives an address a name, both ways.
func (w *world) host(name, ip string) {
	a := net.ParseIP(ip).To4()
	w.dns.Set(name+". 60 IN A "+ip, fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa. 60 IN PTR %s.", a[3], a[2], a[1], a[0], name))
}

// publish puts into the DNS what the server says that a domain needs: its owner would copy it
// from the panel.
func (w *world) publish(in *instance, domain string) {
	w.t.Helper()
	zone, status := in.command("", "domain", "dns", domain, "--zone")
	if status != 0 {
		w.t.Fatalf("domain dns %s: status %d\n%s", domain, status, zone)
	}
	w.dns.Set(zoneLines(zone)...)
	// Keys sign only once the DNS shows them.
	if out, status := in.command("", "domain", "check", domain, "--json"); status != 0 {
		w.t.Logf("domain check %s: status %d\n%s", domain, status, out)
	}
}

// zoneLines are the records of a zone file, a line each with its full name.
func zoneLines(zone string) (lines []string) {
	origin := "."
	for line := range strings.SplitSeq(zone, "\n") {
		name, rest, _ := strings.Cut(line, " ")
		switch {
		case name == "$ORIGIN":
			origin = strings.TrimSpace(rest)
		case name == "" || name[0] == ';' || name[0] == '$':
		case name == "@":
			lines = append(lines, origin+" "+parentheses.Replace(rest))
		case strings.HasSuffix(name, "."):
			lines = append(lines, name+" "+parentheses.Replace(rest))
		default:
			lines = append(lines, name+"."+origin+" "+parentheses.Replace(rest))
		}
	}
	return lines
}

var parentheses = strings.NewReplacer("(", "", ")", "")

// inbox is everything in a mailbox.
func (in *instance) inbox(t testing.TB, address string) (all [][]byte) {
	t.Helper()
	c := in.popTalk(t, "")
	defer c.Close()
	if line := c.popLogin(address, testPassword); !strings.HasPrefix(line, "+OK") {
		t.Fatalf("log-in of %s: %s", address, line)
	}
	var n, size int
	fmt.Sscanf(c.pop("STAT"), "+OK %d %d", &n, &size)
	for i := range n {
		if line := c.pop("RETR %d", i+1); !strings.HasPrefix(line, "+OK") {
			t.Fatal(line)
		}
		body, err := c.popBody()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, body)
	}
	c.pop("QUIT") // else the mailbox is locked for a moment longer
	return all
}

// arrival waits for a message with these words in it.
func (in *instance) arrival(t testing.TB, address string, words ...string) []byte {
	t.Helper()
	var found []byte
	within(t, 5*time.Second, fmt.Sprintf("%q with %s", words, address), func() bool {
		for _, m := range in.inbox(t, address) {
			if containsAll(string(m), words) {
				found = m
			}
		}
		return found != nil
	})
	return found
}

func containsAll(s string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(s, word) {
			return false
		}
	}
	return true
}

// send submits a message.
func (in *instance) send(t testing.TB, from, subject string, to ...string) {
	t.Helper()
	in.sendSized(t, from, subject, 900, to...)
}

// sendSized submits a message of some size.
func (in *instance) sendSized(t testing.TB, from, subject string, size int, to ...string) {
	t.Helper()
	c := in.submission(t, from, testPassword)
	defer c.Close()
	if a := c.submit(from, message(from, subject, size), to...); a.code != 250 {
		t.Fatalf("%s to %v: %s", subject, to, a)
	}
}

// results is the Authentication-Results that the server itself has put on top.
func results(t testing.TB, raw []byte, server string) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in %.2000s", err, raw)
	}
	for _, field := range m.Header["Authentication-Results"] {
		if strings.HasPrefix(field, server+";") {
			return field
		}
	}
	t.Fatalf("no Authentication-Results of %s in\n%.3000s", server, raw)
	return ""
}

// TestTwoServers lets two servers on different databases exchange mail as strangers do.
func TestTwoServers(t *testing.T) {
	w := newWorld(t)
	one, two := w.server("mx.one.test", "127.0.0.2", "sqlite"), w.server("mx.two.test", "127.0.0.3", dbtest.MySQL(t).URL)
	one.populate("one.test", "sara")
	two.populate("two.test", "omid")
	w.publish(one, "one.test")
	w.publish(two, "two.test")

	for _, way := range []struct {
		from, to     *instance
		sender, rcpt string
		name         string
	}{{one, two, "sara@one.test", "omid@two.test", "mx.two.test"}, {two, one, "omid@two.test", "sara@one.test", "mx.one.test"}} {
		way.from.send(t, way.sender, "across", way.rcpt)
		m := way.to.arrival(t, way.rcpt, "Subject: across")
		got := results(t, m, way.name)
		for _, want := range []string{"spf=pass", "dmarc=pass", "iprev=pass", "header.a=rsa-sha256", "header.a=ed25519-sha256"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		if n := strings.Count(got, "dkim=pass"); n != 2 {
			t.Errorf("%d signatures hold, of two: %s", n, got)
		}
		if !strings.Contains(string(m), "with ESMTPS id") || !strings.Contains(string(m), "Return-Path: <"+way.sender+">") {
			t.Errorf("trace lines:\n%.1500s", m)
		}
	}
	t.Run("bounce", func(t *testing.T) {
		one.send(t, "sara@one.test", "nobody there", "nobody@two.test")
		m := one.arrival(t, "sara@one.test", "multipart/report", "nobody@two.test")
		if !containsAll(string(m), []string{"Return-Path: <>", "Status: 5.1.1", "Action: failed", "mx.two.test"}) {
			t.Errorf("%.4000s", m)
		}
	})
	t.Run("forged", func(t *testing.T) {
		c, err := dial(fmt.Sprintf("127.0.0.3:%d", w.port), "127.0.0.4", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.smtp("EHLO mx.evil.test")
		if a := c.submit("ceo@one.test", message("ceo@one.test", "pay now", 700), "omid@two.test"); a.code != 250 && a.code/100 != 5 {
			t.Errorf("forged: %s", a)
		}
		for _, m := range two.inbox(t, "omid@two.test") {
			if strings.Contains(string(m), "pay now") && strings.Contains(results(t, m, "mx.two.test"), "dmarc=pass") {
				t.Error("a forged message has passed")
			}
		}
	})
}
