// Package static holds the panel's style sheets, scripts, pictures and font as they are
// written, and serves them from addresses that change with their contents.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed css js img fonts
var files embed.FS

// Files serves the embedded files. One checksum over all of them is part of each address, so
// that a style sheet finds its font and a script its modules by relative addresses, and
// browsers may keep everything for ever.
type Files struct {
	prefix string // "/static/0a1b2c3d4e5f/"
	all    map[string]file
}

type file struct {
	kind          string // of media
	plain, packed []byte // packed by gzip; nil where it saves nothing
}

// New reads all files.
func New() (*Files, error) {
	f := &Files{all: map[string]file{}}
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum.Write([]byte(name + "\x00" + strconv.Itoa(len(b)) + "\x00"))
		sum.Write(b)
		f.all[name] = file{kind: kind(name), plain: b, packed: pack(b)}
		return nil
	})
	f.prefix = "/static/" + hex.EncodeToString(sum.Sum(nil)[:6]) + "/"
	return f, err
}

// kind does not ask the system, whose tables differ.
func kind(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	if k := mime.TypeByExtension(path.Ext(name)); k != "" {
		return k
	}
	return "application/octet-stream"
}

func pack(b []byte) []byte {
	var buf bytes.Buffer
	w, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression) // the level is a valid constant
	w.Write(b)                                              // a buffer takes everything
	w.Close()
	if buf.Len() > len(b)*9/10 {
		return nil
	}
	return buf.Bytes()
}

// URL returns the address of a file: "css/base.css". It panics on a file that does not exist,
// which templates meet in their first test.
func (f *Files) URL(name string) string {
	if _, ok := f.all[name]; !ok {
		panic("static: no file " + name)
	}
	return f.prefix + name
}

// ServeHTTP answers GET and HEAD of /static/SUM/NAME. An address of another version of the
// program finds the file of today, but nobody keeps it.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/static/"), "/")
	one, ok := f.all[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(r.URL.Path, f.prefix) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Type", one.kind)
	h.Set("Vary", "Accept-Encoding")
	body := one.plain
	if one.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = one.packed
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}
