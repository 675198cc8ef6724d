package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// cuts are all stages of a dialogue. The last answer is the only one whose loss may double a
// message: Postfix has it, and we cannot know (RFC 5321, section 4.2.5 and RFC 1047).
var cuts = []cut{
	{at: "connect"}, {at: "EHLO"}, {at: "EHLO", reply: true}, {at: "MAIL"}, {at: "MAIL", reply: true}, {at: "RCPT"}, {at: "RCPT", reply: true},
	{at: "DATA"}, {at: "DATA", reply: true}, {at: "body"}, {at: "."}, {at: ".", reply: true},
	{at: "STARTTLS", tls: true}, {at: "STARTTLS", reply: true, tls: true},
	{bytes: 100}, {bytes: 700}, {bytes: 2200}, {bytes: 5000},
}

// besidePostfix makes a world of a server with the mailbox sara@one.test and a Postfix.
func besidePostfix(t *testing.T) (*world, *instance, *postfix) {
	t.Helper()
	interop(t)
	w := newWorld(t)
	one := w.server("mx.one.test", "127.0.0.2", "sqlite")
	one.populate("one.test", "sara")
	w.publish(one, "one.test")
	return w, one, w.postfix(t)
}

// cutter stands before a Postfix, which is four.test by it.
func (w *world) cutter(t *testing.T, p *postfix) *cutter {
	t.Helper()
	w.host("mx.four.test", "127.0.0.5")
	w.dns.Set("four.test. 60 IN MX 10 mx.four.test.")
	return newCutter(t, fmt.Sprintf("127.0.0.5:%d", w.port), p.addr(w))
}

// TestInteropPostfixCuts cuts the connection to Postfix at every stage of a message, each then
// being sent again: all are there, once.
func TestInteropPostfixCuts(t *testing.T) {
	w, one, p := besidePostfix(t)
	c := w.cutter(t, p)
	lost := map[string]string{}
	for i, stage := range cuts {
		subject := fmt.Sprintf("cut-%d", i)
		t.Run(stage.String(), func(t *testing.T) {
			c.arm(&stage)
			one.sendSized(t, "sara@one.test", subject, 8000, "cut@four.test")
			select {
			case lost[subject] = <-c.fired:
			case <-time.After(30 * time.Second):
				t.Fatal("no cut: the dialogue did not come there")
			}
			within(t, 10*time.Second, "it is there", func() bool {
				if len(p.subject("cut", subject)) > 0 && one.waiting() == 0 {
					return true
				}
				one.must(nil, "", "queue", "retry", "--domain", "four.test")
				return false
			})
		})
	}
	for i, stage := range cuts {
		subject := fmt.Sprintf("cut-%d", i)
		got, want := p.subject("cut", subject), 1
		if stage.at == "." && stage.reply {
			want = 2
			// The first of both is the one whose answer was lost.
			if id := regexp.MustCompile(`queued as (\w+)`).FindStringSubmatch(lost[subject]); id == nil || len(got) != 2 || !strings.Contains(got[0]+got[1], " id "+id[1]) || strings.Contains(got[0], " id "+id[1]) && strings.Contains(got[1], " id "+id[1]) {
				t.Errorf("%s: the answer lost was %q; there are\n%.800s", stage, lost[subject], strings.Join(got, "\n\n"))
			}
		}
		if len(got) != want {
			t.Errorf("%s: there %d times, want %d", stage, len(got), want)
		}
		for _, m := range got {
			if !strings.HasSuffix(m, strings.Repeat("x", 70)+"\n") || len(m) < 6000 {
				t.Errorf("%s: %d bytes, ending in %q", stage, len(m), m[max(0, len(m)-80):])
			}
		}
	}
	if n := one.found(t, "sara@one.test", "multipart/report"); n != 0 {
		t.Errorf("%d bounces", n)
	}
}

// subject returns the messages of a mailbox there that have a subject.
func (p *postfix) subject(local, subject string) (all []string) {
	for _, m := range p.delivered(local) {
		if strings.Contains(string(m), "\nSubject: "+subject+"\n") {
			all = append(all, string(m))
		}
	}
	return all
}

// access sets what Postfix answers to recipients at a stage ("rcpt", "data", "end").
func (p *postfix) access(t *testing.T, stage string, answers map[string]string) {
	t.Helper()
	var text string
	for to, answer := range answers {
		text += to + " " + answer + "\n"
	}
	file := filepath.Join(p.dir, "access-"+stage)
	write(t, file, text)
	os.Chmod(file, 0o644)
}

