package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

// TestRoutingCommands sets where mail goes by commands beside a running server, and watches that
// mail goes there. What the database does is tested on both below.
func TestRoutingCommands(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	in.populate("route.example", "sara", "omid")
	var alias service.AliasView
	in.must(&alias, "", "alias", "add", "info@route.example", "sara", "omid@route.example")
	if len(alias.Targets) != 2 || alias.Targets[0].State != service.TargetMailbox {
		t.Errorf("%+v", alias)
	}
	in.must(nil, "", "alias", "add", "all@route.example", "info", "--group", "--name", "Everybody")
	var list []service.AliasView
	if in.must(&list, "", "alias", "list", "--domain", "route.example"); len(list) != 2 {
		t.Errorf("%+v", list)
	}
	var way explained
	if in.must(&way, "", "alias", "test", "all@route.example"); strings.Join(way.Local, " ") != "sara@route.example omid@route.example" || len(way.Steps) != 4 {
		t.Errorf("%+v", way)
	}
	in.submits(t, "sara@route.example", "all@route.example")
	for _, box := range []string{"sara@route.example", "omid@route.example"} {
		in.arrives(t, box, 1)
	}
	in.must(nil, "", "alias", "off", "info@route.example")
	if in.must(&way, "", "alias", "test", "info@route.example"); way.Refused == "" {
		t.Errorf("%+v", way)
	}
	if out, status := in.command("", "alias", "rm", "info@route.example", "--json"); status != exitRefused || !strings.Contains(out, "alias.used") {
		t.Errorf("%d %s", status, out)
	}
	in.must(nil, "", "alias", "rm", "all@route.example")
	in.must(nil, "", "alias", "rm", "info@route.example")

	in.must(nil, "", "domain", "set", "route.example", "--catch-all", "omid")
	in.must(nil, "", "domain", "add", "other.example", "--customer", "Example")
	in.must(nil, "", "domain", "set", "other.example", "--alias-of", "route.example")
	in.submits(t, "sara@route.example", "nobody@other.example")
	in.arrives(t, "omid@route.example", 2)

	var other models.Domain
	if in.must(&other, "", "domain", "set", "other.example", "--source", "::ffff:192.0.2.7"); other.SourceIP != "192.0.2.7" {
		t.Errorf("%+v", other)
	}
	if out, status := in.command("", "domain", "set", "other.example", "--source", "mail.example"); status != exitRefused {
		t.Errorf("%d %s", status, out)
	}
	in.must(nil, "", "domain", "set", "other.example", "--source", "")

	var f service.Forward
	if in.must(&f, "", "mailbox", "forward", "sara@route.example", "omid", "--no-copy"); f.Keep || len(f.Targets) != 1 {
		t.Errorf("%+v", f)
	}
	in.submits(t, "omid@route.example", "sara@route.example")
	in.arrives(t, "omid@route.example", 3)
	in.arrives(t, "sara@route.example", 1)
	in.must(&f, "", "mailbox", "forward", "sara@route.example", "out@elsewhere.example")
	if f.Targets[0].Ready() || !f.Keep {
		t.Errorf("%+v", f)
	}
	in.must(nil, "", "mailbox", "forward", "sara@route.example", "--off")
	sendingCommands(t, in)
}

func sendingCommands(t *testing.T, in *instance) {
	t.Helper()
	const sara = "sara@route.example"
	var reply service.AutoReplyView
	in.must(&reply, "back on Monday\n", "mailbox", "autoreply", sara, "--text-stdin", "--from", "2020-01-01", "--until", "۱۴۹۹/۰۱/۰۱")
	if reply.State != models.AutoReplyOn || reply.Body != "back on Monday" || reply.EndsAt.Time().Year() != 2120 {
		t.Errorf("%+v", reply)
	}
	if in.must(&reply, "", "mailbox", "autoreply", sara, "--outside", "call the office"); reply.Outside != "call the office" || reply.Body != "back on Monday" {
		t.Errorf("%+v", reply)
	}
	in.repliesToItself(t, sara)
	if in.must(&reply, "", "mailbox", "autoreply", sara, "--off"); reply.State != models.AutoReplyOff {
		t.Errorf("%+v", reply)
	}
	if _, status := in.command("", "mailbox", "autoreply", sara, "--from", "soon"); status != exitUsage {
		t.Error(status)
	}
	in.must(nil, "", "mailbox", "hold", sara, "--reason", "a virus")
	var limits explainedLimits
	if in.must(&limits, "", "limits", "explain", sara); !limits.Held || limits.HeldReason != "a virus" || len(limits.Limits) != 4 {
		t.Errorf("%+v", limits)
	}
	in.must(nil, "", "mailbox", "release", sara)
	var none []models.Suppression
	if in.must(&none, "", "suppression", "list", sara); len(none) != 0 {
		t.Errorf("%+v", none)
	}
	if _, status := in.command("", "suppression", "rm", sara, "x@elsewhere.example"); status != exitRefused {
		t.Error(status)
	}
	in.must(nil, "relay-secret\n", "relay", "set", "server", "smtp.example:465", "--security", "tls", "--username", "me", "--password-stdin")
	in.must(nil, "", "relay", "set", sara, "other.example")
	if out, status := in.command("", "relay", "set", sara, "10.0.0.25", "--security", "none"); status != exitUsage {
		t.Errorf("%d %s", status, out)
	}
	if out, status := in.command("relay-secret\n", "relay", "set", sara, "other.example", "--security", "none", "--in-clear", "--username", "me", "--password-stdin"); status != exitRefused {
		t.Errorf("%d %s", status, out)
	}
	in.must(nil, "", "relay", "set", "route.example", "10.0.0.25", "--security", "none", "--in-clear")
	out, _ := in.command("", "relay", "list", "--json")
	if strings.Contains(out, "relay-secret") || !strings.Contains(out, "smtp.example") || !strings.Contains(out, "587") {
		t.Error(out)
	}
	in.must(nil, "", "relay", "rm", "server")
}

