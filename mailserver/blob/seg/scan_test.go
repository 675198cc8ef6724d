package seg

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

const testSalt = 0x1122334455667788

// record returns a record as a segment with the salt holds it.
func record(id models.ID, salt uint64, body []byte) []byte {
	h := header{salt: salt, id: id, length: int64(len(body)), made: 1}
	b := append(make([]byte, headerSize), body...)
	b = h.finish(b, body)
	h.put(b)
	return b
}

func scanBytes(t testing.TB, b []byte) []blob.Record {
	t.Helper()
	var all []blob.Record
	if err := scan(t.Context(), bytes.NewReader(b), int64(len(b)), testSalt, func(r blob.Record) error {
		all = append(all, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// FuzzScan checks that scanning any bytes ends, covers each byte once, never takes for sound what
// is not, and finds the record that follows them. The input can make headers of its own: each 0xff
// in it stands for magic and salt.
func FuzzScan(f *testing.F) {
	one := record(1, testSalt, []byte("hello"))
	big := record(2, testSalt, bytes.Repeat([]byte("0123456789abcdef"), 5000))
	f.Add([]byte{})
	f.Add(one)
	f.Add(one[:len(one)-1])
	f.Add(append(append([]byte("junk"), big...), one[:50]...))
	f.Add(record(3, testSalt+1, one))
	f.Add(append([]byte{0xff}, one[16:]...))
	f.Add(bytes.Repeat([]byte{0xff, version, 0, headerSize, 0}, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.ReplaceAll(b, []byte{0xff}, one[:16])
		last := record(77, testSalt, []byte("the last one"))
		var next int64
		sound := map[models.ID]blob.Record{}
		whole := append(b[:len(b):len(b)], last...)
		for _, r := range scanBytes(t, whole) {
			if r.Offset != next || r.Size <= 0 {
				t.Fatalf("record at %d of %d bytes after %d", r.Offset, r.Size, next)
			}
			next += r.Size
			if r.Err == nil {
				sound[r.ID] = r
				body := whole[r.Offset+headerSize:][:r.Length]
				if whole[r.Offset+17]&flagSHA != 0 && sha256.Sum256(body) != r.SHA256 {
					t.Fatalf("record at %d is called sound", r.Offset)
				}
			} else if !errors.Is(r.Err, blob.ErrDamaged) {
				t.Fatal(r.Err)
			}
		}
		if next != int64(len(whole)) {
			t.Fatalf("scan ended at %d of %d", next, len(whole))
		}
		if _, ok := sound[77]; !ok && !swallowed(scanBytes(t, whole), int64(len(b))) {
			t.Fatal("the last record was not found")
		}
	})
}

// swallowed reports whether a sound header in front says that the bytes at off are its body.
func swallowed(all []blob.Record, off int64) bool {
	for _, r := range all {
		if r.ID != 0 && r.Offset < off && off < r.Offset+r.Size {
			return true
		}
	}
	return false
}

func TestScanFindsHeaderAcrossChunks(t *testing.T) {
	for _, n := range []int{chunk - 20, chunk - 8, chunk - 1, chunk, chunk + 1, 2*chunk - 15} {
		all := scanBytes(t, append(bytes.Repeat([]byte{0x89}, n), record(9, testSalt, []byte("x"))...))
		if len(all) != 2 || all[1].ID != 9 || all[1].Offset != int64(n) || all[1].Err != nil {
			t.Errorf("behind %d bytes: %v", n, all)
		}
	}
}

// unreadable fails to read one page, as a disk with a bad sector does.
type unreadable struct {
	b    []byte
	page int64
}

func (u unreadable) ReadAt(p []byte, off int64) (int, error) {
	bad := u.page * 4096
	if off < bad+4096 && bad < off+int64(len(p)) {
		n := 0
		if off < bad {
			n = copy(p, u.b[off:bad])
		}
		return n, errors.New("input/output error")
	}
	return bytes.NewReader(u.b).ReadAt(p, off)
}

func TestScanStepsOverUnreadableSectors(t *testing.T) {
	var b []byte
	for id := range models.ID(20) {
		b = append(b, record(id+1, testSalt, bytes.Repeat([]byte{byte(id)}, 3000))...)
	}
	for page := range int64(len(b) / 4096) {
		sound := 0
		err := scan(t.Context(), unreadable{b, page}, int64(len(b)), testSalt, func(r blob.Record) error {
			if r.Err == nil {
				sound++
			}
			return nil
		})
		if err != nil || sound < 17 {
			t.Errorf("page %d unreadable: %d of 20 records sound, %v", page, sound, err)
		}
	}
}
