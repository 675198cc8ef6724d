package auth

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"

	"github.com/postchi/postchi/models"
)

// dialogue feeds responses to a server until it is done or fails.
func dialogue(s sasl.Server, responses ...[]byte) (challenges []string, done bool, err error) {
	for _, r := range responses {
		var c []byte
		c, done, err = s.Next(r)
		if done || err != nil {
			return challenges, done, err
		}
		challenges = append(challenges, string(c))
	}
	return challenges, false, nil
}

func TestPlain(t *testing.T) {
	tests := []struct {
		what, response string
		name, password string
		key            string
	}{
		{"plain", "\x00sara@example.com\x00secret", "sara@example.com", "secret", ""},
		{"same authorization identity", "sara@example.com\x00sara@example.com\x00secret", "sara@example.com", "secret", ""},
		{"spaces stay", "\x00sara@example.com\x00 secret ", "sara@example.com", " secret ", ""},
		{"another authorization identity", "omid@example.com\x00sara@example.com\x00secret", "", "", "sasl.authzid"},
		{"a longer authorization identity", "sara@example.com \x00sara@example.com\x00secret", "", "", "sasl.authzid"},
		{"empty", "", "", "", "sasl.malformed"},
		{"two parts", "sara@example.com\x00secret", "", "", "sasl.malformed"},
		{"NUL in password", "\x00sara@example.com\x00sec\x00ret", "", "", "sasl.malformed"},
		{"NUL at the end", "\x00sara@example.com\x00secret\x00", "", "", "sasl.malformed"},
		{"no name", "\x00\x00secret", "", "", "sasl.malformed"},
		{"no password", "\x00sara@example.com\x00", "", "", "sasl.malformed"},
		{"long password reaches the words", "\x00s@e\x00" + strings.Repeat("x", 1000), "s@e", strings.Repeat("x", 1000), ""},
		{"too much", "\x00s@e\x00" + strings.Repeat("x", maxResponse), "", "", "sasl.malformed"},
	}
	for _, test := range tests {
		for _, initial := range []bool{true, false} {
			t.Run(test.what, func(t *testing.T) {
				var name, password string
				s := NewPlain(func(n, p string) error { name, password = n, p; return nil })
				responses := [][]byte{[]byte(test.response)}
				if !initial {
					responses = [][]byte{nil, []byte(test.response)}
				}
				challenges, done, err := dialogue(s, responses...)
				wantSASL(t, err, test.key)
				if done != (test.key == "") || name != test.name || password != test.password || len(strings.Join(challenges, "")) > 0 {
					t.Errorf("done %v, %q %q, challenges %q", done, name, password, challenges)
				}
				if _, _, err := s.Next([]byte(test.response)); err != sasl.ErrUnexpectedClientResponse {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	}
}

func wantSASL(t *testing.T, err error, key string) {
	t.Helper()
	var e *models.Error
	if key == "" && err == nil || errors.As(err, &e) && e.Key == key {
		return
	}
	t.Errorf("error %v, want %q", err, key)
}

func TestLoginMechanism(t *testing.T) {
	long := strings.Repeat("x", maxResponse+1)
	tests := []struct {
		what           string
		responses      []string
		name, password string
		key            string
	}{
		{"both", []string{"sara@example.com", "secret"}, "sara@example.com", "secret", ""},
		{"spaces stay", []string{"sara@example.com", " secret "}, "sara@example.com", " secret ", ""},
		{"NUL in password reaches the words", []string{"sara@example.com", "a\x00"}, "sara@example.com", "a\x00", ""},
		{"no name", []string{""}, "", "", "sasl.malformed"},
		{"NUL in name", []string{"a\x00b"}, "", "", "sasl.malformed"},
		{"no password", []string{"sara@example.com", ""}, "", "", "sasl.malformed"},
		{"long name", []string{long}, "", "", "sasl.malformed"},
		{"long password", []string{"sara@example.com", long}, "", "", "sasl.malformed"},
	}
	for _, test := range tests {
		for _, initial := range []bool{true, false} {
			t.Run(test.what, func(t *testing.T) {
				var name, password string
				s := NewLogin(func(n, p string) error { name, password = n, p; return nil })
				want := "Username: Password:"
				responses := [][]byte{nil}
				if initial {
					responses, want = nil, "Password:"
				}
				for _, r := range test.responses {
					responses = append(responses, []byte(r))
				}
				challenges, done, err := dialogue(s, responses...)
				wantSASL(t, err, test.key)
				if done != (test.key == "") || name != test.name || password != test.password {
					t.Errorf("done %v, %q %q", done, name, password)
				}
				if got := strings.Join(challenges, " "); !strings.HasPrefix(want, got) || done && got != want {
					t.Errorf("challenges %q", got)
				}
				if _, _, err := s.Next([]byte("x")); err != sasl.ErrUnexpectedClientResponse {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	}
}

func TestSASLPassesErrors(t *testing.T) {
	denied := func(string, string) error { return errDenied() }
	_, done, err := dialogue(NewPlain(denied), []byte("\x00a@b\x00c"))
	wantSASL(t, err, "login.denied")
	_, done2, err := dialogue(NewLogin(denied), []byte("a@b"), []byte("c"))
	wantSASL(t, err, "login.denied")
	if done || done2 {
		t.Error("done after an error")
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"\x00a@b\x00c", "a@b\x00a@b\x00c", "x\x00a@b\x00c", "\x00\x00", "", "\x00a\x00b\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		called := 0
		s := NewPlain(func(name, password string) error {
			called++
			if name == "" || password == "" || strings.ContainsRune(name+password, 0) {
				t.Errorf("log-in with %q %q", name, password)
			}
			joined := []byte("\x00" + name + "\x00" + password)
			if !bytes.Equal(response, joined) && !bytes.Equal(response, append([]byte(name), joined...)) {
				t.Errorf("%q read as %q %q", response, name, password)
			}
			return nil
		})
		if response == nil {
			response = []byte{}
		}
		_, done, err := s.Next(response)
		if done != (called == 1) || done == (err != nil) {
			t.Errorf("done %v, called %d, error %v", done, called, err)
		}
	})
}

func FuzzLogin(f *testing.F) {
	f.Add([]byte("a@b"), []byte("c"), true)
	f.Add([]byte(""), []byte("c"), false)
	f.Add([]byte("a\x00"), []byte(""), true)
	f.Fuzz(func(t *testing.T, name, password []byte, initial bool) {
		called := 0
		s := NewLogin(func(n, p string) error {
			called++
			if n != string(name) || p != string(password) || n == "" || p == "" {
				t.Errorf("log-in with %q %q", n, p)
			}
			return nil
		})
		responses := [][]byte{append([]byte{}, name...), append([]byte{}, password...)}
		if !initial {
			responses = append([][]byte{nil}, responses...)
		}
		_, done, err := dialogue(s, responses...)
		if done != (called == 1) || done == (err != nil) {
			t.Errorf("done %v, called %d, error %v", done, called, err)
		}
	})
}
