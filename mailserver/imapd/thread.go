package imapd

import (
	"cmp"
	"slices"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// thread answers THREAD and UID THREAD by the algorithm REFERENCES (RFC 5256).
func (s *session) thread(r *request) error {
	s.p.SP()
	algorithm, prog := s.p.Thread()
	if s.p.Err() == nil && algorithm != "REFERENCES" {
		s.p.Fail("There is no such algorithm for threads")
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	if err := knownCharset(prog.Charset); err != nil {
		return err
	}
	hits, err := s.runSearch(prog)
	if err != nil {
		return err
	}
	keys, err := s.keys(hits, true, true)
	if err != nil {
		return err
	}
	s.out.WriteString("* THREAD")
	for i, t := range threads(keys) {
		if i == 0 {
			s.out.WriteString(" ")
		}
		s.out.WriteString("(")
		s.writeThread(t, r.uid)
		s.out.WriteString(")")
	}
	s.out.WriteString("\r\n")
	return nil
}

// writeThread writes a thread: a message, the one that follows it, and so on, until one has
// several that follow. An answer that is not deep is written without recursion.
func (s *session) writeThread(t *threaded, uid bool) {
	space := ""
	for t != nil {
		if t.msg != nil {
			n := t.msg.uid
			if !uid {
				n = uint32(s.box.find(mailstore.UID(n), 0))
			}
			s.out.Strings(space, itoa(int64(n)))
			space = " "
		}
		if len(t.children) != 1 {
			break
		}
		t = t.children[0]
	}
	if t == nil || len(t.children) == 0 {
		return
	}
	s.out.WriteString(space)
	for _, c := range t.children {
		s.out.WriteString("(")
		s.writeThread(c, uid)
		s.out.WriteString(")")
	}
}

// threaded is a message in a thread, or an id that messages refer to but none has.
type threaded struct {
	msg      *keyed // nil = none of those found has the id
	parent   *threaded
	children []*threaded
}

// date is when the thread begins for sorting: a message's own date, or that of the first below.
func (t *threaded) date() models.Micros {
	for t.msg == nil && len(t.children) > 0 {
		t = t.children[0]
	}
	if t.msg == nil {
		return 0
	}
	return t.msg.sent
}

func (t *threaded) uid() uint32 {
	for t.msg == nil && len(t.children) > 0 {
		t = t.children[0]
	}
	if t.msg == nil {
		return 0
	}
	return t.msg.uid
}

// under reports whether t is below other, or the same.
func (t *threaded) under(other *threaded) bool {
	for ; t != nil; t = t.parent {
		if t == other {
			return true
		}
	}
	return false
}

func (t *threaded) adopt(child *threaded) {
	child.leave()
	child.parent = t
	t.children = append(t.children, child)
}

func (t *threaded) leave() {
	if p := t.parent; p != nil {
		p.children = slices.DeleteFunc(p.children, func(c *threaded) bool { return c == t })
		t.parent = nil
	}
}

// threads puts messages into threads: RFC 5256, section 3, REFERENCES, steps 1 to 6.
func threads(messages []keyed) []*threaded {
	all := link(messages)
	var roots []*threaded
	for _, t := range all {
		if t.parent == nil {
			roots = append(roots, prune(t)...)
		}
	}
	sortThreads(roots)
	roots = gather(roots)
	sortDeep(roots)
	return roots
}

// maxDepth bounds how deep messages follow each other: what is deeper begins anew.
const maxThreadDepth = 500

// link is step 1: every message below the last of those it refers to.
func link(messages []keyed) []*threaded {
	ids := make(map[string]*threaded, len(messages))
	all := make([]*threaded, 0, len(messages))
	add := func(id string) *threaded {
		t := &threaded{}
		all = append(all, t)
		if id != "" {
			ids[id] = t
		}
		return t
	}
	for i := range messages {
		m := &messages[i]
		t := ids[m.messageID]
		if m.messageID == "" || t != nil && t.msg != nil {
			t = add("") // no id of its own, or another message has it already
		} else if t == nil {
			t = add(m.messageID)
		}
		t.msg = m
		var last *threaded
		for _, id := range m.references {
			ref := ids[id]
			if ref == nil {
				ref = add(id)
			}
			if last != nil && ref.parent == nil && !last.under(ref) && last.depth() < maxThreadDepth {
				last.adopt(ref)
			}
			last = ref
		}
		if last == nil || last.under(t) || last.depth() >= maxThreadDepth {
			continue
		}
		if t.parent != last {
			last.adopt(t) // what the message says itself counts more than what others say
		}
	}
	return all
}

func (t *threaded) depth() (n int) {
	for ; t != nil; t = t.parent {
		n++
	}
	return n
}

// prune is step 3: ids without a message go, and what is below them moves up; at the top an id
// stays if it holds several messages together.
func prune(t *threaded) []*threaded {
	var kept []*threaded
	for _, c := range t.children {
		kept = append(kept, prune(c)...)
	}
	t.children = kept
	for _, c := range kept {
		c.parent = t
	}
	switch {
	case t.msg != nil:
		return []*threaded{t}
	case t.parent == nil && len(kept) > 1:
		return []*threaded{t}
	}
	for _, c := range kept {
		c.parent = t.parent
	}
	return kept
}

func sortThreads(list []*threaded) {
	slices.SortStableFunc(list, func(a, b *threaded) int {
		return cmp.Or(cmp.Compare(a.date(), b.date()), cmp.Compare(a.uid(), b.uid()))
	})
}

// sortDeep is step 6, from below, since the date of an id without a message is that of its
// first child.
func sortDeep(list []*threaded) {
	for _, t := range list {
		sortDeep(t.children)
	}
	sortThreads(list)
}

// first returns the message whose subject names a thread.
func (t *threaded) first() *keyed {
	for t.msg == nil && len(t.children) > 0 {
		t = t.children[0]
	}
	return t.msg
}

// gather is step 5: threads with one subject become one.
func gather(roots []*threaded) []*threaded {
	for _, t := range roots {
		sortDeep(t.children)
	}
	table := map[string]*threaded{}
	for _, t := range roots {
		m := t.first()
		if m == nil || m.subject == "" {
			continue
		}
		old := table[m.subject]
		if old == nil || old.msg != nil && (t.msg == nil || old.msg.reply && !t.msg.reply) {
			table[m.subject] = t
		}
	}
	for _, t := range roots {
		m := t.first()
		if m == nil || m.subject == "" || table[m.subject] == t {
			continue
		}
		old := table[m.subject]
		switch {
		case old.msg == nil && t.msg == nil:
			for _, c := range slices.Clone(t.children) {
				old.adopt(c)
			}
		case old.msg == nil, t.msg != nil && t.msg.reply && !old.msg.reply:
			old.adopt(t)
		default:
			// Neither answers the other: both below an id of their own, in the place of old.
			moved := *old
			moved.parent = old
			for _, c := range moved.children {
				c.parent = &moved
			}
			*old = threaded{children: []*threaded{&moved}}
			old.adopt(t)
		}
	}
	return slices.DeleteFunc(roots, func(t *threaded) bool { return t.parent != nil || t.msg == nil && len(t.children) == 0 })
}
