package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBlocking guesses at passwords from 127.0.0.1. Ten different ones block there, for the
// mailbox guessed at and nowhere else; ten times the same one does not.
func TestBlocking(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		in := newInstance(t, url)
		in.start()
		in.populate("guess.example", "target", "second", "other", "same")
		const target, second = "target@guess.example", "second@guess.example"

		began := time.Now()
		var guesses sync.WaitGroup
		in.guess(t, &guesses, "127.0.0.1", target)
		in.guess(t, &guesses, "127.0.0.4", second)
		guesses.Wait()
		t.Logf("ten guesses took %v", time.Since(began).Round(time.Millisecond))

		for name, password := range map[string]string{"right": testPassword, "wrong": "wrong-password-11"} {
			s, p := in.doors(t, "", target, password)
			if !s.is(454, "4.7.0") || !strings.Contains(s.text, "Too many wrong passwords") {
				t.Errorf("the %s password while blocked, AUTH: %s", name, s)
			}
			if !strings.HasPrefix(p, "-ERR [SYS/TEMP] Too many wrong passwords") {
				t.Errorf("the %s password while blocked, POP3: %s", name, p)
			}
		}
		in.lets(t, "other@guess.example", testPassword)
		if s, p := in.doors(t, "127.0.0.2", target, testPassword); s.code != 235 || !strings.HasPrefix(p, "+OK") {
			t.Errorf("the owner from another network: %s; %s", s, p)
		}
		// The password is known to be good now: guessing by others cannot lock its owner out.
		in.lets(t, target, testPassword)
		if a := in.smtpTalk(t, "").login(target, "wrong-password-12"); !a.is(454, "4.7.0") {
			t.Errorf("a guess while blocked: %s", a)
		}

		in.must(nil, "", "auth", "unblock", target)
		within(t, time.Second, "unblocked", func() bool {
			return in.smtpTalk(t, "").login(target, "wrong-password-13").is(535, "5.7.8")
		})
		if a := in.smtpTalk(t, "127.0.0.4").login(second, testPassword); !a.is(454, "4.7.0") {
			t.Errorf("the other one, still blocked: %s", a)
		}
		in.must(nil, "", "auth", "unblock", "127.0.0.4")
		within(t, time.Second, "network unblocked", func() bool {
			return in.smtpTalk(t, "127.0.0.4").login(second, testPassword).code == 235
		})
		sameAgain(t, in)
	})
}

// guess tries ten different wrong passwords at once: one after the other each would have to wait
// longer than the one before.
func (in *instance) guess(t *testing.T, all *sync.WaitGroup, from, mailbox string) {
	t.Helper()
	for i := range 10 {
		c := in.smtpTalk(t, from)
		all.Go(func() {
			if a := c.login(mailbox, fmt.Sprintf("wrong-password-%d", i)); !a.is(535, "5.7.8") {
				t.Errorf("guess %d at %s: %s", i, mailbox, a)
			}
		})
	}
}

// sameAgain is a mail program with an old password.
func sameAgain(t *testing.T, in *instance) {
	t.Helper()
	for i := range 10 {
		if a := in.smtpTalk(t, "127.0.0.3").login("same@guess.example", "the-one-of-last-year"); !a.is(535, "5.7.8") {
			t.Errorf("the same wrong password, attempt %d: %s", i, a)
		}
	}
	if s, p := in.doors(t, "127.0.0.3", "same@guess.example", testPassword); s.code != 235 || !strings.HasPrefix(p, "+OK") {
		t.Errorf("the right password after the same wrong one ten times: %s; %s", s, p)
	}
}

// TestLongPasswords offers at each door what bcrypt would cut: the words say so, nothing is
// compared and nothing is set.
func TestLongPasswords(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	in.populate("long.example", "sara")
	const mailbox, words = "sara@long.example", "longer than 72 bytes"
	longest := strings.Repeat("Omid-پستچی-", 4) // 4 × 16 bytes
	longest += strings.Repeat("z", 72-len(longest))
	in.must(nil, longest+"\n", "mailbox", "passwd", mailbox, "--password-stdin")
	in.lets(t, mailbox, longest)
	for _, over := range []string{longest + "z", longest + strings.Repeat("z", 128)} {
		in.shut(t, mailbox, over, "5.7.8", words)
		if p := in.browser(t).login("admin@localhost", over); p.status == http.StatusSeeOther || !strings.Contains(p.body, "72") {
			t.Errorf("panel with %d bytes: %d, and nothing about 72 bytes", len(over), p.status)
		}
		for _, command := range [][]string{{"mailbox", "passwd", mailbox}, {"mailbox", "add", "omid@long.example"}, {"user", "passwd", "admin@localhost"}} {
			out, status := in.command(over+"\n", append(command, "--password-stdin", "--json")...)
			if status != exitRefused || !strings.Contains(out, "72 bytes") {
				t.Errorf("postchi %s with %d bytes: status %d, %s", strings.Join(command, " "), len(over), status, out)
			}
		}
	}
	in.shut(t, mailbox, longest[:71], "5.7.8", denied)
}
