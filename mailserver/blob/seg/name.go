package seg

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// suffix is that of segment files; other files in the folder are left alone.
const suffix = ".seg"

// newName returns the name of a new segment and its salt: node, milliseconds since 1970, salt,
// all in hexadecimal, so that names sort by age within a node.
func newName(node int64, now time.Time) (name string, salt uint64) {
	var b [8]byte
	rand.Read(b[:]) // never fails
	salt = binary.LittleEndian.Uint64(b[:])
	return fmt.Sprintf("%03x-%011x-%016x", node, now.UnixMilli(), salt), salt
}

// saltOf reads the salt from a name; ok is false if it is no name of ours, so that a damaged row
// cannot name a file elsewhere.
func saltOf(name string) (salt uint64, ok bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 3 || len(parts[2]) != 16 {
		return 0, false
	}
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789abcdef") != "" {
			return 0, false
		}
	}
	salt, err := strconv.ParseUint(parts[2], 16, 64)
	return salt, err == nil
}

// nodeOf reads the node number from a name of ours.
func nodeOf(name string) int64 {
	node, _, _ := strings.Cut(name, "-")
	n, _ := strconv.ParseInt(node, 16, 64)
	return n
}

func (d *Driver) path(name string) string { return filepath.Join(d.cfg.Dir, name+suffix) }
