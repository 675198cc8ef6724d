package imapd

import (
	"slices"
	"sync"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// hit is a message that a search found.
type hit struct {
	uid    uint32
	modseq mailstore.ModSeq
	blob   models.ID
	date   models.Micros
	size   int64
}

// search answers SEARCH and UID SEARCH.
func (s *session) search(r *request) error {
	s.p.SP()
	prog := s.p.Program()
	if s.utf8 && prog.Charset != "" {
		s.p.Fail("CHARSET is not allowed with UTF8=ACCEPT") // RFC 6855, section 3
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	hits, err := s.runSearch(prog)
	if prog.Return.Save {
		s.saved = nil // RFC 5182, section 2.1: also when the search fails
	}
	if err != nil {
		return err
	}
	if prog.Return.Save {
		s.save(prog.Return, hits)
	}
	if s.rev2 && !prog.Return.Given {
		prog.Return = wire.Return{Given: true, All: true}
	}
	numbers, highest := s.count(hits, r.uid, prog)
	if prog.Return.Given {
		s.writeESearch(r, prog.Return, numbers, highest, false)
		return nil
	}
	s.out.WriteString("* SEARCH")
	s.out.Numbers(numbers)
	if highest > 0 {
		s.out.Strings(" (MODSEQ ", itoa(int64(highest)), ")")
	}
	s.out.WriteString("\r\n")
	return nil
}

// count turns hits into numbers as the client counts, with their highest modseq if the search
// asked about that (RFC 7162, section 3.1.5).
func (s *session) count(hits []hit, uid bool, prog *wire.Program) ([]uint32, mailstore.ModSeq) {
	out := make([]uint32, 0, len(hits))
	var highest mailstore.ModSeq
	at := 0
	for _, h := range hits {
		n := h.uid
		if !uid {
			if at = s.box.find(mailstore.UID(n), at); at == 0 {
				continue
			}
			n = uint32(at)
		}
		out = append(out, n)
		highest = max(highest, h.modseq)
	}
	if prog.Root.Find(wire.KeyModSeq) == nil {
		highest = 0
	}
	return out, highest
}

// writeESearch writes an ESEARCH response (RFC 4731). Numbers in the order of a SORT are not
// put together into ranges unless they rise.
func (s *session) writeESearch(r *request, ret wire.Return, numbers []uint32, highest mailstore.ModSeq, sorted bool) {
	if ret.Save && !ret.Min && !ret.Max && !ret.All && !ret.Count {
		return
	}
	s.out.WriteString("* ESEARCH (TAG ")
	s.out.Quoted(r.tag)
	s.out.WriteString(")")
	if r.uid {
		s.out.WriteString(" UID")
	}
	if n := len(numbers); n > 0 {
		if ret.Min {
			s.out.Strings(" MIN ", itoa(int64(numbers[0])))
		}
		if ret.Max {
			s.out.Strings(" MAX ", itoa(int64(numbers[n-1])))
		}
		if ret.All {
			s.out.WriteString(" ALL ")
			s.out.Ranges(numbers)
		}
	}
	if ret.Count {
		s.out.Strings(" COUNT ", itoa(int64(len(numbers))))
	}
	if highest > 0 {
		s.out.Strings(" MODSEQ ", itoa(int64(highest)))
	}
	s.out.WriteString("\r\n")
}

// save keeps a result for "$" (RFC 5182, section 2.1): with MIN or MAX alone only these.
func (s *session) save(ret wire.Return, hits []hit) {
	if n := len(hits); n > 0 && (ret.Min || ret.Max) && !ret.All && !ret.Count {
		var few []hit
		if ret.Min {
			few = append(few, hits[0])
		}
		if ret.Max {
			few = append(few, hits[n-1])
		}
		hits = few
	}
	uids := make([]mailstore.UID, len(hits))
	for i, h := range hits {
		uids[i] = mailstore.UID(h.uid)
	}
	slices.Sort(uids)
	s.saved = mailstore.SetOf(uids...)
}

// scanBatch is how many messages one goroutine looks at together.
const scanBatch = 128

// runSearch returns the messages a program finds, by rising UID.
func (s *session) runSearch(prog *wire.Program) ([]hit, error) {
	uids, err := s.list()
	if err != nil {
		return nil, err
	}
	c := &compiler{s: s, charset: prog.Charset}
	root := c.node(prog.Root)
	if c.err != nil {
		return nil, c.err
	}
	if prog.Root.Find(wire.KeyModSeq) != nil {
		s.condStore = true
	}
	within := mailstore.Set{}
	if n := len(uids); n > 0 {
		within = mailstore.Set{{First: mailstore.UID(uids[0]), Last: mailstore.UID(uids[n-1])}}
	}
	for _, a := range root.args {
		if root.key == wire.KeyAnd && (a.key == wire.KeySeq || a.key == wire.KeyUID) {
			within = intersect(within, a.set)
		}
	}
	x := &scan{s: s, root: root, finder: c.finder}
	return x.run(within)
}

// intersect returns what is in both normal sets.
func intersect(a, b mailstore.Set) mailstore.Set {
	var out mailstore.Set
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if first, last := max(a[i].First, b[j].First), min(a[i].Last, b[j].Last); first <= last {
			out = append(out, mailstore.Range{First: first, Last: last})
		}
		if a[i].Last < b[j].Last {
			i++
		} else {
			j++
		}
	}
	return out
}

// scan is one search while it runs. Rows are read in order by the session; what they cannot
// decide is looked at by goroutines of which the process has one for each processor.
type scan struct {
	s      *session
	root   *node
	finder func() *finder

	batches []*batch
	open    *batch
	running sync.WaitGroup
	mu      sync.Mutex
	err     error
}

// batch is messages that follow each other; a verdict for each.
type batch struct {
	messages []mailstore.Message
	verdicts []verdict
}

func (x *scan) run(within mailstore.Set) ([]hit, error) {
	s, at := x.s, 0
	defer x.running.Wait()
	err := s.store.InSet(s.ctx, s.box.at.ID, within, func(m *mailstore.Message) error {
		if at = s.box.find(m.UID, at); at == 0 {
			return nil
		}
		v := x.root.match(&subject{m: m}, byRow)
		if v == no {
			return nil
		}
		return x.add(m, v)
	})
	if err == nil && x.open != nil {
		err = x.dispatch()
	}
	x.running.Wait()
	if err == nil {
		err = x.err
	}
	if err != nil {
		return nil, err
	}
	var hits []hit
	for _, b := range x.batches {
		for i, m := range b.messages {
			if b.verdicts[i] == yes {
				hits = append(hits, hit{uint32(m.UID), m.ModSeq, m.BlobID, m.InternalDate, m.Size})
			}
		}
	}
	return hits, nil
}

func (x *scan) add(m *mailstore.Message, v verdict) error {
	if x.open == nil {
		x.open = &batch{}
		x.batches = append(x.batches, x.open)
	}
	x.open.messages = append(x.open.messages, *m)
	x.open.verdicts = append(x.open.verdicts, v)
	if len(x.open.messages) < scanBatch {
		return nil
	}
	return x.dispatch()
}

// dispatch has the open batch decided.
func (x *scan) dispatch() error {
	b := x.open
	x.open = nil
	if !slices.Contains(b.verdicts, unknown) {
		return nil
	}
	s := x.s
	select {
	case s.server.scans <- struct{}{}:
	case <-s.ctx.Done():
		return endSession{errGone}
	}
	x.mu.Lock()
	err := x.err
	x.mu.Unlock()
	if err != nil {
		<-s.server.scans
		return err
	}
	x.running.Go(func() {
		defer func() { <-s.server.scans }()
		defer x.recover()
		if err := x.decide(b); err != nil {
			x.mu.Lock()
			x.err = err
			x.mu.Unlock()
		}
	})
	return nil
}

// recover keeps a fault of ours in one search.
func (x *scan) recover() {
	if p := recover(); p != nil {
		x.s.config.Panicked()
		x.s.log.Error("panic in search", "err", p)
		x.mu.Lock()
		x.err = models.Errorf(models.Internal, "internal", "Something went wrong here.")
		x.mu.Unlock()
	}
}

// decide looks at the contents of the messages whose rows were not enough, and then at the
// messages themselves.
func (x *scan) decide(b *batch) error {
	s := x.s
	var ids []models.ID
	for i, v := range b.verdicts {
		if v == unknown {
			ids = append(ids, b.messages[i].BlobID)
		}
	}
	all, err := s.store.Contents(s.ctx, ids...)
	if err != nil {
		return err
	}
	f := x.finder()
	for i, v := range b.verdicts {
		if v != unknown {
			continue
		}
		if s.ctx.Err() != nil {
			return endSession{errGone}
		}
		m := &b.messages[i]
		c := all[m.BlobID]
		if c == nil {
			b.verdicts[i] = no // removed meanwhile, or its bytes cannot be read
			continue
		}
		sub := &subject{s: s, m: m, c: c}
		if b.verdicts[i] = x.root.match(sub, byContents); b.verdicts[i] != unknown {
			continue
		}
		if b.verdicts[i], err = sub.decide(x.root, f); err != nil {
			if models.Is(err, models.NotFound) {
				b.verdicts[i] = no
				continue
			}
			return err
		}
	}
	return nil
}

// verdict is what is known of whether a message matches.
type verdict uint8

const (
	unknown verdict = iota
	yes
	no
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// depth is how far a message is looked at.
type depth uint8

const (
	byRow      depth = iota
	byContents       // what mime made of it
	byText           // its bytes
)

// subject is a message that is looked at.
type subject struct {
	s      *session
	m      *mailstore.Message
	c      *mime.Contents
	env    *mime.Envelope
	header []headerField // from byText on
	finder *finder
}
