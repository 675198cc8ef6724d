package mailstore_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// traceCalls are the system calls that a trace needs; writing by mmap is not among them, so what
// SQLite keeps in its -shm file is lost in a power cut, as it may be.
const traceCalls = "write,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,ftruncate,fallocate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,open,openat,creat"

// event is one system call of a trace.
type event struct {
	call       string
	file       string
	data       []byte // of a write
	off        int64  // of a write; the new length of a truncation
	creates    bool
	begin, end int // lines of the trace; end is past the last one if the call never ended
	failed     bool
	durable    int // the line after which it survives a power cut; past the last one if never
}

// trace is what a program did to its files, and when it said what, in one order.
type trace struct {
	events []*event
	said   []statement
	lines  int
}

// statement is a line that the program wrote to its standard output.
type statement struct {
	text string
	line int // where it began to
}

// readTrace reads the output of strace -f -y -xx, in which all strings and paths are hexadecimal.
func readTrace(r io.Reader) (*trace, error) {
	tr := &trace{}
	pending := map[string]*event{} // by thread
	in := bufio.NewReaderSize(r, 1<<20)
	for ; ; tr.lines++ {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		thread, what, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		what = strings.TrimSpace(what)
		switch {
		case strings.HasPrefix(what, "+++"), strings.HasPrefix(what, "---"):
		case strings.HasPrefix(what, "<... "):
			if e := pending[thread]; e != nil {
				e.end, e.failed = tr.lines, failedCall(what)
				delete(pending, thread)
			}
		default:
			e, err := readCall(what)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", tr.lines+1, err)
			}
			e.begin, e.end, e.failed = tr.lines, tr.lines, failedCall(what)
			if strings.HasSuffix(what, "<unfinished ...>") {
				e.end, e.failed = 1<<60, false
				pending[thread] = e
			}
			tr.add(e)
		}
	}
	tr.settle()
	return tr, nil
}

func failedCall(s string) bool {
	_, result, _ := cutLast(s, ") = ")
	return strings.HasPrefix(result, "-1")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// readCall reads a call with its arguments.
func readCall(s string) (*event, error) {
	name, args, ok := strings.Cut(s, "(")
	if !ok {
		return nil, fmt.Errorf("no call: %.60s", s)
	}
	e := &event{call: name}
	var err error
	switch name {
	case "open", "openat":
		e.file, args, err = unhex(args, `"`, `"`)
		e.creates, name = strings.Contains(args, "O_CREAT"), "open"
	case "unlink", "unlinkat":
		e.file, _, err = unhex(args, `"`, `"`)
		name = "unlink"
	case "rename", "renameat", "renameat2", "link", "linkat":
		e.file, _, err = unhex(args, `"`, `"`)
	case "write", "pwrite64":
		var data string
		if e.file, args, err = unhex(args, "<", ">"); err == nil {
			data, args, err = unhex(args, `"`, `"`)
		}
		e.data = []byte(data)
		if name == "pwrite64" && err == nil {
			_, err = fmt.Sscanf(args, ", %d, %d", new(int64), &e.off)
		}
	case "ftruncate":
		if e.file, args, err = unhex(args, "<", ">"); err == nil {
			_, err = fmt.Sscanf(args, ", %d", &e.off)
		}
	case "fsync", "fdatasync":
		e.file, _, err = unhex(args, "<", ">")
	default:
		err = fmt.Errorf("the replay does not know %s", name)
	}
	if strings.HasPrefix(args, "(deleted)") {
		e.file = ""
	}
	e.call = name
	if err == nil && replayed(e.file) && (name == "write" || strings.HasPrefix(name, "rename") || strings.HasPrefix(name, "link") || strings.Contains(args, "O_TRUNC")) {
		err = fmt.Errorf("the replay does not know %s of %s", name, e.file)
	}
	return e, err
}

// unhex decodes what stands between open and shut, and returns what follows.
func unhex(s, open, shut string) (text, rest string, err error) {
	_, s, found := strings.Cut(s, open)
	coded, rest, shutFound := strings.Cut(s, shut)
	if !found || !shutFound {
		return "", "", fmt.Errorf("no %s in %.60s", open, s)
	}
	if !strings.HasPrefix(coded, `\x`) {
		return coded, rest, nil // empty, or a socket
	}
	b, err := hex.DecodeString(strings.ReplaceAll(coded, `\x`, ""))
	return string(b), rest, err
}

func (tr *trace) add(e *event) {
	if e.call == "write" {
		for line := range strings.Lines(string(e.data)) {
			tr.said = append(tr.said, statement{strings.TrimSpace(line), e.begin})
		}
		return
	}
	if !e.failed {
		tr.events = append(tr.events, e)
	}
}

// settle finds for each change the first sync that came after it: of the file for bytes and
// length, of the folder for names. A sync that began before the change had ended does not count.
func (tr *trace) settle() {
	for i, e := range tr.events {
		e.durable = 1 << 60
		of := e.file
		switch e.call {
		case "open", "unlink":
			of = filepath.Dir(e.file)
		case "fsync", "fdatasync":
			continue
		}
		for _, s := range tr.events[i:] {
			if (s.call == "fsync" || s.call == "fdatasync") && s.file == of && s.begin > e.end && !s.failed {
				e.durable = min(e.durable, s.end)
			}
			if s.begin > e.durable {
				break
			}
		}
	}
}

// disk is the files of a folder by path.
type disk map[string][]byte

// readDisk reads the files that replay knows.
func readDisk(dir string) (disk, error) {
	d := disk{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !replayed(path) {
			return err
		}
		d[path], err = os.ReadFile(path)
		return err
	})
	return d, err
}

