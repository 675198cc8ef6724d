package wire

import (
	"strings"
	"testing"
	"unicode/utf8"
)

var seeds = []string{
	"FETCH 1:*,3 (FLAGS BODY.PEEK[1.HEADER.FIELDS (a {1+}\r\nb)]<0.5> BINARY[2]) (CHANGEDSINCE 1 VANISHED)",
	"SEARCH RETURN (SAVE) CHARSET UTF-8 OR (NOT SEEN) UID 1 BODY {3}\r\nabc SENTON 1-Feb-2006 MODSEQ \"/flags\" all 7",
	"LIST (SUBSCRIBED) \"\" (a% &AOk-) RETURN (STATUS (MESSAGES))", "STORE 1 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Seen a)",
	"SELECT a (QRESYNC (1 2 3:4 (5 6)))", "SORT (REVERSE DATE) UTF-8 ALL", "APPEND a (\\Seen) \" 1-Feb-2006 15:04:05 +0000\" {3+}\r\nabc",
}

// FuzzCommand gives any bytes to every grammar. Each must end, with an error or at the end of
// what it takes, and what was refused must be skippable.
func FuzzCommand(f *testing.F) {
	for _, s := range seeds {
		f.Add("a " + s + "\r\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		in := &Input{Src: strings.NewReader(text)}
		p := &Parser{Continue: func() error { return nil }}
		for range 3 {
			if p.Begin(in, AfterLogin) != nil {
				return
			}
			p.Tag()
			p.SP()
			arguments(p)
			if p.Err() != nil && p.Skip() != nil {
				return
			}
		}
	})
}

func arguments(p *Parser) {
	word := p.Word()
	p.SP()
	switch word {
	case "FETCH":
		p.Set()
		p.SP()
		for _, s := range p.Fetch().Sections {
			s.AppendName(nil)
		}
	case "SEARCH":
		p.Program()
	case "SORT":
		p.Sort()
	case "THREAD":
		p.Thread()
	case "LIST":
		p.ListCommand()
	case "SELECT":
		p.Mailbox()
		p.SelectParameters()
	case "STORE":
		p.Set()
		p.SP()
		p.Store()
	case "STATUS":
		p.StatusItems()
	case "APPEND":
		p.Mailbox()
		p.SP()
		p.Flags()
		p.SP()
		p.DateTime()
		p.SP()
		p.NString()
	}
	p.End()
}

func FuzzSet(f *testing.F) {
	f.Add("1:*,3,*:5")
	f.Add("$")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse(t, strings.NewReplacer("\n", "", "\r", "").Replace(text), (*Parser).Set)
		if err != nil {
			return
		}
		again, err := parse(t, s.String(), (*Parser).Set)
		if err != nil || again.String() != s.String() {
			t.Errorf("%q became %q", s, again)
		}
	})
}

func FuzzUTF7(f *testing.F) {
	f.Add("&BjMGRAYnBkU-")
	f.Add("a&-b&2D3eBA-")
	f.Fuzz(func(t *testing.T, text string) {
		if decoded, ok := DecodeUTF7(text); ok {
			if !utf8.ValidString(decoded) {
				t.Errorf("%q is decoded to %q", text, decoded)
			}
			if again, ok := DecodeUTF7(string(AppendUTF7(nil, decoded))); !ok || again != decoded {
				t.Errorf("%q does not come back: %q", decoded, again)
			}
		}
		if utf8.ValidString(text) {
			if back, ok := DecodeUTF7(string(AppendUTF7(nil, text))); !ok || back != text {
				t.Errorf("%q does not come back: %q", text, back)
			}
		}
	})
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{"OR NOT SEEN (FROM a)", "RETURN (ALL) 1:5 $ TEXT \"x\"", "CHARSET x SINCE 1-Jan-2000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		prog, err := parse(t, strings.NewReplacer("\n", "", "\r", "").Replace(text), (*Parser).Program)
		if err == nil && prog.Root.depth() > 2*AfterLogin.Nesting+2 {
			t.Errorf("depth %d", prog.Root.depth())
		}
	})
}

// FuzzSort gives any text to the grammars of SORT and THREAD.
func FuzzSort(f *testing.F) {
	for _, s := range []string{"(REVERSE DATE SUBJECT) UTF-8 ALL", "RETURN (MIN ALL) (SIZE) US-ASCII OR SEEN 1:*", "REFERENCES UTF-8 TEXT x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.NewReplacer("\n", "", "\r", "").Replace(text)
		by, err := parse(t, text, func(p *Parser) []SortBy {
			by, prog := p.Sort()
			if p.Err() == nil && (prog.Charset == "" || prog.Root == nil || prog.Root.depth() > 2*AfterLogin.Nesting+2) {
				t.Errorf("program %+v", prog)
			}
			return by
		})
		if err == nil && (len(by) == 0 || len(by) > 2*len(sortKeys)) {
			t.Errorf("%d keys", len(by))
		}
		parse(t, text, func(p *Parser) string {
			algorithm, prog := p.Thread()
			if p.Err() == nil && (prog.Charset == "" || prog.Root == nil) {
				t.Errorf("program %+v", prog)
			}
			return algorithm
		})
	})
}

func (s *Search) depth() int {
	deepest := 0
	for _, a := range s.Args {
		deepest = max(deepest, a.depth())
	}
	return deepest + 1
}