// TestInteropPostfixAnswers lets Postfix refuse for now, for good and slowly, at RCPT, after DATA
// and after the message.
func TestInteropPostfixAnswers(t *testing.T) {
	w, one, p := besidePostfix(t)
	w.dns.Set("four.test. 60 IN MX 10 mx.three.test.")
	stages := []string{"rcpt", "data", "end"}
	// After the message Postfix hangs up too: its smtpd 3.7 dies of signal 11 when another message
	// follows one that was refused there.
	later, never := map[string]string{"rcpt": "450", "data": "451", "end": "421"}, map[string]string{"rcpt": "550", "data": "554", "end": "521"}
	for _, stage := range stages {
		p.access(t, stage, map[string]string{stage + "4@three.test": later[stage] + " 4.3.2 Later, please: " + stage, stage + "5@three.test": never[stage] + " 5.7.27 Never: " + stage, stage + "slow@three.test": "dawdle"})
	}
	runProgram(t, "", "postfix", "-c", p.etc, "reload")
	began := time.Now()
	for _, kind := range []string{"slow", "4", "5"} {
		for _, stage := range stages {
			one.send(t, "sara@one.test", stage+kind, stage+kind+"@three.test")
		}
	}
	// Of another domain, at the same host: a destination begins with one connection.
	one.send(t, "sara@one.test", "beside the slow ones", "cut@four.test")
	p.arrival(t, "cut", "Subject: beside the slow ones")
	if took := time.Since(began); len(p.delivered("rcptslow"))+len(p.delivered("dataslow"))+len(p.delivered("endslow")) > 0 {
		t.Errorf("the slow ones were not waited past: %v", took)
	}
	for _, stage := range stages {
		t.Run("5xx at "+stage, func(t *testing.T) {
			bounce := string(one.arrival(t, "sara@one.test", "multipart/report", stage+"5@three.test"))
			if !containsAll(bounce, []string{"Return-Path: <>", "Status: 5.7.27", "Action: failed", "Remote-MTA: dns; mx.three.test", "Never: " + stage}) {
				t.Errorf("%.4000s", bounce)
			}
		})
		t.Run("4xx at "+stage, func(t *testing.T) {
			var rows []struct {
				Address, Enhanced, Detail string
				Code                      int
			}
			within(t, time.Second, "it waits", func() bool {
				one.must(&rows, "", "queue", "list", "--to", stage+"4@three.test")
				return len(rows) == 1 && fmt.Sprint(rows[0].Code) == later[stage] && rows[0].Enhanced == "4.3.2" && strings.Contains(rows[0].Detail, "Later, please: "+stage)
			})
			if n := len(p.delivered(stage + "4")); n != 0 {
				t.Errorf("%d messages arrived", n)
			}
		})
		t.Run("slow at "+stage, func(t *testing.T) { p.arrival(t, stage+"slow", "Subject: "+stage+"slow") })
	}
	for _, stage := range stages {
		p.access(t, stage, nil)
	}
	runProgram(t, "", "postfix", "-c", p.etc, "reload")
	within(t, 10*time.Second, "Postfix has relented", func() bool {
		one.must(nil, "", "queue", "retry", "--domain", "three.test")
		return one.waiting() == 0
	})
	for _, stage := range stages {
		p.arrival(t, stage+"4", "Subject: "+stage+"4")
		for kind, want := range map[string]int{"4": 1, "5": 0, "slow": 1} {
			if n := len(p.delivered(stage + kind)); n != want {
				t.Errorf("%s%s: there %d times, want %d", stage, kind, n, want)
			}
		}
		if n := one.found(t, "sara@one.test", "multipart/report", stage+"5@three.test"); n != 1 {
			t.Errorf("%s5: %d bounces", stage, n)
		}
	}
	if n := one.found(t, "sara@one.test", "multipart/report"); n != len(stages) {
		t.Errorf("%d bounces", n)
	}
}

// TestInteropPostfixSlow has every answer of Postfix come late.
func TestInteropPostfixSlow(t *testing.T) {
	w, one, p := besidePostfix(t)
	c := w.cutter(t, p)
	c.arm(&cut{slow: time.Second})
	one.send(t, "sara@one.test", "late", "cut@four.test")
	p.arrival(t, "cut", "Subject: late")
	within(t, 5*time.Second, "the queue is empty", func() bool { return one.waiting() == 0 })
	if n := len(p.delivered("cut")); n != 1 {
		t.Errorf("there %d times", n)
	}
}
