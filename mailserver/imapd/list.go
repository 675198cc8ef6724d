package imapd

import (
	"cmp"
	"slices"
	"strings"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
)

// entry is one name that LIST may show.
type entry struct {
	name       string
	folder     *mailstore.Folder // nil: it only has folders below it
	children   bool
	subscribed bool // with folder, or for LSUB
	below      bool // a folder below it is subscribed
	usedBelow  bool // a folder below it has a special use
}

// entries returns the folders of the mailbox, and the names above them that are no folders.
func (s *session) entries() ([]entry, error) {
	folders, err := s.store.Folders(s.ctx, s.account.ID)
	if err != nil {
		return nil, err
	}
	at := map[string]*entry{}
	for i := range folders {
		f := &folders[i]
		at[f.Name] = &entry{name: f.Name, folder: f, subscribed: f.Subscribed}
	}
	for i := range folders {
		for name := folders[i].Name; ; {
			cut := strings.LastIndexByte(name, '/')
			if cut < 0 {
				break
			}
			name = name[:cut]
			if at[name] == nil {
				at[name] = &entry{name: name}
			}
			above := at[name]
			above.children = true
			above.below = above.below || folders[i].Subscribed
			above.usedBelow = above.usedBelow || folders[i].SpecialUse != ""
		}
	}
	all := make([]entry, 0, len(at))
	for _, e := range at {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b entry) int {
		if (a.name == mailstore.Inbox) != (b.name == mailstore.Inbox) {
			if a.name == mailstore.Inbox {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.name, b.name)
	})
	return all, nil
}

// list answers LIST, in the form of RFC 3501 or extended (RFC 5258, RFC 5819, RFC 6154).
func (s *session) listFolders(*request) error {
	s.p.SP()
	l := s.p.ListCommand()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	if !l.Extended && l.Patterns[0] == "" {
		// RFC 9051, section 6.3.9: an empty pattern asks for the separator.
		s.out.WriteString("* LIST (\\Noselect) \"/\" \"\"\r\n")
		return nil
	}
	all, err := s.entries()
	if err != nil {
		return err
	}
	patterns := newPatterns(l.Reference, l.Patterns)
	for i := range all {
		e := &all[i]
		if !patterns.match(e.name) {
			continue
		}
		chosen, info := chooses(l, e)
		if !chosen && info == "" {
			continue
		}
		s.writeEntry("LIST", e, l, info)
		if l.Status != 0 && e.folder != nil && chosen {
			if err := s.writeStatus(e.folder, l.Status); err != nil {
				return err
			}
		}
	}
	return s.out.Err()
}

// chooses reports whether the selection options let an entry through, and which of them is met
// below it (RFC 5258, section 3.5, CHILDINFO).
func chooses(l *wire.List, e *entry) (chosen bool, info string) {
	if !l.Subscribed && !l.SpecialUse {
		return true, ""
	}
	chosen = (!l.Subscribed || e.folder != nil && e.subscribed) && (!l.SpecialUse || e.folder != nil && e.folder.SpecialUse != "")
	if !l.RecursiveMatch {
		return chosen, ""
	}
	if l.Subscribed && e.below {
		info = ` "SUBSCRIBED"`
	}
	if l.SpecialUse && e.usedBelow {
		info += ` "SPECIAL-USE"`
	}
	return chosen, strings.TrimPrefix(info, " ")
}

// writeEntry writes one LIST response.
func (s *session) writeEntry(word string, e *entry, l *wire.List, info string) {
	s.out.Strings("* ", word, " (")
	if e.children {
		s.out.WriteString(`\HasChildren`)
	} else {
		s.out.WriteString(`\HasNoChildren`)
	}
	switch {
	case e.folder == nil:
		s.out.WriteString(` \NonExistent \Noselect`)
	case e.subscribed && l.ReturnSubscribed:
		s.out.WriteString(` \Subscribed`)
	}
	if e.folder != nil && e.folder.SpecialUse != "" {
		s.out.Strings(" ", e.folder.SpecialUse)
	}
	s.out.WriteString(`) "/" `)
	s.out.Mailbox(e.name)
	if info != "" {
		s.out.Strings(` ("CHILDINFO" (`, info, "))")
	}
	s.out.WriteString("\r\n")
}

// lsub answers LSUB (RFC 3501, section 6.3.9).
func (s *session) lsub(*request) error {
	s.p.SP()
	reference := s.p.Mailbox()
	s.p.SP()
	pattern := s.p.ListMailbox()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	all, err := s.entries()
	if err != nil {
		return err
	}
	patterns := newPatterns(reference, []string{pattern})
	for i := range all {
		e := &all[i]
		if !patterns.match(e.name) {
			continue
		}
		switch {
		case e.folder != nil && e.subscribed:
			s.writeEntry("LSUB", e, &wire.List{}, "")
		case e.below && strings.HasSuffix(pattern, "%"):
			// It is not subscribed, but without it "%" would hide what lies below.
			s.out.WriteString("* LSUB (\\Noselect) \"/\" ")
			s.out.Mailbox(e.name)
			s.out.WriteString("\r\n")
		}
	}
	return s.out.Err()
}

// patterns are those of one LIST, with the reference before them.
type patterns []string

func newPatterns(reference string, list []string) patterns {
	out := make(patterns, 0, len(list))
	for _, p := range list {
		p = collapse(reference + p)
		if head, rest, _ := strings.Cut(p, "/"); strings.EqualFold(head, mailstore.Inbox) {
			p = mailstore.Inbox + p[len(p)-len(rest)-min(1, len(p)-len(head)):]
		}
		out = append(out, p)
	}
	return out
}

// collapse makes one wildcard of several in a row, which would take long to try: "*" if one of
// them is.
func collapse(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); {
		if p[i] != '*' && p[i] != '%' {
			b.WriteByte(p[i])
			i++
			continue
		}
		wild := byte('%')
		for ; i < len(p) && (p[i] == '*' || p[i] == '%'); i++ {
			if p[i] == '*' {
				wild = '*'
			}
		}
		b.WriteByte(wild)
	}
	return b.String()
}

// match reports whether a name matches one of the patterns.
func (ps patterns) match(name string) bool {
	for _, p := range ps {
		if matchPattern(p, name) || name == mailstore.Inbox && matchPattern(strings.ToUpper(p), name) {
			return true
		}
	}
	return false
}

// matchPattern matches "*" with anything and "%" with anything but "/". Instead of trying all
// ways it keeps the set of places in the pattern that the name read so far can have led to, so
// no pattern takes longer than its length times that of the name.
func matchPattern(pattern, name string) bool {
	places := make([]bool, len(pattern)+1)
	places[0] = true
	skip(places, pattern)
	for i := range len(name) {
		next := make([]bool, len(pattern)+1)
		for j := range len(pattern) {
			if !places[j] {
				continue
			}
			switch c := pattern[j]; {
			case c == '*', c == '%' && name[i] != '/':
				next[j] = true
			case c == name[i]:
				next[j+1] = true
			}
		}
		skip(next, pattern)
		places = next
	}
	return places[len(pattern)]
}

// skip lets wildcards match nothing.
func skip(places []bool, pattern string) {
	for j := range len(pattern) {
		if places[j] && (pattern[j] == '*' || pattern[j] == '%') {
			places[j+1] = true
		}
	}
}
