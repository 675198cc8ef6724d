package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as a number or with kB, MB or GB (powers of 1024).
// Nothing below 0 can be written; 0 means no limit where that is allowed.
type Size int64

var sizeUnits = []struct {
	suffix string
	factor int64
}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1}, {"", 1}}

// ParseSize reads "1GB", "1.5 GB", "500 kB", "1048576"; case does not matter.
func ParseSize(s string) (Size, error) {
	text := strings.ToUpper(strings.TrimSpace(s))
	for _, unit := range sizeUnits {
		number, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(f >= 0) || f*float64(unit.factor) >= 1<<62 {
			break
		}
		return Size(f * float64(unit.factor)), nil
	}
	return 0, fmt.Errorf("%q is no size (examples: 1GB, 500MB, 1048576)", s)
}

// UnmarshalText reads the value from the environment or from a TOML string.
func (s *Size) UnmarshalText(b []byte) error {
	n, err := ParseSize(string(b))
	*s = n
	return err
}

// UnmarshalTOML takes a number too.
func (s *Size) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v < 0 {
			return fmt.Errorf("%d is no size", v)
		}
		*s = Size(v)
		return nil
	case string:
		return s.UnmarshalText([]byte(v))
	}
	return fmt.Errorf("%v is no size", v)
}

// String prints the size in the largest unit that gives a short number.
func (s Size) String() string {
	for _, unit := range sizeUnits[:4] {
		if int64(s) >= unit.factor {
			number := strconv.FormatFloat(float64(s)/float64(unit.factor), 'f', 1, 64)
			return strings.TrimSuffix(number, ".0") + strings.Replace(unit.suffix, "KB", "kB", 1)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Addrs is a list of listening addresses; "" is none.
type Addrs []string

// UnmarshalText reads addresses separated by commas, from the environment.
func (a *Addrs) UnmarshalText(b []byte) error {
	*a = nil
	for part := range strings.SplitSeq(string(b), ",") {
		if part = strings.TrimSpace(part); part != "" {
			*a = append(*a, part)
		}
	}
	return nil
}

// UnmarshalTOML reads one address, or a list.
func (a *Addrs) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		return a.UnmarshalText([]byte(v))
	case []any:
		*a = nil
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return fmt.Errorf("%v is no address", item)
			}
			*a = append(*a, s)
		}
		return nil
	}
	return fmt.Errorf("%v is no address", v)
}

func logLevel(name string) (slog.Level, error) {
	var l slog.Level
	err := l.UnmarshalText([]byte(name))
	return l, err
}