// replayed reports whether a file is one of those that hold mail: the database, its log, segments.
func replayed(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, ".seg") || name == "postchi.db" || name == "postchi.db-wal" || name == "postchi.db-journal"
}

// write puts the files of folder from into folder to.
func (d disk) write(from, to string) error {
	for path, b := range d {
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		file := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// replay returns what a disk that held base may hold if the power fails at a line of the trace:
// all that was synced by then, and of each other change something or nothing.
func (tr *trace) replay(base disk, line int, rnd *rand.Rand) disk {
	type file struct{ b []byte }
	seen, kept := map[string]*file{}, map[string]*file{} // as the program and as the disk has it
	for path, b := range base {
		f := &file{append([]byte(nil), b...)}
		seen[path], kept[path] = f, f
	}
	for _, e := range tr.events {
		if e.begin >= line {
			break
		}
		if !replayed(e.file) {
			continue
		}
		sure := e.durable < line
		f := seen[e.file]
		switch e.call {
		case "open":
			if f == nil && e.creates {
				f = &file{}
				seen[e.file] = f
				if sure || rnd.IntN(2) == 0 {
					kept[e.file] = f
				}
			}
		case "unlink":
			delete(seen, e.file)
			if sure || rnd.IntN(2) == 0 {
				delete(kept, e.file)
			}
		case "ftruncate":
			if f != nil && (sure || rnd.IntN(2) == 0) {
				f.b = append(f.b[:min(int(e.off), len(f.b))], make([]byte, max(0, int(e.off)-len(f.b)))...)
			}
		case "pwrite64":
			if f != nil {
				f.b = overwrite(f.b, e.data, e.off, sure, rnd)
			}
		}
	}
	d := disk{}
	for path, f := range kept {
		d[path] = f.b
	}
	return d
}

const sector = 512

// overwrite writes p at off: all of it if that is sure, else all, nothing, or some sectors.
func overwrite(b, p []byte, off int64, sure bool, rnd *rand.Rand) []byte {
	keep := func() bool { return true }
	if !sure {
		switch rnd.IntN(3) {
		case 0:
			return b
		case 1:
			keep = func() bool { return rnd.IntN(2) == 0 }
		}
	}
	for at := 0; at < len(p); {
		n := min(len(p)-at, sector-int(off+int64(at))%sector)
		if keep() {
			end := int(off) + at + n
			if end > len(b) {
				b = append(b, make([]byte, end-len(b))...)
			}
			copy(b[end-n:end], p[at:at+n])
		}
		at += n
	}
	return b
}

// fields reads a statement of numbers after a word.
func (s statement) fields(word string) ([]int64, bool) {
	rest, ok := strings.CutPrefix(s.text, word+" ")
	if !ok {
		return nil, false
	}
	var all []int64
	for f := range strings.FieldsSeq(rest) {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return nil, false
		}
		all = append(all, n)
	}
	return all, true
}
