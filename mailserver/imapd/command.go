package imapd

import (
	"errors"
	"log/slog"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/models"
)

// request is one command while it runs.
type request struct {
	tag  string
	name string
	uid  bool // the form with UID before it

	// What the tagged OK says; text may be empty.
	code, text string
}

// command is what the server knows of one command.
type command struct {
	states state
	// run takes the arguments from the session's parser and answers all but the tagged
	// response. An error of the grammar is BAD, a *models.Error is NO; any other ends the
	// session.
	run func(s *session, r *request) error
	// still says that no message may be announced as expunged in its answer, unless it is
	// the form with UID: RFC 9051, section 7.5.1.
	still bool
	// fresh says that the folder is looked at even if nobody told of a change.
	fresh bool
}

const (
	anyState    = notAuthenticated | authenticated | selectedState
	afterLogin  = authenticated | selectedState
	allOfFolder = selectedState
)

// commands are all but those with UID, which are in uidCommands.
var commands map[string]command

// uidCommands are the commands that have a form with UID.
var uidCommands = map[string]bool{"FETCH": true, "STORE": true, "COPY": true, "MOVE": true, "EXPUNGE": true, "SEARCH": true, "SORT": true, "THREAD": true}

func init() {
	// Made here because commands refer to functions that refer to commands.
	commands = map[string]command{
		"CAPABILITY":   {states: anyState, run: (*session).capability},
		"NOOP":         {states: anyState, run: (*session).noop, fresh: true},
		"LOGOUT":       {states: anyState, run: (*session).logout},
		"ID":           {states: anyState, run: (*session).id},
		"STARTTLS":     {states: notAuthenticated, run: (*session).startTLS},
		"AUTHENTICATE": {states: notAuthenticated, run: (*session).authenticate},
		"LOGIN":        {states: notAuthenticated, run: (*session).login},

		"ENABLE":       {states: afterLogin, run: (*session).enable},
		"SELECT":       {states: afterLogin, run: (*session).selectFolder},
		"EXAMINE":      {states: afterLogin, run: (*session).selectFolder},
		"CREATE":       {states: afterLogin, run: (*session).create},
		"DELETE":       {states: afterLogin, run: (*session).remove},
		"RENAME":       {states: afterLogin, run: (*session).rename},
		"SUBSCRIBE":    {states: afterLogin, run: (*session).subscribe},
		"UNSUBSCRIBE":  {states: afterLogin, run: (*session).subscribe},
		"LIST":         {states: afterLogin, run: (*session).listFolders},
		"LSUB":         {states: afterLogin, run: (*session).lsub},
		"NAMESPACE":    {states: afterLogin, run: (*session).namespace},
		"STATUS":       {states: afterLogin, run: (*session).status},
		"APPEND":       {states: afterLogin, run: (*session).appendMessages},
		"IDLE":         {states: afterLogin, run: (*session).idle},
		"GETQUOTA":     {states: afterLogin, run: (*session).getQuota},
		"GETQUOTAROOT": {states: afterLogin, run: (*session).getQuotaRoot},
		"SETQUOTA":     {states: afterLogin, run: (*session).setQuota},
		"COMPRESS":     {states: afterLogin, run: (*session).compress},

		"CHECK":    {states: allOfFolder, run: (*session).noop, fresh: true},
		"CLOSE":    {states: allOfFolder, run: (*session).closeFolder},
		"UNSELECT": {states: allOfFolder, run: (*session).unselect},
		"EXPUNGE":  {states: allOfFolder, run: (*session).expunge},
		"SEARCH":   {states: allOfFolder, run: (*session).search, still: true},
		"SORT":     {states: allOfFolder, run: (*session).sort, still: true},
		"THREAD":   {states: allOfFolder, run: (*session).thread, still: true},
		"FETCH":    {states: allOfFolder, run: (*session).fetch, still: true},
		"STORE":    {states: allOfFolder, run: (*session).storeFlags, still: true},
		"COPY":     {states: allOfFolder, run: (*session).copy},
		"MOVE":     {states: allOfFolder, run: (*session).move},
	}
}

// handle answers the command whose first line was read. Its error ends the session.
func (s *session) handle() error {
	r := &request{tag: s.p.Tag()}
	s.p.SP()
	r.name = s.p.Word()
	if s.p.Err() == nil && r.name == "UID" {
		r.uid = true
		s.p.SP()
		r.name = s.p.Word()
	}
	if r.tag == "" {
		return s.malformed("*", s.p.Err())
	}
	if s.p.Err() != nil {
		return s.malformed(r.tag, s.p.Err())
	}
	c, known := commands[r.name]
	switch {
	case !known, r.uid && !uidCommands[r.name]:
		return s.malformed(r.tag, bad("", "There is no such command"))
	case c.states&s.state == 0:
		return s.malformed(r.tag, bad("", wrongState(c.states)))
	}
	s.own = nil
	err := c.run(s, r)
	if err == nil {
		err = s.p.Err()
	}
	return s.finish(r, c, err)
}

func wrongState(states state) string {
	switch states {
	case notAuthenticated:
		return "This session has logged in already"
	case selectedState:
		return "No mailbox is selected"
	}
	return "Log in first"
}

// finish writes what changed in the folder, and the tagged response.
func (s *session) finish(r *request, c command, err error) error {
	if wire.IsSyntax(err) {
		return s.malformed(r.tag, err)
	}
	if err != nil {
		var e *models.Error
		if !errors.As(err, &e) || e == errRemoved {
			return err
		}
		// A command refused in the middle of its literals: the client may send more of it.
		if skip := s.p.Skip(); skip != nil {
			return skip
		}
		if err := s.update(!c.still || r.uid, false); err != nil {
			return err
		}
		s.sayNo(r.tag, e)
		return s.out.Err()
	}
	if r.tag == "" {
		return nil // answered already
	}
	if s.state == selectedState {
		if err := s.update(!c.still || r.uid, c.fresh); err != nil {
			return err
		}
	}
	s.out.Strings(r.tag, " OK ")
	s.writeCode(r.code)
	if r.text == "" {
		r.text = r.name + " done"
	}
	s.out.Strings(r.text, "\r\n")
	return s.out.Err()
}

// malformed answers a command that breaks the grammar, and skips the rest of it.
func (s *session) malformed(tag string, err error) error {
	var e *wire.SyntaxError
	if !errors.As(err, &e) {
		return err
	}
	if err := s.p.Skip(); err != nil {
		return err
	}
	s.out.Strings(tag, " BAD ")
	s.writeCode(e.Code)
	s.out.Strings(oneLine(e.Text), ".\r\n")
	if s.errors++; s.errors >= s.config.MaxErrors {
		s.log.Info("too many malformed commands", slog.Int("errors", s.errors))
		return errTooMany
	}
	return nil
}

var errTooMany = models.Errorf(models.Limited, "imap.errors", "Too many errors.")

func bad(code, text string) error { return &wire.SyntaxError{Code: code, Text: text} }
