package mime

import (
	"bytes"
	"sync"
	"testing"
)

func TestSectionsThatAreNone(t *testing.T) {
	_, _, multi := build(t, string(readFile(t, "forwarded.eml")))
	_, _, single := build(t, string(readFile(t, "plain.eml")))
	for _, c := range []struct {
		root *Part
		path []int
		what Section
		ok   bool
	}{
		{multi, nil, SectionBody, true},
		{multi, nil, SectionMIME, false},
		{multi, []int{0}, SectionBody, false},
		{multi, []int{3}, SectionBody, false},
		{multi, []int{-1}, SectionBody, false},
		{multi, []int{1, 1}, SectionBody, false},
		{multi, []int{1}, SectionHeader, false},
		{multi, []int{2}, SectionText, true},
		{multi, []int{2, 2}, SectionMIME, true},
		{multi, []int{2, 3}, SectionBody, false},
		{single, []int{1}, SectionBody, true},
		{single, []int{2}, SectionBody, false},
		{single, []int{1, 1}, SectionBody, false},
		{single, []int{1}, SectionText, false},
		{single, []int{1}, Section(99), false},
	} {
		if r, ok := c.root.Section(c.path, c.what); ok != c.ok {
			t.Errorf("%v %d: %v %v", c.path, c.what, r, ok)
		}
	}
}

// TestParallel builds all messages at once: pooled buffers must not show through in what is returned.
func TestParallel(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, name := range names(t) {
				msg := readFile(t, name+".eml")
				a, err := Build(bytes.NewReader(msg), int64(len(msg)))
				if err != nil {
					t.Error(err)
					return
				}
				root, err := BuildStructure(bytes.NewReader(msg), int64(len(msg)))
				if err != nil || !bytes.Equal(root.Encode(), a.Structure) {
					t.Errorf("%s: another structure, %v", name, err)
				}
			}
		})
	}
	wg.Wait()
}
