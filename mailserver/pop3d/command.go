package pop3d

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/postchi/postchi/models"
)

// command is one line of a client. Arg is everything after the keyword and one space, as it
// came.
type command struct {
	verb string // in upper case
	arg  string
}

// handler runs a command and writes its answer. A *models.Error or a *badCommand that it
// returns is answered by handle; any other error ends the connection.
type handler struct {
	states state
	run    func(s *session, arg string) error
}

const both = authorization | transaction

// handlers has every command.
var handlers = map[string]handler{
	"CAPA": {both, (*session).capa},
	"NOOP": {transaction, (*session).noop},
	"QUIT": {both, (*session).quitCommand},

	"STLS": {authorization, (*session).stls},
	"USER": {authorization, (*session).userCommand},
	"PASS": {authorization, (*session).pass},
	"AUTH": {authorization, (*session).auth},

	"STAT": {transaction, (*session).stat},
	"LIST": {transaction, (*session).list},
	"UIDL": {transaction, (*session).uidl},
	"RETR": {transaction, (*session).retr},
	"TOP":  {transaction, (*session).top},
	"DELE": {transaction, (*session).dele},
	"RSET": {transaction, (*session).rset},
}

// badCommand is a line that no command can be made of. Too many of them end a session.
type badCommand struct{ text string }

// Error implements error.
func (e *badCommand) Error() string { return e.text }

func bad(format string, args ...any) error { return &badCommand{fmt.Sprintf(format, args...)} }

// parse reads a line. Keywords are letters in any case, ended by a space or the end.
func parse(line []byte) (command, error) {
	verb, arg, _ := strings.Cut(string(line), " ")
	if verb == "" || len(verb) > 10 {
		return command{}, bad("That is no command.")
	}
	for i := range len(verb) {
		if c := verb[i] | 0x20; c < 'a' || c > 'z' {
			return command{}, bad("That is no command.")
		}
	}
	verb = strings.ToUpper(verb)
	switch verb {
	case "PASS":
		return command{verb, arg}, nil // may hold anything; the accounts refuse it in words
	case "AUTH":
	default:
		if len(line)+len("\r\n") > maxCommand {
			return command{}, bad("That line is too long.")
		}
	}
	if strings.ContainsFunc(arg, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return command{}, bad("Control characters are not allowed in a command.")
	}
	return command{verb, arg}, nil
}

// foreign are first lines of other protocols that reach a POP3 port by mistake or by a
// browser that was tricked; they end the connection.
func foreign(verb string) bool {
	switch verb {
	case "GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "EHLO", "HELO", "SSH":
		return true
	}
	return false
}

// handle runs one line. Its error ends the connection without a word.
func (s *session) handle(line []byte) error {
	c, err := parse(line)
	if err == nil {
		s.log.Debug("command", slog.String("verb", c.verb))
		err = s.dispatch(c)
		if c.verb == "PASS" || c.verb == "AUTH" {
			s.in.wipe()
		}
	}
	return s.answer(err)
}

func (s *session) dispatch(c command) error {
	h, known := handlers[c.verb]
	switch {
	case !known && s.state == authorization && foreign(c.verb):
		s.quit = true
		return bad("This is a POP3 server.")
	case !known:
		return bad("Unknown command.")
	case h.states&s.state == 0 && s.state == authorization:
		return bad("Log in first.")
	case h.states&s.state == 0:
		return bad("You are logged in already.")
	}
	return h.run(s, c.arg)
}

// answer turns the error of a command into the answer to it.
func (s *session) answer(err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *models.Error:
		s.sayError(e)
	case *badCommand:
		s.sayErr("", e.text)
		if s.errors++; s.errors >= s.server.config.MaxErrors {
			s.sayErr("", "Too many errors.")
			s.quit = true
		}
	default:
		return err
	}
	return nil
}

// noArg refuses an argument where none belongs. Spaces at the end of a line are no argument.
func noArg(arg string) error {
	if strings.TrimRight(arg, " ") != "" {
		return bad("That command takes no argument.")
	}
	return nil
}

// noop answers NOOP.
func (s *session) noop(arg string) error {
	if err := noArg(arg); err != nil {
		return err
	}
	s.sayOK("")
	return nil
}