// repliesToItself presses the button of the auto-reply's page as the owner of a mailbox: each text
// arrives as a sender gets it.
func (in *instance) repliesToItself(t *testing.T, mailbox string) {
	t.Helper()
	v := in.visitor(t).login(mailbox, testPassword)
	v.get("/autoreply")
	if a := v.post("/autoreply/test"); a.status != http.StatusSeeOther || a.location != "/autoreply" {
		t.Fatalf("%d %s", a.status, a.location)
	}
	const subject = "Re: the subject of the message"
	for _, text := range []string{"back on Monday", "call the office"} {
		m := in.arrival(t, mailbox, "From: <"+mailbox+">\r\n", "Auto-Submitted: auto-replied\r\n", base64.StdEncoding.EncodeToString([]byte(text+"\r\n")))
		if !strings.Contains(string(m), "Subject: "+subject+"\r\n") || textOf(t, m) != text+"\r\n" {
			t.Errorf("%s", m)
		}
	}
}

// submits sends a message through the submission port.
func (in *instance) submits(t *testing.T, from, to string) {
	t.Helper()
	if a := in.submission(t, from, testPassword).submit(from, message(from, "routed", 100), to); a.code != 250 {
		t.Fatalf("%s to %s: %s", from, to, a)
	}
}

// arrives waits until a mailbox holds so many messages.
func (in *instance) arrives(t *testing.T, mailbox string, n int64) {
	t.Helper()
	var m models.MailboxRow
	in.must(&m, "", "mailbox", "show", mailbox)
	if m.Usage.Messages != n { // delivered before the 250
		t.Errorf("%s holds %d messages, want %d", mailbox, m.Usage.Messages, n)
	}
}

// TestOwnersSessionEnds logs a mailbox's owner in and takes the right away by commands beside
// the server.
func TestOwnersSessionEnds(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		in := newInstance(t, url)
		in.start()
		in.populate("own.example", "sara")
		const sara = "sara@own.example"
		gone := func(v *visitor) func() bool {
			return func() bool { return v.get("/").status == http.StatusSeeOther }
		}
		v := in.visitor(t).login(sara, testPassword)
		if a := v.get("/"); a.status != http.StatusOK || !strings.Contains(a.body, sara) || strings.Contains(a.body, testPassword) {
			t.Fatalf("%d", a.status)
		}
		in.must(nil, "other-"+testPassword+"\n", "mailbox", "passwd", sara, "--password-stdin")
		within(t, time.Second, "ended by a new password", gone(v))
		if a := in.visitor(t); a.get("/login").status != http.StatusOK || a.post("/login", "name", sara, "password", testPassword).status != http.StatusForbidden {
			t.Error("the old password opens the panel")
		}
		v = in.visitor(t).login(sara, "other-"+testPassword)
		in.must(nil, "", "mailbox", "suspend", sara, "--reason", "unpaid")
		within(t, time.Second, "ended by a suspension", gone(v))
		again := in.visitor(t)
		again.get("/login")
		if a := again.post("/login", "name", sara, "password", "other-"+testPassword); a.status != http.StatusForbidden || !strings.Contains(a.body, "unpaid") {
			t.Errorf("while suspended: %d", a.status)
		}
		in.must(nil, "", "mailbox", "resume", sara)
		v = in.visitor(t).login(sara, "other-"+testPassword)
		in.must(nil, "", "mailbox", "rm", sara)
		within(t, time.Second, "ended by the bin", gone(v))
	})
}

// TestForwardIsAgreedTo lets mail go on to somebody else's address of the same server: by
// command, so that the server mails the link, and only after the button behind it was pressed.
func TestForwardIsAgreedTo(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	in.populate("ours.example", "sara")
	in.must(nil, "", "customer", "add", "Other")
	in.must(nil, "", "domain", "add", "theirs.example", "--customer", "Other")
	in.must(nil, testPassword+"\n", "mailbox", "add", "reza@theirs.example", "--password-stdin")
	in.must(nil, "", "alias", "add", "info@ours.example", "sara", "reza@theirs.example")
	in.submits(t, "sara@ours.example", "info@ours.example")
	var mails [][]byte
	within(t, 5*time.Second, "the link", func() bool {
		mails = in.inbox(t, "reza@theirs.example")
		return len(mails) > 0
	})
	if len(mails) != 1 {
		t.Fatalf("%d messages before anybody agreed", len(mails))
	}
	in.arrives(t, "sara@ours.example", 1)
	text := textOf(t, mails[0])
	link := regexp.MustCompile(`/confirm/[A-Z2-7]+`).FindString(text)
	if link == "" || !strings.Contains(text, "info@ours.example") || !strings.Contains(text, in.url()+link) {
		t.Fatalf("no link in %s", text)
	}
	v := in.visitor(t)
	if a := v.get(link); a.status != http.StatusOK || !strings.Contains(a.body, "reza@theirs.example") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	in.submits(t, "sara@ours.example", "info@ours.example") // looking is not agreeing
	if got := in.inbox(t, "reza@theirs.example"); len(got) != 1 {
		t.Errorf("%d messages after the link was looked at", len(got))
	}
	if a := v.post(link); a.status != http.StatusOK || !strings.Contains(a.body, `id="agreed"`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	within(t, time.Second, "the route of before is forgotten", func() bool {
		in.submits(t, "sara@ours.example", "info@ours.example")
		return len(in.inbox(t, "reza@theirs.example")) > 1
	})
}

// textOf returns the decoded text of a message of ours.
func textOf(t testing.TB, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
