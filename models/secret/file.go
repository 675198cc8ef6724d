package secret

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/postchi/postchi/models"
)

// maxFile is the largest key file that is read, in bytes: hundreds of keys.
const maxFile = 64 << 10

// Open returns the box of a key file, which it makes with a new key (0600) if it does not
// exist. Two processes that do so at once end with the same key. Errors are of kind
// Unavailable (it cannot be read or written) or Invalid secret.file (it holds no key, or
// everybody on the machine may read it), in words for the administrator.
func Open(file string) (*Box, error) {
	b, err := read(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	if err := create(file); err != nil {
		return nil, models.Unavailablef(err, "The key file %s cannot be made.", file)
	}
	return read(file)
}

func read(file string) (*Box, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, models.Unavailablef(err, "The key file %s cannot be read.", file)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, models.Unavailablef(err, "The key file %s cannot be read.", file)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, invalid("Everybody on this machine may read the key file %s: chmod 0600 it.", file)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, models.Unavailablef(err, "The key file %s cannot be read.", file)
	}
	if len(text) > maxFile {
		return nil, invalid("The key file %s is no key file: it is too long.", file)
	}
	return parse(file, text)
}

// parse reads "id base64" lines; empty ones and those that begin with # do not count.
func parse(file string, text []byte) (*Box, error) {
	b := &Box{keys: map[string]cipher.AEAD{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		id, encoded, _ := strings.Cut(line, " ")
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil || len(key) != chacha20poly1305.KeySize || idOf(key) != id {
			return nil, invalid("Line %d of the key file %s is damaged: it is no key.", n, file)
		}
		if b.keys[id], err = chacha20poly1305.NewX(key); err != nil {
			return nil, err
		}
		if b.first == "" {
			b.first = id
		}
	}
	if b.first == "" {
		return nil, invalid("The key file %s holds no key.", file)
	}
	return b, nil
}

// create makes the file whole or not at all; one that exists meanwhile is left alone.
func create(file string) error {
	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key) // never fails
	text := fmt.Sprintf("# Opens the secrets in Postchi's database. Keep a copy, apart from the database's.\n%s %s\n", idOf(key), base64.StdEncoding.EncodeToString(key))
	f, err := os.CreateTemp(filepath.Dir(file), ".key-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(file))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func invalid(format string, args ...any) error {
	return models.Errorf(models.Invalid, "secret.file", format, args...)
}
